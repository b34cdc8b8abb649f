"""Arrow columns for tests, in all the layouts in which a batch can hold the same values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve
from hypothesis import strategies as st

from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import RowsRefused, RowsUneven
from tf2spark.dtypes import FLOAT32, DType
from tf2spark.plan.score import Form, InputPlan, Source
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.testing import fed_strings
from tf2spark.worker.batching import rows_by_key, select_rows

VECTOR = pa.struct(
    [
        ("type", pa.int8()),
        ("size", pa.int32()),
        ("indices", pa.list_(pa.int32())),
        ("values", pa.list_(pa.float64())),
    ]
)
PAIRS = pa.struct([("indices", pa.list_(pa.int64())), ("values", pa.list_(pa.float32()))])


def sparse(size: int | None, values: dict[int, float]) -> dict[str, Any]:
    return {"type": 0, "size": size, "indices": list(values), "values": list(values.values())}


def dense(*values: float) -> dict[str, Any]:
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def source(kind: pa.DataType, *, column: int = 0, **rest: Any) -> Source:
    """Make a source as binding does."""
    label = rest.pop("label", "x")
    if pa.types.is_map(kind):
        return Source(label, column, (), "map", kind.item_type, **rest)
    if pa.types.is_struct(kind):
        layout: Any = "vector" if kind == VECTOR else "pairs"
        return Source(label, column, (), layout, kind.field("values").type.value_type, **rest)
    depth = 0
    while is_list(kind):
        kind, depth = kind.value_type, depth + 1
    leaf = kind.value_type if pa.types.is_dictionary(kind) else kind
    return Source(label, column, (), "list", leaf, depth, **rest)


def is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def plan(
    *sources: Source,
    form: Form = "dense",
    dtype: DType = FLOAT32,
    dims: tuple[int | None, ...] = (None,),
    **rest: Any,
) -> InputPlan:
    return InputPlan("in", ("in:0",), form, dtype, dims, sources, **rest)


def batch_of(*arrays: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(arrays), names=[f"c{i}" for i in range(len(arrays))])


def in_struct(array: pa.Array, nulls: list[bool]) -> pa.Array:
    """Put an array into a struct that is null in some rows, where the array still has values."""
    return pa.StructArray.from_arrays([array], ["f"], mask=pa.array(nulls, pa.bool_()))


def sliced(array: pa.Array) -> pa.Array:
    """Return the same values as a slice from the middle of a longer array."""
    return pa.concat_arrays([backwards(array), array, array]).slice(len(array), len(array))


def backwards(array: pa.Array) -> pa.Array:
    """Return the values in reverse order, so that most rows have another value."""
    return array.take(pa.array(range(len(array) - 1, -1, -1), pa.int64()))


def lay_out(array: pa.Array, layout: str) -> tuple[pa.RecordBatch, tuple[str, ...]]:
    """Return a batch with these values in a given layout, and the fields that lead to them."""
    match layout:
        case "array slice":
            return batch_of(sliced(array)), ()
        case "batch slice":
            longer = pa.concat_arrays([backwards(array), array, array])
            return batch_of(longer).slice(len(array), len(array)), ()
        case "struct slice":
            longer = pa.concat_arrays([backwards(array), array])
            mask = [True] * len(array) + [False] * len(array)
            return batch_of(in_struct(longer, mask)).slice(len(array)), ("f",)
        case _:
            return batch_of(array), ()


LAYOUTS = st.sampled_from(["plain", "array slice", "batch slice", "struct slice"])


def value(tensor: Tensor) -> Any:
    """Return a tensor's values as nested lists."""
    if tensor.dtype.numpy is None:
        texts = fed_strings(tensor)
        flat = np.empty(len(texts), object)
        flat[:] = texts
        return flat.reshape(tensor.shape).tolist()
    return tensor.data.reshape(tensor.shape).tolist()


def fed(spec: InputPlan, batch: pa.RecordBatch, limit_bytes: int | None = None) -> list[Any]:
    """Return what the tensors of one input hold for a batch that can be fed at once."""
    return [value(tensor) for tensor in feeder(spec, limit_bytes)(batch)]


def row_values(
    spec: InputPlan,
    batch: pa.RecordBatch,
    pick: Callable[[Any, int], Any] = lambda v, row: v[0][row],
) -> tuple[dict[int, Any], dict[int, str]]:
    """Feed every row that can be fed, in groups if need be; return values and reasons by row."""
    feed = feeder(spec, None)
    values: dict[int, Any] = {}
    reasons: dict[int, str] = {}
    todo = [np.arange(batch.num_rows)]
    while todo:
        rows = todo.pop()
        if not len(rows):
            continue
        try:
            tensors = [value(tensor) for tensor in feed(select_rows(batch, rows))]
        except RowsRefused as refused:
            reasons |= dict(zip(rows[refused.rows].tolist(), refused.reasons, strict=True))
            todo.append(np.delete(rows, refused.rows))
        except RowsUneven as uneven:
            todo += [rows[part] for part in rows_by_key(uneven.keys)]
        else:
            values |= {row: pick(tensors, i) for i, row in enumerate(rows.tolist())}
    return values, reasons


def with_fields(spec: InputPlan, fields: tuple[str, ...]) -> InputPlan:
    return evolve(spec, sources=tuple(evolve(part, fields=fields) for part in spec.sources))
