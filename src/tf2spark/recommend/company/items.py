"""Values of items that may depend on which other items are computed with them.

The whole graph scores one user against all items in one run, so an item's company is the catalog.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve

from tf2spark.binding.bind import bind
from tf2spark.binding.request import Request
from tf2spark.plan.score import ModelRef, read_columns
from tf2spark.recommend.catalog.items import flat_values, item_options, score_items
from tf2spark.recommend.tables import Tables
from tf2spark.worker.row_probe import same_values

_ONE_RUN_ROWS = 8192
"""A catalog of up to this many items is one run in any case."""
_OTHER_RUN_ROWS = 1531
"""How many items a second run of a larger catalog takes; a prime, so that few runs are alike."""
_NO_LIMIT_BYTES = 1 << 62


def score_in_company(
    tables: Tables, request: Request, item_id: str, model: ModelRef
) -> tuple[pa.Table, bool]:
    """Return the outputs of a request for every item, its id first, as in one run of all items.

    A large catalog is computed twice, in runs of two sizes. Only where this changes a value are all
    items computed in one run, on the driver.

    Returns:
        The outputs, and whether they were computed in one run.

    Raises:
        RowError: An item can't be scored.
    """
    options = item_options(item_id)
    items = tables.sample("item", _ONE_RUN_ROWS + 1)
    if items.num_rows > _ONE_RUN_ROWS:
        usual = tables.scored_items(request, item_id, model)
        other = tables.scored_items(request, item_id, model, _OTHER_RUN_ROWS)
        if _same_values(usual, other, item_id, request):
            return usual, False
        read = read_columns(bind(request, items.schema, options, model))
        names = dict.fromkeys([item_id, *(items.schema.names[index] for index in read)])
        items = tables.items(list(names))
    plan, rows = bind(request, items.schema, options, model), max(1, items.num_rows)
    plan = evolve(plan, batch_rows=rows, batch_bytes=_NO_LIMIT_BYTES, rows="batch")
    return score_items(items.combine_chunks(), plan, rows), True


def _same_values(first: pa.Table, second: pa.Table, item_id: str, request: Request) -> bool:
    """Say whether two tables have equal values for each id, whatever the order of their rows."""
    if first.num_rows != second.num_rows:
        return False
    orders = [pc.sort_indices(table.column(item_id)) for table in (first, second)]
    return all(
        same_values(
            *(
                flat_values(table.column(output.column).take(order), output.spec.dtype)
                for table, order in zip((first, second), orders, strict=True)
            )
        )
        for output in request.outputs
    )
