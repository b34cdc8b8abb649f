"""Which columns name a row in messages and in the error column."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import pyarrow as pa
from attrs import frozen

MAX_SHOWN = 3
"""How many values name a row."""

# Words as snake_case, kebab-case and camelCase separate them.
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_ID_WORDS = frozenset(
    {"id", "uuid", "guid", "key", "pk", "identifier", "userid", "itemid", "rowid"}
)


@frozen
class ShownColumn:
    """A column whose values name a row.

    Attributes:
        label: The column's own name.
        column: Its index in the batch.
        is_id: Its name says that it is an id. Otherwise its values only help to find the row.
    """

    label: str
    column: int
    is_id: bool = False


def shown_columns(
    schema: pa.Schema, kept: Collection[int], fed: Collection[int]
) -> tuple[ShownColumn, ...]:
    """Return the columns that name a row, of those that reach the worker anyway.

    Args:
        schema: The table's columns.
        kept: The indices of those that are kept.
        fed: The indices of those that feed an input.

    Returns:
        Columns whose names are ids (`is_id_name`); where there are none, others of plain types.
        Columns that feed nothing come first, each group in the table's order; at most `MAX_SHOWN`.
    """
    ordered = [index for index in range(len(schema)) if index in kept and index not in fed]
    ordered += sorted(fed)
    plain = [index for index in ordered if is_plain(schema.field(index).type)]
    ids = [index for index in plain if is_id_name(schema.names[index])]
    return tuple(
        ShownColumn(schema.names[index], index, bool(ids)) for index in (ids or plain)[:MAX_SHOWN]
    )


def id_columns(schema: pa.Schema, columns: Sequence[int]) -> tuple[ShownColumn, ...]:
    """Return the columns with these indices, as the user's own choice."""
    return tuple(ShownColumn(schema.names[index], index, is_id=True) for index in columns)


def is_id_name(name: str) -> bool:
    """Return whether a column is an id by its name: ``id``, ``user_id``, ``movieId``, ``key``.

    The last word decides, or a first word of "id" (``id_cliente``).
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and (words[-1] in _ID_WORDS or words[0] == "id")


def is_plain(kind: pa.DataType) -> bool:
    """Return whether values of a type can name a row: integers, strings, decimals, dates, times."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_time = types.is_date(kind) or types.is_timestamp(kind)
    return bool(is_text or is_time or types.is_integer(kind) or types.is_decimal(kind))
