"""A zoo of tiny SavedModels, made by TensorFlow, with TensorFlow's own answers.

Each `Case` is a model, a table that fits it, the arguments of `SavedModel.score`, and the feeds
that TensorFlow is run with directly. They are written by hand in plain NumPy, so that no
conversion of tf2spark's has a part in the answer::

    from cases.models import ALL, case, expected_of, path_of

    @pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
    def test_scores(case):
        table = case.table(23)
        model = tf2spark.SavedModel(path_of(case))
        scored = model.score(table, feed=case.feed, fetch=case.fetch, keep=[], **case.kwargs)
        assert_same(scored, expected_of(case, table))

`path_of` makes a model at its first use and keeps it until the process ends; cases may share one.
`expected_of` returns an array for every column, rows first; pass it just the rows that ran
together, where equal bits are asked for. Any number of rows from 1 works; about 20 show everything.

`ALL` can be scored, every row of them. `REFUSING` have rows that can't be (`Case.refused`); ask
`expected_of` for ``table.filter(~mask)``. `UNSAFE` need `allow_ops`. `APART` each need a test of
their own: "binary" (bytes that are no text), "counter" (every run adds 1 to the result), "summary"
(of its outputs only "row" has one value a row; "summary_row" fetches that one) and "complex" (its
output "y" has a dtype that Spark hasn't).
"""

from __future__ import annotations

from cases.models import apart, dtypes, keras2_models, keras_models, modules, refusing, sparse, tf1
from cases.models.apart import APART, UNSAFE
from cases.models.case import Case
from cases.models.running import expected_of, path_of, run_tensorflow

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
    "APART",
    "REFUSING",
    "UNSAFE",
    "Case",
    "apart",
    "case",
    "expected_of",
    "path_of",
    "run_tensorflow",
]


def case(name: str) -> Case:
    """Return the case of that name, of whatever kind."""
    return next(one for one in [*ALL, *REFUSING, *UNSAFE, *APART] if one.name == name)
