"""The catalog's side of a job: its ids checked and in order, its values in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf2spark.binding.messages import did_you_mean, type_text
from tf2spark.conversion.arrow_buffers import values_of
from tf2spark.errors import ContractError, RowError
from tf2spark.graph_split.forms import Array, Side
from tf2spark.plan.recommend import IDS_FILE, ITEMS_FILE, ItemTensor
from tf2spark.recommend.files import write_item_tensor, write_table


def check_id(schema: pa.Schema, name: str, argument: str, table: str) -> pa.DataType:
    """Return the type of an id column: integers or strings.

    Raises:
        ContractError: There is no such column, or it is of another type.
    """
    if name not in schema.names:
        near = did_you_mean(name, schema.names, label="column")
        raise ContractError(
            f'{table} have no column "{name}": name their id, {argument}=...; {near}'
        )
    return schema.field(name).type


def id_type(schema: pa.Schema, name: str) -> pa.DataType:
    """Return the type of item ids in the result.

    Raises:
        ContractError: The column isn't one of integers or strings.
    """
    kind = check_id(schema, name, "item_id", "the items")
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_integer(kind):
        return kind
    if pa.types.is_large_string(kind):
        return pa.string()
    raise ContractError(
        f'item ids are integers or strings, and "{name}" of the items is {type_text(kind)}: cast it'
    )


def in_order(table: pa.Table, name: str) -> pa.Table:
    """Return items by rising id; errors are those of `id_order`."""
    ids, order = id_order(table.column(name), name)
    place = table.schema.get_field_index(name)
    return table.take(order).set_column(place, name, ids)


def id_order(ids: pa.ChunkedArray, name: str) -> tuple[pa.Array, pa.Array]:
    """Return ids rising (strings by their bytes, as Spark orders them), and where each was.

    Raises:
        ContractError: An id is null, or comes twice.
    """
    if pa.types.is_dictionary(ids.type):
        ids = ids.cast(ids.type.value_type)
    if ids.null_count:
        raise ContractError(
            f'{ids.null_count:,} of {len(ids):,} items have no id ("{name}" is null): leave them '
            f'out, items.where("{name} is not null")'
        )
    order = pc.sort_indices(ids)
    ordered = ids.take(order).combine_chunks()
    if isinstance(ordered, pa.ChunkedArray):
        ordered = ordered.chunk(0) if ordered.num_chunks else pa.array([], ordered.type)
    _refuse_twice(ordered, name)
    return ordered, order


def _refuse_twice(ids: pa.Array, name: str) -> None:
    if len(ids) < 2:
        return
    same = values_of(pc.equal(ids.slice(0, len(ids) - 1), ids.slice(1)))
    if same.any():
        first, more = ids[int(np.argmax(same))].as_py(), int(same.sum())
        raise ContractError(
            f'item ids must differ: "{name}" {first!r} comes more than once ({more:,} rows too '
            f'many); leave one of each, items.dropDuplicates(["{name}"])'
        )


def item_error(error: RowError) -> RowError:
    """Return the error of an item that can't be scored, without advice that is for users."""
    said = str(error).partition(". mode=")[0]
    return RowError(f"an item can't be scored, so that nobody can be recommended it: {said}")


def write_ids(tree: Path, ids: pa.Array, kind: pa.DataType) -> None:
    """Write the ids of items, in order."""
    write_table(tree, IDS_FILE, pa.table({"id": ids.cast(kind)}))


def value_column(place: int) -> str:
    """Return the name of the column of an item's value."""
    return f"tf2spark_value_{place}"


def write_values(
    tree: Path, table: pa.Table, order: pa.Array, wanted: tuple[tuple[Side, str], ...]
) -> tuple[ItemTensor, ...]:
    """Write what was computed for every item, a column each (`value_column`), in this order."""
    where = values_of(order)
    return tuple(
        write_item_tensor(
            tree,
            place,
            placeholder,
            value.dtype,
            _array(table.column(value_column(place)), value),
            where,
        )
        for place, (value, placeholder) in enumerate(wanted)
    )


def _array(column: pa.ChunkedArray, value: Side) -> Array:
    """Return lists, nested as deep as a row has dimensions, as one array."""
    dims = tuple(size or 0 for size in value.dims)
    chunks = []
    for chunk in column.chunks:
        while pa.types.is_list(chunk.type):
            chunk = chunk.flatten()
        chunks.append(values_of(chunk).astype(value.dtype.numpy, copy=False))
    flat = np.concatenate(chunks) if chunks else np.zeros(0, value.dtype.numpy)
    return flat.reshape(len(column), *dims)


def write_columns(tree: Path, table: pa.Table, names: tuple[str, ...]) -> None:
    """Write the columns of items that the whole graph is fed, as a batch of pairs names them."""
    named = table.select(names).rename_columns([f"item:{name}" for name in names])
    # A table without columns would have no rows either.
    write_table(tree, ITEMS_FILE, named if names else pa.table({"item:": pa.nulls(len(table))}))
