"""Where a column's values lie in a table: names resolved against its Arrow schema."""

from __future__ import annotations

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.feeds import Column
from tf2spark.binding.messages import did_you_mean, is_vector, type_text
from tf2spark.errors import ContractError
from tf2spark.plan.score import Layout, Source, VectorField

_IMAGE = ["origin", "height", "width", "nChannels", "mode", "data"]
_PARTS: dict[str, VectorField] = {
    "indices": "indices", "keys": "indices", "ids": "indices", "values": "values", "size": "size",
}  # fmt: skip


def resolve(column: Column, schema: pa.Schema, asked_by: str) -> Source:
    """Find a column, or the field inside one that a dotted path names.

    Args:
        column: The path. A column whose own name has dots is found before a nested field.
        schema: The table.
        asked_by: What needs it, for the message: ``input "x" (float32 [None, 8])``.

    Raises:
        ContractError: There is no such column or field, or two columns have its name.
    """
    names = list(schema.names)
    head, rest = _head(column.path, names)
    if head is None:
        near = did_you_mean(column.path, names, label="column")
        raise ContractError(f'{asked_by}: the table has no column "{column.path}"; {near}')
    if names.count(head) > 1:
        raise ContractError(
            f'{asked_by}: the table has {names.count(head)} columns "{head}"; rename all but one'
        )
    index = names.index(head)
    bare = Source(column.path, index, (), "list", schema.field(index).type)
    return _descend(bare, rest, asked_by)


def type_of(source: Source, schema: pa.Schema) -> pa.DataType:
    """Return the type of the column or field that a source stands for, its part left out."""
    kind = schema.field(source.column).type
    for name in source.fields:
        kind = _bare(kind).field(name).type
    return _bare(kind)


def tells_size(source: Source, kind: pa.DataType) -> bool:
    """Say whether a whole column of this layout tells how wide each of its rows is."""
    if source.layout == "pairs":
        return bool(kind.get_field_index("size") >= 0)
    return source.layout != "map"


def _head(path: str, names: list[str]) -> tuple[str | None, list[str]]:
    """Split a path into the longest prefix that is a column, and the fields after it."""
    pieces = path.split(".")
    for end in range(len(pieces), 0, -1):
        head = ".".join(pieces[:end])
        if head in names:
            return head, pieces[end:]
    return None, []


def _descend(source: Source, rest: list[str], asked_by: str) -> Source:
    kind = _bare(source.leaf)
    if not rest:
        return _laid_out(evolve(source, leaf=kind))
    name, *rest = rest
    if _sparse_layout(kind) is not None and name in _PARTS and not rest:
        return _part(_laid_out(evolve(source, leaf=kind)), kind, _PARTS[name], asked_by)
    if not pa.types.is_struct(kind):
        raise ContractError(
            f'{asked_by}: "{source.label}" looks for the field "{name}" inside {type_text(kind)}, '
            + _no_fields(kind, name)
        )
    fields = [field.name for field in kind]
    if name not in fields:
        near = did_you_mean(name, fields, label="field")
        raise ContractError(f'{asked_by}: "{source.label}" has no field "{name}"; {near}')
    if fields.count(name) > 1:
        count = fields.count(name)
        raise ContractError(
            f'{asked_by}: "{source.label}" has {count} fields "{name}"; rename all but one'
        )
    inner = evolve(source, fields=(*source.fields, name), leaf=kind.field(name).type)
    return _descend(inner, rest, asked_by)


def _no_fields(kind: pa.DataType, name: str) -> str:
    if pa.types.is_map(kind):
        return "which has no fields: a map has .keys and .values"
    if name in _PARTS:
        return f"which has none: vectors, maps and structs of indices and values have .{name}"
    return "which has no fields"


def _sparse_layout(kind: pa.DataType) -> Layout | None:
    if pa.types.is_map(kind):
        return "map"
    if not pa.types.is_struct(kind):
        return None
    return "vector" if is_vector(kind) else "pairs" if _is_pairs(kind) else None


def _is_pairs(kind: pa.DataType) -> bool:
    """Say whether a struct is a sparse row: a list of integer indices, one of values, and a size.

    Any other struct with fields of these names is just a struct.
    """
    fields = {field.name: _bare(field.type) for field in kind}
    if not {"indices", "values"} <= set(fields) <= {"indices", "values", "size"}:
        return False
    indices, values = fields["indices"], fields["values"]
    if not (is_list(indices) and is_list(values)):
        return False
    size = fields.get("size", pa.int32())
    inside = _bare(values.value_type)
    return bool(
        pa.types.is_integer(_bare(indices.value_type))
        and pa.types.is_integer(size)
        and not (is_list(inside) or pa.types.is_nested(inside))
    )


def _laid_out(source: Source) -> Source:
    """Fill in layout, depth and leaf from the type that the path ends at."""
    kind = source.leaf
    match _sparse_layout(kind):
        case "map":
            return evolve(source, layout="map", leaf=_bare(kind.item_type))
        case "vector" | "pairs" as layout:
            values = _bare(kind.field("values").type)
            return evolve(source, layout=layout, leaf=_bare(values.value_type))
    if pa.types.is_struct(kind) and [field.name for field in kind] == _IMAGE:
        return evolve(source, layout="image", leaf=pa.uint8())
    depth = 0
    while is_list(kind):
        kind, depth = _bare(kind.value_type), depth + 1
    return evolve(source, layout="list", leaf=kind, depth=depth)


def _part(source: Source, kind: pa.DataType, part: VectorField, asked_by: str) -> Source:
    if part == "values":
        return evolve(source, part=part)
    if part == "size" and not tells_size(source, kind):
        raise ContractError(f'{asked_by}: "{source.label}": {type_text(kind)} has no size')
    return evolve(source, part=part, leaf=pa.int64())


def _bare(kind: pa.DataType) -> pa.DataType:
    """Return a type without the dictionary or extension around it."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_list(kind: pa.DataType) -> bool:
    """Say whether a type is one of the lists that the worker reads."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
