"""Where a column's values are in a table: names resolved against its Arrow schema."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.feeds import Column
from tf2spark.binding.messages import did_you_mean, is_vector, type_text
from tf2spark.errors import ContractError
from tf2spark.plan.score import Layout, Source, VectorField

_IMAGE = ["origin", "height", "width", "nChannels", "mode", "data"]
_VECTOR_FIELDS: dict[str, VectorField] = {
    "indices": "indices", "keys": "indices", "ids": "indices", "values": "values", "size": "size",
}  # fmt: skip


def has_column(names: Iterable[str], path: str) -> bool:
    """Return whether one of a table's columns is what a path names or begins with."""
    return any(path == name or path.startswith(f"{name}.") for name in names)


def resolve(column: Column, schema: pa.Schema, used_by: str) -> Source:
    """Find a column, or the field inside one that a dotted path names.

    Args:
        column: The path. A column whose own name has dots takes precedence over a nested field.
        schema: The table.
        used_by: What reads it, for the message: ``input "x" (float32 [None, 8])``.

    Raises:
        ContractError: There is no such column or field, or two columns have its name.
    """
    names = list(schema.names)
    head, rest = _head(column.path, names)
    if head is None:
        suggestion = did_you_mean(column.path, names, label="column")
        raise ContractError(f'{used_by}: the table has no column "{column.path}"', suggestion)
    if names.count(head) > 1:
        raise ContractError(
            f'{used_by}: the table has {names.count(head)} columns "{head}"', "rename all but one"
        )
    index = names.index(head)
    source = Source(column.path, index, (), "list", schema.field(index).type)
    return _descend(source, rest, used_by)


def type_of(source: Source, schema: pa.Schema) -> pa.DataType:
    """Return the type of a source's column or field, even if only a part of it is fed."""
    kind = schema.field(source.column).type
    for name in source.fields:
        kind = _storage_type(kind).field(name).type
    return _storage_type(kind)


def has_size(source: Source, kind: pa.DataType) -> bool:
    """Return whether each row of a whole column of this layout has a width."""
    if source.layout == "pairs":
        return bool(kind.get_field_index("size") >= 0)
    return source.layout != "map"


def _head(path: str, names: list[str]) -> tuple[str | None, list[str]]:
    """Split a path into the longest prefix that is a column, and the fields after it."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        head = ".".join(parts[:end])
        if head in names:
            return head, parts[end:]
    return None, []


def _descend(source: Source, rest: list[str], used_by: str) -> Source:
    kind = _storage_type(source.leaf)
    if not rest:
        return _with_layout(evolve(source, leaf=kind))
    name, *rest = rest
    if _sparse_layout(kind) is not None and name in _VECTOR_FIELDS and not rest:
        return _part(_with_layout(evolve(source, leaf=kind)), kind, _VECTOR_FIELDS[name], used_by)
    if not pa.types.is_struct(kind):
        raise ContractError(
            f'{used_by}: "{source.label}": {type_text(kind)} has no field "{name}"',
            _field_advice(kind, name),
        )
    fields = [field.name for field in kind]
    if name not in fields:
        suggestion = did_you_mean(name, fields, label="field")
        raise ContractError(f'{used_by}: "{source.label}" has no field "{name}"', suggestion)
    if fields.count(name) > 1:
        count = fields.count(name)
        raise ContractError(
            f'{used_by}: "{source.label}" has {count} fields "{name}"', "rename all but one"
        )
    inner = evolve(source, fields=(*source.fields, name), leaf=kind.field(name).type)
    return _descend(inner, rest, used_by)


def _field_advice(kind: pa.DataType, name: str) -> str | None:
    if pa.types.is_map(kind):
        return "a map has .keys and .values"
    if name in _VECTOR_FIELDS:
        return f"vectors, maps and structs of indices and values have .{name}"
    return None


def _sparse_layout(kind: pa.DataType) -> Layout | None:
    if pa.types.is_map(kind):
        return "map"
    if not pa.types.is_struct(kind):
        return None
    return "vector" if is_vector(kind) else "pairs" if _is_pairs(kind) else None


def _is_pairs(kind: pa.DataType) -> bool:
    """Return whether a struct is a sparse row: lists of integer indices and of values, and a size.

    Any other struct with fields of these names is an ordinary struct.
    """
    fields = {field.name: _storage_type(field.type) for field in kind}
    if not {"indices", "values"} <= set(fields) <= {"indices", "values", "size"}:
        return False
    indices, values = fields["indices"], fields["values"]
    if not (is_list(indices) and is_list(values)):
        return False
    size = fields.get("size", pa.int32())
    value_type = _storage_type(values.value_type)
    return bool(
        pa.types.is_integer(_storage_type(indices.value_type))
        and pa.types.is_integer(size)
        and not (is_list(value_type) or pa.types.is_nested(value_type))
    )


def _with_layout(source: Source) -> Source:
    """Fill in layout, depth and leaf from the type at the end of the path."""
    kind = source.leaf
    match _sparse_layout(kind):
        case "map":
            return evolve(source, layout="map", leaf=_storage_type(kind.item_type))
        case "vector" | "pairs" as layout:
            values = _storage_type(kind.field("values").type)
            return evolve(source, layout=layout, leaf=_storage_type(values.value_type))
    if pa.types.is_struct(kind) and [field.name for field in kind] == _IMAGE:
        return evolve(source, layout="image", leaf=pa.uint8())
    depth = 0
    while is_list(kind):
        kind, depth = _storage_type(kind.value_type), depth + 1
    return evolve(source, layout="list", leaf=kind, depth=depth)


def _part(source: Source, kind: pa.DataType, part: VectorField, used_by: str) -> Source:
    if part == "values":
        return evolve(source, part=part)
    if part == "size" and not has_size(source, kind):
        raise ContractError(f'{used_by}: "{source.label}": {type_text(kind)} has no size')
    return evolve(source, part=part, leaf=pa.int64())


def _storage_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values inside a dictionary or an extension type."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_list(kind: pa.DataType) -> bool:
    """Return whether a type is one of the lists that the worker reads."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
