"""Values of items that may depend on which other items are computed with them.

The whole graph scores one user against all items in one run, so an item's company is the catalog.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve

from tf2spark.binding.bind import bind
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.conversion.arrow_buffers import values_of
from tf2spark.conversion.rows import Array
from tf2spark.plan.score import ModelRef, read_columns
from tf2spark.recommend.tables import Tables
from tf2spark.worker.model_session import open_model
from tf2spark.worker.same_values import same_values
from tf2spark.worker.score_loop import score_batches

_ONE_RUN_ROWS = 8192
"""A catalog of up to this many items is one run in any case."""
_OTHER_RUN_ROWS = 1531
"""How many items a second run of a larger catalog takes; a prime, so that few runs are alike."""


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
    options = Options(keep=(item_id,), id_columns=(item_id,), audience=None)
    schema = tables.schemas["item"]
    read = read_columns(bind(request, schema, options, model))
    names = dict.fromkeys([item_id, *(schema.names[index] for index in read)])
    items = tables.items(list(names))
    if items.num_rows > _ONE_RUN_ROWS:
        usual = tables.scored_items(request, item_id, model)
        other = tables.scored_items(request, item_id, model, _OTHER_RUN_ROWS)
        if _same_values(usual, other, item_id):
            return usual, False
    return _score_in_one_run(items, request, options, model), True


def _score_in_one_run(
    items: pa.Table, request: Request, options: Options, model: ModelRef
) -> pa.Table:
    plan = bind(request, items.schema, options, model)
    rows = max(1, items.num_rows)
    plan = evolve(plan, batch_rows=rows, batch_bytes=_NO_LIMIT_BYTES, rows="batch")
    batches = items.combine_chunks().to_batches(max_chunksize=rows)
    kept = [items.schema.field(index) for index in plan.keep]
    schema = pa.schema([*kept, *plan.output_fields()])
    with closing(open_model(model, Path(model.path))) as session:
        scored = score_batches(plan, session, batches, location=" of the items")
        return pa.Table.from_batches(scored, schema=schema)


_NO_LIMIT_BYTES = 1 << 62


def _same_values(first: pa.Table, second: pa.Table, item_id: str) -> bool:
    """Say whether two tables have equal values for each id, whatever the order of their rows."""
    if first.num_rows != second.num_rows:
        return False
    orders = [pc.sort_indices(table.column(item_id)) for table in (first, second)]
    names = [name for name in first.column_names if name != item_id]
    return all(
        same_values(
            *(
                _flat(table.column(name).take(order))
                for table, order in zip((first, second), orders, strict=True)
            )
        )
        for name in names
    )


def _flat(column: pa.ChunkedArray) -> Array:
    chunks = []
    for chunk in column.chunks:
        while pa.types.is_list(chunk.type):
            chunk = chunk.flatten()
        chunks.append(values_of(chunk))
    return np.concatenate(chunks) if chunks else np.zeros(0)
