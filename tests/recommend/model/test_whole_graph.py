"""How many pairs of a user share a run of the whole graph."""

from __future__ import annotations

import pytest

from tf2spark.dtypes import FLOAT32
from tf2spark.plan.score import ModelRef, OutputPlan, Plan
from tf2spark.recommend.model.whole_graph import WholeGraph

OUTPUT = OutputPlan("score", "y", ("y:0",), FLOAT32, (), FLOAT32.arrow)
GRAPH = WholeGraph(
    Plan(ModelRef("", (), ""), (), (OUTPUT,), fixed_rows=8), (2, 5), ("user:a", "user:b"), ("c",), 1
)


@pytest.mark.parametrize(
    ("items", "row_wise", "rows"),
    [(0, True, 1), (0, False, 1), (100, True, 100), (100, False, 100),
     (100_000, True, 1 << 14), (100_000, False, 100_000)],
)  # fmt: skip
def test_all_items_share_a_run_unless_rows_are_independent(
    items: int, row_wise: bool, rows: int
) -> None:
    """A score that depends on the other pairs is right only if all items are in the run."""
    assert GRAPH.strategy(items, row_wise=row_wise).items_per_run == rows


def test_everything_else_is_as_it_was_bound() -> None:
    """Columns of users, the entry that is the score, and a fixed batch."""
    strategy = GRAPH.strategy(10, row_wise=True)
    assert (strategy.user_columns, strategy.user_names) == ((2, 5), ("user:a", "user:b"))
    assert (strategy.output, strategy.column, strategy.fixed_rows) == (OUTPUT, 1, 8)
