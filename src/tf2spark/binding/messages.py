"""How messages write columns and inputs, and which names they suggest."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import pyarrow as pa

from tf2spark.dtypes import Shape, shape_text
from tf2spark.errors import reader
from tf2spark.saved_model.contract import TensorSpec

_SHOWN = 12


def did_you_mean(name: str, known: Iterable[str], *, label: str) -> str:
    """Suggest the known names that are close to `name`, or list the first few known names."""
    names = list(dict.fromkeys(known))
    if nearest := near_names(name, names):
        return "did you mean " + " or ".join(f'"{similar}"' for similar in nearest) + "?"
    return f"the {label}s are {listed(names)}" if names else f"there is no {label}"


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return at most three known names that look like `name`, the nearest first."""
    by_folded = {known_name.casefold(): known_name for known_name in known}
    if name.casefold() in by_folded:
        return [by_folded[name.casefold()]]
    nearest = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)
    return [by_folded[folded] for folded in nearest]


def listed(names: Iterable[str]) -> str:
    """Write names as a list, cut short if there are many."""
    all_names = list(names)
    shown = ", ".join(f'"{name}"' for name in all_names[:_SHOWN])
    return shown + (f" and {len(all_names) - _SHOWN} more" if len(all_names) > _SHOWN else "")


def input_text(spec: TensorSpec) -> str:
    """Name an input with dtype and shape: ``input "x" (float32 [None, 8])``.

    For an input that TF2 took out of a nested argument, that is added: ``features["age"]``.
    """
    kind = "" if spec.kind == "dense" else f"{spec.kind} "
    place = f", {spec.argument}" if spec.argument else ""
    return f'input "{spec.name}" ({kind}{spec.dtype} {shape_text(spec.shape)}{place})'


def output_text(spec: TensorSpec) -> str:
    """Name an output with dtype and shape: ``output "y" (float32 [None, 1])``."""
    return f'output "{spec.name}" ({spec.dtype} {shape_text(spec.shape)})'


def row_text(dims: Shape) -> str:
    """Say what an input takes for a row of these dimensions: ``8 values per row``."""
    if dims is None:
        return "anything"
    if not dims:
        return "one value per row"
    if len(dims) > 1:
        return f"values of shape {shape_text(dims)} per row"
    return "a list per row" if dims[0] is None else f"{dims[0]} values per row"


def type_text(kind: pa.DataType) -> str:
    """Write a column type as the reader of the message does.

    That is ``array<float>`` or ``bigint``, as Spark SQL does; ``list of float32`` or ``int64`` for
    pandas; or ``list<item: float>``, as pyarrow does.
    """
    match reader():
        case "arrow":
            return str(kind)
        case "pandas":
            return _pandas_text(kind)
        case _:
            return _spark_text(kind)


def _spark_text(kind: pa.DataType) -> str:
    types = pa.types
    if _is_any_list(kind):
        return f"array<{_spark_text(kind.value_type)}>"
    if types.is_map(kind):
        return f"map<{_spark_text(kind.key_type)}, {_spark_text(kind.item_type)}>"
    if types.is_struct(kind):
        if is_vector(kind):
            return "vector"
        if is_variant(kind):
            return "variant"
        fields = ", ".join(f"{field.name}: {_spark_text(field.type)}" for field in kind)
        return f"struct<{fields}>"
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    if types.is_dictionary(kind):
        return _spark_text(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _spark_text(kind.storage_type)
    return _SPARK_NAMES.get(str(kind), str(kind))


def _pandas_text(kind: pa.DataType) -> str:
    types = pa.types
    if _is_any_list(kind):
        return f"list of {_pandas_text(kind.value_type)}"
    if types.is_map(kind):
        return f"map of {_pandas_text(kind.key_type)} to {_pandas_text(kind.item_type)}"
    if types.is_struct(kind):
        if is_vector(kind):
            return "vector"
        fields = ", ".join(f"{field.name}: {_pandas_text(field.type)}" for field in kind)
        return f"dict of {fields}" if fields else "dict"
    if types.is_dictionary(kind):
        return _pandas_text(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _pandas_text(kind.storage_type)
    for is_kind, name in _PANDAS_KINDS:
        if is_kind(kind):
            return name
    return _PANDAS_NAMES.get(str(kind), str(kind))


def _is_any_list(kind: pa.DataType) -> bool:
    return any(is_list_type(kind) for is_list_type in _LIST_TYPES)


_LIST_TYPES = (
    pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list,
    pa.types.is_list_view, pa.types.is_large_list_view,
)  # fmt: skip
_SPARK_NAMES = {
    "bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
    "large_string": "string", "large_binary": "binary", "string_view": "string",
    "binary_view": "binary", "date32[day]": "date", "date64[ms]": "date", "null": "void",
    "duration[us]": "interval day to second", "month_day_nano_interval": "interval",
}  # fmt: skip

_PANDAS_KINDS = (
    (pa.types.is_decimal, "Decimal"), (pa.types.is_timestamp, "datetime64"),
    (pa.types.is_duration, "timedelta64"), (pa.types.is_date, "date"), (pa.types.is_time, "time"),
)  # fmt: skip
_PANDAS_NAMES = {
    "halffloat": "float16", "float": "float32", "double": "float64", "null": "only missing values",
    "large_string": "string", "string_view": "string", "binary": "bytes", "large_binary": "bytes",
    "binary_view": "bytes",
}  # fmt: skip


def is_vector(kind: pa.DataType) -> bool:
    """Return whether a type is MLlib's vector as Arrow represents it (``VectorUDT.sqlType``)."""
    if not pa.types.is_struct(kind):
        return False
    names = [field.name for field in kind]
    return names == ["type", "size", "indices", "values"] and pa.types.is_int8(kind.field(0).type)


def is_variant(kind: pa.DataType) -> bool:
    """Return whether a type is Spark's variant as Arrow represents it (`to_arrow_type`)."""
    if not pa.types.is_struct(kind) or [field.name for field in kind] != ["value", "metadata"]:
        return False
    return (kind.field(1).metadata or {}).get(b"variant") == b"true"
