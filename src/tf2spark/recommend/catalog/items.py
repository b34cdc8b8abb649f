"""The catalog of a job: item ids, checked and sorted, and item values, written to files."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf2spark.binding.messages import did_you_mean, type_text
from tf2spark.binding.options import Options
from tf2spark.conversion.arrow_buffers import values_of
from tf2spark.conversion.rows import Array
from tf2spark.dtypes import DType
from tf2spark.errors import Advice, ContractError, RowError, argument
from tf2spark.graph_split.forms import Side
from tf2spark.plan.recommend import IDS_FILE, ITEMS_FILE, ItemTensor
from tf2spark.plan.score import Plan
from tf2spark.recommend.catalog.files import write_item_tensor, write_table
from tf2spark.worker.model_session import open_model
from tf2spark.worker.score_loop import score_batches

_BATCH_ROWS = 10_000
_FIRST_ROWS = 32
_PATIENCE_SECONDS = 0.5
"""How long the driver computes items before it leaves them to Spark's workers."""


def id_column_type(schema: pa.Schema, name: str, id_argument: str, table: str) -> pa.DataType:
    """Return the type of a table's id column.

    Args:
        schema: The table's columns.
        name: The id column.
        id_argument: The argument that named it: ``user_id`` or ``item_id``.
        table: What a message calls the table: "the users".

    Raises:
        ContractError: There is no such column, or more than one.
    """
    if name not in schema.names:
        near = did_you_mean(name, schema.names, label="column")
        raise ContractError(
            f'{table} have no column "{name}"',
            "name their id with " + argument(id_argument) + f"; {near}",
        )
    if (count := schema.names.count(name)) > 1:
        raise ContractError(f'{table} have {count} columns "{name}"', "rename all but one")
    return schema.field(name).type


def item_id_type(schema: pa.Schema, name: str) -> pa.DataType:
    """Return the type of item ids in the result.

    Raises:
        ContractError: There is no such column, or more than one, or it has neither integers nor
            strings.
    """
    id_type = id_column_type(schema, name, "item_id", "the items")
    if pa.types.is_dictionary(id_type):
        id_type = id_type.value_type
    if pa.types.is_string(id_type) or pa.types.is_integer(id_type):
        return id_type
    if pa.types.is_large_string(id_type):
        return pa.string()
    raise ContractError(
        f'item ids must be integers or strings, but "{name}" of the items is {type_text(id_type)}',
        "cast it",
    )


def sort_by_id(table: pa.Table, name: str) -> pa.Table:
    """Return items in ascending order of their ids; raises as `sort_ids` does."""
    ids, order = sort_ids(table.column(name), name)
    return table.take(order).set_column(table.schema.get_field_index(name), name, ids)


def sort_ids(ids: pa.ChunkedArray, name: str) -> tuple[pa.Array, pa.Array]:
    """Return ids in ascending order (strings by their bytes, as in Spark), and the rows they had.

    Raises:
        ContractError: An id is null or occurs twice.
    """
    if pa.types.is_dictionary(ids.type):
        ids = ids.cast(ids.type.value_type)
    if ids.null_count:
        raise ContractError(
            f'{ids.null_count:,} of {len(ids):,} items have no id ("{name}" is null)',
            Advice(
                f'leave them out, items.where("{name} is not null")',
                "leave them out",
                pandas=f'leave them out, items.dropna(subset=["{name}"])',
                arrow=f'leave them out, items.filter(pc.field("{name}").is_valid())',
            ),
        )
    order = pc.sort_indices(ids)
    sorted_ids = ids.take(order).combine_chunks()
    if isinstance(sorted_ids, pa.ChunkedArray):
        no_ids = pa.array([], sorted_ids.type)
        sorted_ids = sorted_ids.chunk(0) if sorted_ids.num_chunks else no_ids
    _refuse_duplicates(sorted_ids, name)
    return sorted_ids, order


def _refuse_duplicates(ids: pa.Array, name: str) -> None:
    if len(ids) < 2:
        return
    is_repeated = values_of(pc.equal(ids.slice(0, len(ids) - 1), ids.slice(1)))
    if is_repeated.any():
        first, rows = ids[int(np.argmax(is_repeated))].as_py(), int(is_repeated.sum())
        raise ContractError(
            f'item ids must be unique, but "{name}" {first!r} occurs more than once '
            f"(repeated rows: {rows:,})",
            Advice(
                f'keep one row of each, items.dropDuplicates(["{name}"])',
                "keep one row of each",
                pandas=f'keep one row of each, items.drop_duplicates("{name}")',
                arrow="keep one row of each",
            ),
        )


def unequal_ids(name: str) -> ContractError:
    """Return the error of items whose query gives other rows each time that it runs."""
    return ContractError(
        f'the items have other ids ("{name}") each time that they are read, as with a limit '
        "without an order",
        "write them to a table first, and read that",
    )


def item_error(error: RowError) -> RowError:
    """Return the error of an item that can't be scored."""
    return RowError(f"an item can't be scored, so it can't be recommended: {error.problem}")


def write_ids(tree: Path, ids: pa.Array, id_type: pa.DataType) -> None:
    """Write the item ids, which are sorted."""
    write_table(tree, IDS_FILE, pa.table({"id": ids.cast(id_type)}))


def value_column(number: int) -> str:
    """Return the name of the column with an item value."""
    return f"tf2spark_value_{number}"


def write_values(
    tree: Path, table: pa.Table, order: pa.Array, values: tuple[tuple[Side, str], ...]
) -> tuple[ItemTensor, ...]:
    """Write the values that were computed for every item.

    Args:
        tree: The model's folder.
        table: The items, with a column per value (`value_column`).
        order: The rows of `table` in ascending order of the item ids.
        values: The values and the placeholders that they are fed to.
    """
    row_order = values_of(order)
    return tuple(
        write_item_tensor(
            tree,
            number,
            placeholder,
            value.dtype,
            flat_values(table.column(value_column(number)), value.dtype).reshape(
                table.num_rows, *(size or 0 for size in value.dims)
            ),
            row_order,
        )
        for number, (value, placeholder) in enumerate(values)
    )


def flat_values(column: pa.ChunkedArray, dtype: DType) -> Array:
    """Return the numbers in a column, or in its lists nested to any depth, one after another."""
    chunks = []
    for chunk in column.chunks:
        while pa.types.is_list(chunk.type):
            chunk = chunk.flatten()
        chunks.append(values_of(chunk).astype(dtype.numpy, copy=False))
    return np.concatenate(chunks) if chunks else np.zeros(0, dtype.numpy)


def item_options(item_id: str, run_rows: int | None = None) -> Options:
    """Return how the items' own values are computed: what names an item, and its id beside them.

    Args:
        item_id: The items' id column.
        run_rows: The most items of a run; None for the default.
    """
    return Options(keep=(item_id,), id_columns=(item_id,), audience=None, batch_rows=run_rows)


def score_items(items: pa.Table, plan: Plan, rows: int = _BATCH_ROWS) -> pa.Table:
    """Score items in this process, and return them with the plan's columns.

    Args:
        items: The items.
        plan: What to do; it was bound to their columns.
        rows: The most rows of a batch.

    Raises:
        RowError: An item can't be scored.
    """
    return _scored_table(items, plan, _score(items.to_batches(max_chunksize=rows), plan))


def score_quickly(items: pa.Table, plan: Plan) -> pa.Table | None:
    """Score items in this process, unless that turns out to take long.

    The batches grow, so that little is lost where it does.

    Returns:
        What `score_items` does; None where it takes longer than `_PATIENCE_SECONDS`.

    Raises:
        RowError: An item can't be scored.
    """
    deadline, scored = time.monotonic() + _PATIENCE_SECONDS, []
    with closing(_score(_growing_batches(items), plan)) as batches:
        for batch in batches:
            scored.append(batch)
            if time.monotonic() > deadline:
                break
    is_whole = sum(batch.num_rows for batch in scored) == items.num_rows
    return _scored_table(items, plan, scored) if is_whole else None


def _growing_batches(items: pa.Table) -> Iterator[pa.RecordBatch]:
    start, rows = 0, _FIRST_ROWS
    while start < items.num_rows:
        yield from items.slice(start, rows).combine_chunks().to_batches()
        start, rows = start + rows, min(4 * rows, _BATCH_ROWS)


def _score(batches: Iterable[pa.RecordBatch], plan: Plan) -> Generator[pa.RecordBatch, None, None]:
    # No other call can use the model: its catalog is part of it.
    with closing(open_model(plan.model, Path(plan.model.path))) as session:
        yield from score_batches(plan, session, batches, location=" of the items")


def _scored_table(items: pa.Table, plan: Plan, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    kept = [items.schema.field(index) for index in plan.keep]
    schema = pa.schema([*kept, *plan.output_fields()])
    return pa.Table.from_batches(batches if items.num_rows else (), schema=schema)


def write_columns(tree: Path, table: pa.Table, names: tuple[str, ...]) -> None:
    """Write the items' columns that the whole graph is fed, under their names in a batch of pairs.

    A table without columns would lose its row count, so there is always one column.
    """
    named = table.select(names).rename_columns([f"item:{name}" for name in names])
    write_table(tree, ITEMS_FILE, named if names else pa.table({"item:": pa.nulls(len(table))}))
