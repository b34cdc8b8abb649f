"""A zoo of tiny SavedModels, written by TensorFlow, with TensorFlow's own answers.

Each `Case` is a model, a table that fits it, the arguments of `SavedModel.score`, and the feeds
for running TensorFlow directly. The feeds are written by hand in plain NumPy, so that none of
tf2spark's conversions has a part in the expected answer::

    from cases.models import ALL, case, expected_of, path_of

    @pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
    def test_scores(case):
        table = case.table(23)
        model = tf2spark.SavedModel(path_of(case))
        scored = model.score(table, feed=case.feed, fetch=case.fetch, keep=[], **case.kwargs)
        assert_same(scored, expected_of(case, table))

`path_of` writes a model at its first use and keeps it until the process ends; cases can share one.
`expected_of` returns an array for each column, rows first; where bits are compared, pass it only
the rows that run together. Any number of rows from 1 works; with about 20, every feature shows.

Every row of the cases in `ALL` can be scored. Those in `REFUSING` have rows that can't be scored
(`Case.refused`); pass ``table.filter(~mask)`` to `expected_of`. Those in `UNSAFE` need `allow_ops`.
Those in `SPECIAL` need tests of their own: "binary" (bytes that are not text), "counter" (every run
adds 1 to the result), "summary" (only its output "row" has one value per row; "summary_row" fetches
that one) and "complex" (its output "y" has a dtype that Spark lacks).
"""

from __future__ import annotations

from cases.models import (
    dtypes,
    keras2_models,
    keras_models,
    modules,
    refusing,
    sparse,
    special,
    tf1,
)
from cases.models.case import Case
from cases.models.running import expected_of, path_of, run_tensorflow
from cases.models.special import SPECIAL, UNSAFE

ALL = [
    *keras_models.CASES,
    *keras2_models.CASES,
    *modules.CASES,
    *tf1.CASES,
    *dtypes.CASES,
    *sparse.CASES,
]
REFUSING = refusing.CASES

__all__ = [
    "ALL",
    "REFUSING",
    "SPECIAL",
    "UNSAFE",
    "Case",
    "case",
    "expected_of",
    "path_of",
    "run_tensorflow",
    "special",
]


def case(name: str) -> Case:
    """Return the case with this name, of any kind."""
    return next(case for case in [*ALL, *REFUSING, *UNSAFE, *SPECIAL] if case.name == name)
