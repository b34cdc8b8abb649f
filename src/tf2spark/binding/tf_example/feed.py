"""How a user says which columns are packed into a serialized ``tf.Example``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from tf2spark.errors import ContractError, shortened


@frozen(repr=False)
class Example:
    """Columns packed into one serialized ``tf.Example`` per row.

    Attributes:
        columns: The key of each feature (None where it follows from the column's name), and the
            path of its column.
        every_key: Each feature that the graph parses takes the column of its own name.
    """

    columns: tuple[tuple[str | None, str], ...] = ()
    every_key: bool = False

    def __repr__(self) -> str:
        if self.every_key:
            return "example()"
        return f"example({', '.join(map(_text, self.columns))})"


def _text(column: tuple[str | None, str]) -> str:
    key, path = column
    return path if key in (None, path) else f"{key}={path}"


def example(*columns: str | Mapping[str, str], **renamed: str) -> Example:
    """Pack columns into serialized ``tf.Example`` messages for a string input ``[None]``.

    ``example("age", "city")`` makes a feature of each of these columns, under its name;
    ``example(age="years")`` the feature ``age`` of the column ``years``; and a mapping,
    ``example({"user-age": "years"})``, does so for keys that are no Python names. ``example()``
    takes the column of its name for each feature that the graph parses. A feature that is a list
    of steps makes the message a ``tf.SequenceExample``.

    The type of a feature is that of the graph; where the graph doesn't name its features, integers
    and bools become an ``int64_list``, floats a ``float_list``, strings and binary a
    ``bytes_list``. A null is a feature left out, so that the graph's default applies. A dense
    feature takes a value, or a list of as many values as its shape has; any other feature takes a
    value or a list. A feature list takes a list of steps, or a list of lists.

    The format is that of ``tensorflow/core/example/example.proto``.

    Raises:
        ContractError: A column isn't a name, a mapping is empty, or two columns have the same key.
    """
    if any(isinstance(column, Mapping) and not column for column in columns):
        raise ContractError(
            "example({}) names no column",
            'write example() for the columns of all features, or example({"KEY": "COLUMN"})',
        )
    entries = [entry for column in columns for entry in _entries(column)]
    entries += [(key, _column_name(path)) for key, path in renamed.items()]
    keys = [key if key is not None else path for key, path in entries]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ContractError(f'example() gives the feature "{twice[0]}" twice', "leave one out")
    return Example(tuple(entries), every_key=not (columns or renamed))


def _entries(column: object) -> Iterable[tuple[str | None, str]]:
    if isinstance(column, Mapping):
        return [(_column_name(key), _column_name(path)) for key, path in column.items()]
    return [(None, _column_name(column))]


def _column_name(name: object) -> str:
    if isinstance(name, str) and name:
        return name
    raise ContractError(
        f"example() takes the names of columns, not {shortened(name)}",
        'write example("age", "city"), or example(age="years") for a feature of another name',
    )
