"""Columns from the ``tf.Example`` or ``tf.SequenceExample`` messages of records.

A feature that is missing, or that has no list, is null; so is one without values where the column
holds single values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from tf2spark.errors import ContractError, RowError
from tf2spark.tfrecord.messages import Example, SequenceExample

_LIST_OF = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}

Decode = Callable[[pa.Array, str, int], pa.RecordBatch]
"""Decodes records; the path of their file and the number of records before them are for errors."""


def example_decoder(schema: pa.Schema, *, is_sequence: bool = False) -> Decode:
    """Return the function from serialized messages to columns of these names and types.

    Args:
        schema: Integers and booleans are read from int64 lists, floats from float lists, strings
            and binary from bytes lists: single values, or lists of them. In a SequenceExample, a
            list of lists is a feature list.
        is_sequence: The messages are SequenceExamples.

    Raises:
        ContractError: No feature has values of a column's type.
    """
    columns = [_Column(field, is_sequence=is_sequence) for field in schema]
    message_class = SequenceExample if is_sequence else Example

    def decode(records: pa.Array, path: str, before: int) -> pa.RecordBatch:
        messages = []
        for number, record in enumerate(records.to_pylist()):
            try:
                messages.append(message_class.FromString(record))
            except Exception as error:  # protobuf's own error is of another class in each version
                kind = message_class.DESCRIPTOR.name
                raise RowError(
                    f"record {before + number:,} of {path} (counted from 0) is no tf.train.{kind}: "
                    f"{error}",
                    "read the records as they are, without a schema",
                ) from None
        arrays = [column.decode(messages, path, before) for column in columns]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    return decode


class _Column:
    """Decodes one column."""

    def __init__(self, field: pa.Field, *, is_sequence: bool) -> None:
        self._name, self._type, self._is_sequence = field.name, field.type, is_sequence
        leaf, self._depth = field.type, 0
        while pa.types.is_list(leaf) or pa.types.is_large_list(leaf):
            leaf, self._depth = leaf.value_type, self._depth + 1
        self._list = _list_of(leaf)
        self._is_text = pa.types.is_string(leaf) or pa.types.is_large_string(leaf)
        self._is_bool = pa.types.is_boolean(leaf)
        if self._list is None or self._depth > (2 if is_sequence else 1):
            raise ContractError(
                f'column "{field.name}" can\'t be {field.type}: a feature of a tf.train.'
                f"{'SequenceExample' if is_sequence else 'Example'} has integers, floats or bytes, "
                "as single values or in lists"
                + ("" if is_sequence else "; a list of lists is in a SequenceExample"),
                None if is_sequence else 'pass option("recordType", "SequenceExample")',
            )

    def decode(self, messages: Sequence[Any], path: str, before: int) -> pa.Array:
        values = []
        for number, message in enumerate(messages):
            try:
                values.append(self._value(message))
            except (ValueError, UnicodeDecodeError) as error:
                raise self._error(str(error), path, before + number) from None
        try:
            return pa.array(values, self._type)
        except (pa.ArrowInvalid, OverflowError):
            for number, value in enumerate(values):
                try:
                    pa.array([value], self._type)
                except (pa.ArrowInvalid, OverflowError) as error:
                    raise self._error(str(error), path, before + number) from None
            raise

    def _error(self, problem: str, path: str, number: int) -> RowError:
        return RowError(
            f'feature "{self._name}" of record {number:,} of {path} (counted from 0) isn\'t '
            f"{self._type}: {problem}"
        )

    def _value(self, message: Any) -> Any:
        if not self._is_sequence:
            return self._of_feature(message.features.feature, self._depth)
        if self._depth == 2:
            lists = message.feature_lists.feature_list
            if self._name not in lists:
                return None
            return [self._list_value(step) or [] for step in lists[self._name].feature]
        return self._of_feature(message.context.feature, self._depth)

    def _of_feature(self, features: Any, depth: int) -> Any:
        if self._name not in features:
            return None
        values = self._list_value(features[self._name])
        if depth or values is None:
            return values
        if len(values) > 1:
            raise ValueError(f"it has {len(values)} values")
        return values[0] if values else None

    def _list_value(self, feature: Any) -> list[Any] | None:
        kind = feature.WhichOneof("kind")
        if kind is None:
            return None
        if kind != self._list:
            raise ValueError(f"it is of type {_LIST_OF[kind]}")
        values = list(getattr(feature, kind).value)
        if self._is_text:
            return [value.decode() for value in values]
        return [bool(value) for value in values] if self._is_bool else values


def _list_of(leaf: pa.DataType) -> str | None:
    types = pa.types
    if types.is_integer(leaf) or types.is_boolean(leaf):
        return "int64_list"
    if types.is_float32(leaf) or types.is_float64(leaf):
        return "float_list"
    is_text = types.is_string(leaf) or types.is_large_string(leaf)
    return "bytes_list" if is_text or types.is_binary(leaf) or types.is_large_binary(leaf) else None
