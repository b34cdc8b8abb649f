"""How columns, inputs and near names are written in messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import pyarrow as pa

from tf2spark.contract import TensorSpec, shape_text


def did_you_mean(name: str, known: Iterable[str], *, label: str) -> str:
    """Suggest the known names next to `name`, or list the first of all that there are."""
    names = list(dict.fromkeys(known))
    folded = {one.casefold(): one for one in names}
    near = [folded[n] for n in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    if near:
        return "did you mean " + " or ".join(f'"{one}"' for one in near) + "?"
    if not names:
        return f"there is no {label}"
    shown = ", ".join(f'"{one}"' for one in names[:12])
    return f"the {label}s are {shown}" + (", ..." if len(names) > 12 else "")


def input_text(spec: TensorSpec) -> str:
    """Name an input with dtype and shape: ``input "x" (float32 [None, 8])``."""
    kind = "" if spec.kind == "dense" else f"{spec.kind} "
    return f'input "{spec.name}" ({kind}{spec.dtype} {shape_text(spec.shape)})'


def output_text(spec: TensorSpec) -> str:
    """Name an output with dtype and shape: ``output "y" (float32 [None, 1])``."""
    return f'output "{spec.name}" ({spec.dtype} {shape_text(spec.shape)})'


def type_text(kind: pa.DataType) -> str:
    """Write an Arrow type as Spark's users know it: ``array<float>``, ``vector``, ``bigint``."""
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return f"array<{type_text(kind.value_type)}>"
    if types.is_map(kind):
        return f"map<{type_text(kind.key_type)}, {type_text(kind.item_type)}>"
    if types.is_struct(kind):
        if is_vector(kind):
            return "vector"
        inside = ", ".join(f"{f.name}: {type_text(f.type)}" for f in kind)
        return f"struct<{inside}>"
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return _SPARK_NAMES.get(str(kind), str(kind))


_SPARK_NAMES = {
    "bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
    "float": "float", "double": "double", "large_string": "string", "large_binary": "binary",
    "date32[day]": "date", "timestamp[us, tz=UTC]": "timestamp", "timestamp[us]": "timestamp",
}  # fmt: skip


def is_vector(kind: pa.DataType) -> bool:
    """Say whether a type is MLlib's vector as it stands in Arrow (``VectorUDT.sqlType``)."""
    if not pa.types.is_struct(kind):
        return False
    names = [kind.field(i).name for i in range(kind.num_fields)]
    return names == ["type", "size", "indices", "values"] and pa.types.is_int8(kind.field(0).type)
