"""How columns, inputs and near names are written in messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import pyarrow as pa

from tf2spark.dtypes import Shape, shape_text
from tf2spark.saved_model.contract import TensorSpec

_SHOWN = 12


def did_you_mean(name: str, known: Iterable[str], *, label: str) -> str:
    """Suggest the known names next to `name`, or list the first of all that there are."""
    names = list(dict.fromkeys(known))
    if near := near_names(name, names):
        return "did you mean " + " or ".join(f'"{one}"' for one in near) + "?"
    return f"the {label}s are {listed(names)}" if names else f"there is no {label}"


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that look like `name`, the nearest first, three at most."""
    folded = {one.casefold(): one for one in known}
    if name.casefold() in folded:
        return [folded[name.casefold()]]
    near = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)
    return [folded[one] for one in near]


def listed(names: Iterable[str]) -> str:
    """Write names as a list, the first of them where they are many."""
    every = list(names)
    shown = ", ".join(f'"{one}"' for one in every[:_SHOWN])
    return shown + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")


def input_text(spec: TensorSpec) -> str:
    """Name an input with dtype and shape: ``input "x" (float32 [None, 8])``."""
    kind = "" if spec.kind == "dense" else f"{spec.kind} "
    return f'input "{spec.name}" ({kind}{spec.dtype} {shape_text(spec.shape)})'


def output_text(spec: TensorSpec) -> str:
    """Name an output with dtype and shape: ``output "y" (float32 [None, 1])``."""
    return f'output "{spec.name}" ({spec.dtype} {shape_text(spec.shape)})'


def row_text(dims: Shape) -> str:
    """Say what an input takes for a row of these dimensions: ``8 values a row``."""
    if dims is None:
        return "anything"
    if not dims:
        return "one value a row"
    if len(dims) > 1:
        return f"values of shape {shape_text(dims)} a row"
    return "a list a row" if dims[0] is None else f"{dims[0]} values a row"


def type_text(kind: pa.DataType) -> str:
    """Write an Arrow type as Spark's users know it: ``array<float>``, ``vector``, ``bigint``."""
    types = pa.types
    if any(is_one(kind) for is_one in _LISTS):
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
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    if types.is_dictionary(kind):
        return type_text(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return type_text(kind.storage_type)
    return _SPARK_NAMES.get(str(kind), str(kind))


_LISTS = (
    pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list,
    pa.types.is_list_view, pa.types.is_large_list_view,
)  # fmt: skip
_SPARK_NAMES = {
    "bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
    "large_string": "string", "large_binary": "binary", "string_view": "string",
    "binary_view": "binary", "date32[day]": "date", "date64[ms]": "date", "null": "void",
}  # fmt: skip


def is_vector(kind: pa.DataType) -> bool:
    """Say whether a type is MLlib's vector as it stands in Arrow (``VectorUDT.sqlType``)."""
    if not pa.types.is_struct(kind):
        return False
    names = [kind.field(i).name for i in range(kind.num_fields)]
    return names == ["type", "size", "indices", "values"] and pa.types.is_int8(kind.field(0).type)
