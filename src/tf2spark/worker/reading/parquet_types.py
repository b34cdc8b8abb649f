"""Whether the columns of a Parquet file are those of the table, so that no value needs converting.

Spark converts some types while it reads, and moves dates that were written in another calendar.
Workers don't, so a file where it would is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from attrs import frozen

from tf2spark.worker.reading.statistics import leaf_statistics

_VERSION = b"org.apache.spark.version"
_UTC_MICROSECONDS = pa.timestamp("us", "UTC")
# Before these, Spark may move a value: days and microseconds since 1970. The first is the 15th of
# October 1582; the second is in the year 1900, after every time zone's local mean time.
_FIRST_SAME_DAY = -141_427
_FIRST_SAME_MICROSECOND = -2_200_000_000_000_000


@frozen
class Calendars:
    """Which files are taken to have dates of the Gregorian calendar, by the session's settings.

    What a file of Spark says about itself comes first, as in `DataSourceUtils.getRebaseSpec`.

    Attributes:
        dates: Files that don't say (dates, and timestamps of 64 bits).
        int96: Files that don't say (timestamps of 96 bits).
    """

    dates: bool = False
    int96: bool = False


UNKNOWN_CALENDARS = Calendars()


def file_problem(
    file: Any, columns: pa.Schema, calendars: Calendars, field_ids: Sequence[int] = ()
) -> str | None:
    """Say why an open `ParquetFile` can't be read as these columns; None if it can.

    It must have been opened with `coerce_int96_timestamp_unit="us"`.

    Args:
        file: The file.
        columns: The columns.
        calendars: Which files are taken to have dates of the Gregorian calendar.
        field_ids: The numbers that the columns must have in the file, each of them; none where
            columns have names only.
    """
    leaves = [file.schema.column(index) for index in range(len(file.schema))]
    remaining = iter(leaves)
    try:
        fields = [
            pa.field(field.name, _plain(field.type, remaining)) for field in file.schema_arrow
        ]
    except StopIteration:
        return "its columns don't match its own schema"
    if next(remaining, None) is not None:
        return "its columns don't match its own schema"
    return (
        (_number_mismatch(file.schema_arrow, columns, field_ids) if field_ids else None)
        or schema_mismatch(pa.schema(fields), columns)
        or _calendar_problem(file, columns, leaves, calendars)
    )


def _number_mismatch(
    in_file: pa.Schema, columns: pa.Schema, field_ids: Sequence[int]
) -> str | None:
    for name, number in zip(columns.names, field_ids, strict=True):
        index = in_file.get_field_index(name)
        if index < 0:
            return f'it lacks the column "{name}"'
        metadata = in_file.field(index).metadata or {}
        if metadata.get(b"PARQUET:field_id") != str(number).encode():
            return f'its column "{name}" is another than the table\'s, by its number'
    return None


def schema_mismatch(in_file: pa.Schema, columns: pa.Schema) -> str | None:
    """Say which column of a file has another type or name than expected; None if all fit.

    Lists and strings with long offsets, fixed lengths or dictionaries are still lists and strings.
    A missing column is no mismatch; one whose name differs in case only is.
    """
    names: dict[str, list[str]] = {}
    for name in in_file.names:
        names.setdefault(name.lower(), []).append(name)
    for field in columns:
        same_name = names.get(field.name.lower(), [])
        if not same_name:
            continue
        # Which of them Spark means depends on spark.sql.caseSensitive.
        if same_name != [field.name]:
            listed = ", ".join(f'"{name}"' for name in same_name)
            return f'for the column "{field.name}" it has {listed}'
        type_ = in_file.field(field.name).type
        if _plain(type_) != _plain(field.type):
            return f'its column "{field.name}" is {type_}, and the table\'s is {field.type}'
    return None


def with_zone(kind: pa.DataType, zone: str) -> pa.DataType:
    """Return a type with another time zone wherever it has one."""

    def changed(field: pa.Field) -> pa.Field:
        return field.with_type(with_zone(field.type, zone))

    types = pa.types
    if types.is_map(kind):
        return pa.map_(changed(kind.key_field), changed(kind.item_field))
    if types.is_list(kind):
        return pa.list_(changed(kind.value_field))
    if types.is_struct(kind):
        return pa.struct([changed(field) for field in kind])
    return pa.timestamp(kind.unit, zone) if types.is_timestamp(kind) and kind.tz else kind


def _children(kind: pa.DataType) -> list[pa.DataType]:
    types = pa.types
    if types.is_map(kind):
        return [kind.key_type, kind.item_type]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return [kind.value_type]
    return [field.type for field in kind] if types.is_struct(kind) else []


def _calendar_problem(
    file: Any, columns: pa.Schema, leaves: Iterable[Any], calendars: Calendars
) -> str | None:
    dated = {field.name for field in columns if _has_dates(field.type)}
    if not dated:
        return None
    needed = [leaf for leaf in leaves if leaf.path.partition(".")[0] in _first_parts(dated)]
    if any(leaf.physical_type == "INT96" for leaf in needed) and not _same_calendar(
        file.metadata, "3.1.0", b"org.apache.spark.legacyINT96", calendars.int96
    ):
        return "it may have timestamps that Spark would move between calendars"
    if _same_calendar(file.metadata, "3.0.0", b"org.apache.spark.legacyDateTime", calendars.dates):
        return None
    for leaf in needed:
        first = _first_same_value(leaf)
        if first is not None and not _all_from(file.metadata, leaf.path, first):
            return "it may have dates or timestamps that Spark would move between calendars"
    return None


def _first_parts(names: Iterable[str]) -> set[str]:
    # A dot may be part of a name: then more leaves than needed are looked at.
    return {name.partition(".")[0] for name in names}


def _same_calendar(footer: Any, first_version: str, legacy_key: bytes, otherwise: bool) -> bool:
    entries = footer.metadata or {}
    version = entries.get(_VERSION)
    if version is None:
        return otherwise
    # Compared as text, as Spark does.
    return version.decode("utf-8", "replace") >= first_version and legacy_key not in entries


def _first_same_value(leaf: Any) -> int | None:
    """Return the first value of a date or a timestamp of 64 bits that no calendar changes."""
    kind = leaf.logical_type.type
    if kind == "DATE":
        return _FIRST_SAME_DAY
    if kind == "TIMESTAMP" and leaf.physical_type == "INT64":
        milliseconds = leaf.converted_type == "TIMESTAMP_MILLIS" or (
            '"timeUnit": "milliseconds"' in leaf.logical_type.to_json()
        )
        return _FIRST_SAME_MICROSECOND // (1000 if milliseconds else 1)
    return None


def _all_from(footer: Any, path: str, first: int) -> bool:
    for index in range(footer.num_row_groups):
        statistics = leaf_statistics(footer.row_group(index), path)
        if statistics is None:
            return False
        if statistics.minimum is None:
            if statistics.nulls != statistics.values:
                return False
        elif statistics.minimum < first:
            return False
    return True


def _has_dates(kind: pa.DataType) -> bool:
    if children := _children(kind):
        return any(map(_has_dates, children))
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _plain(kind: pa.DataType, leaves: Iterator[Any] | None = None) -> pa.DataType:
    """Return a type without what doesn't change values: the width of offsets, nullability, zones.

    Args:
        kind: A type.
        leaves: The file's columns, of which the type's own are taken; None for a table's type.
    """
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        _plain(kind.storage_type, leaves)
        return kind
    if types.is_dictionary(kind):
        return _plain(kind.value_type, leaves)
    if types.is_map(kind):
        return pa.map_(_plain(kind.key_type, leaves), _plain(kind.item_type, leaves))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type, leaves))
    if types.is_struct(kind):
        return pa.struct([(field.name, _plain(field.type, leaves)) for field in kind])
    leaf = next(leaves) if leaves is not None else None
    if types.is_timestamp(kind) and kind.unit in ("us", "ms"):
        # pyarrow has no zone for 96 bits, which Spark takes for a point in time.
        is_int96 = leaf is not None and leaf.physical_type == "INT96"
        return _UTC_MICROSECONDS if is_int96 or kind.tz else pa.timestamp("us")
    if types.is_large_string(kind):
        return pa.string()
    return pa.binary() if types.is_large_binary(kind) else kind
