"""A plan's files come from reads of the items that agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from attrs import evolve, field, frozen

import tf2spark
from cases import recommenders
from cases.recommenders.running import path_of
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import SideName
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.arguments import make_arguments
from tf2spark.recommend.prepare import prepare
from tf2spark.recommend.table_checks import checked_sides
from tf2spark.recommend.tables import SAMPLED_ROWS, ArrowTables
from tf2spark.runnable.recommend import pair_model, ranking_request


@frozen(eq=False)
class MovingIds(ArrowTables):
    """Items that get higher ids with each read, as a query may give them that has no order."""

    step: int = 0
    _reads: Iterator[int] = field(factory=itertools.count, init=False)

    def _read(self) -> ArrowTables:
        ids = pc.add(self.item_table["item_id"], next(self._reads) * self.step)
        place = self.item_table.schema.get_field_index("item_id")
        return ArrowTables(self.user_table, self.item_table.set_column(place, "item_id", ids))

    def sample(self, side: SideName, rows: int = SAMPLED_ROWS) -> pa.Table:
        return self._read().sample(side, rows)

    def items(self, columns: Sequence[str]) -> pa.Table:
        return self._read().items(columns)

    def scored_items(
        self, request: Request, item_id: str, model: ModelRef, run_rows: int | None = None
    ) -> pa.Table:
        return self._read().scored_items(request, item_id, model, run_rows)


@pytest.mark.parametrize(
    ("name", "step"),
    [("wide_and_deep", 10**6), ("deepfm_keras", 1)],
)
def test_items_with_other_ids_in_each_read_are_refused(
    name: str, step: int, tmp_path: Path
) -> None:
    """No item gets another one's id, or the columns of another one for the whole graph."""
    case = recommenders.case(name)
    runnable = tf2spark.SavedModel(path_of(case))._runnable
    request = ranking_request(runnable, case.feed, case.score, None)
    tables = MovingIds(case.users(9), case.items(20), step)
    arguments = make_arguments(3, "user_id", "item_id", None, None, None, "failfast")
    sides = checked_sides(request, arguments, tables)
    model = pair_model(runnable, request, case.score, None)
    same = prepare(model, sides, arguments, evolve(tables, step=0), tmp_path)
    assert (same.plan.fallback is not None) == (step == 1)
    with pytest.raises(ContractError, match="each time that they are read"):
        prepare(model, sides, arguments, tables, tmp_path)
