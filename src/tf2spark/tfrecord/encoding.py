"""Records from columns: bytes as they are, or packed into ``tf.Example`` messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import pyarrow as pa

from tf2spark.conversion.rows import RowsRefused
from tf2spark.conversion.tf_example.feeder import example_packer
from tf2spark.dtypes import FLOAT32, INT64, STRING, DType
from tf2spark.errors import ContractError, RowError
from tf2spark.plan.score import Feature, InputPlan, Source

RecordType = Literal["ByteArray", "Example", "SequenceExample"]
"""What a record is, as the usual jar for TFRecord files names it."""

Encode = Callable[[pa.RecordBatch], pa.Array]


def record_type_of(name: str | None) -> RecordType | None:
    """Return what the option ``recordType`` says; None if it isn't given.

    Raises:
        ContractError: There is no such type.
    """
    if name is None:
        return None
    for known in get_args(RecordType):
        if name.lower() == known.lower():
            return known  # type: ignore[no-any-return]
    raise ContractError(f'recordType is one of {", ".join(get_args(RecordType))}, not "{name}"')


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a column holds strings or bytes."""
    types = pa.types
    is_text = types.is_string(kind) or types.is_large_string(kind)
    return bool(is_text or types.is_binary(kind) or types.is_large_binary(kind))


def record_encoder(schema: pa.Schema, record_type: RecordType | None) -> Encode:
    """Return the function from a batch to its records, as large binary.

    Args:
        schema: The columns.
        record_type: What records are; None for "ByteArray" if there is one column of strings or
            bytes, and "Example" otherwise.

    Raises:
        ContractError: Columns of these types can't become such records.
    """
    is_raw = len(schema) == 1 and is_bytes(schema.field(0).type)
    if record_type == "ByteArray" and not is_raw:
        raise ContractError(
            "a ByteArray is one column of strings or binary, and the table has "
            + ", ".join(f'"{field.name}" ({field.type})' for field in schema),
            'select one, or pass option("recordType", "Example")',
        )
    if is_raw and record_type in (None, "ByteArray"):
        return _raw
    return _packer(schema, is_sequence=record_type == "SequenceExample")


def _raw(batch: pa.RecordBatch) -> pa.Array:
    column = batch.column(0)
    if column.null_count:
        raise RowError(
            f'column "{batch.schema.names[0]}" contains a null, which is no record',
            "leave such rows out",
        )
    return column.cast(pa.large_binary())


def _packer(schema: pa.Schema, *, is_sequence: bool) -> Encode:
    pairs = [_feature(field, index, is_sequence=is_sequence) for index, field in enumerate(schema)]
    sources, features = zip(*pairs, strict=True) if pairs else ((), ())
    pack = example_packer(
        InputPlan("record", (), "example", STRING, (), tuple(sources), features=tuple(features))
    )

    def encode(batch: pa.RecordBatch) -> pa.Array:
        arrays = [_as_list(column) for column in batch.columns]
        try:
            return pack(pa.RecordBatch.from_arrays(arrays, names=schema.names))
        except RowsRefused as refused:
            raise RowError(f"a row can't become a record: {refused.reasons[0]}") from None

    return encode


def _as_list(column: pa.Array) -> pa.Array:
    """Return single floats as lists of one: a lone NaN would be taken for a missing value."""
    if not pa.types.is_floating(column.type):
        return column
    ends = np.cumsum(np.append(0, column.is_valid().to_numpy(zero_copy_only=False)))
    return pa.ListArray.from_arrays(
        pa.array(ends, pa.int32()), column.drop_null(), mask=column.is_null()
    )


def _feature(field: pa.Field, index: int, *, is_sequence: bool) -> tuple[Source, Feature]:
    leaf, depth = field.type, 0
    while pa.types.is_list(leaf) or pa.types.is_large_list(leaf):
        leaf, depth = leaf.value_type, depth + 1
    dtype = _dtype_of(leaf)
    if dtype is None or depth > (2 if is_sequence else 1):
        raise ContractError(
            f'column "{field.name}" ({field.type}) can\'t become a feature: features are integers, '
            "booleans, floats, strings or binary, as single values or in lists"
            + ("" if is_sequence else "; lists of lists are in a SequenceExample"),
            'cast it, or pass option("recordType", "SequenceExample")' if depth > 1 else "cast it",
        )
    is_single_float = pa.types.is_floating(field.type)
    source = Source(field.name, index, (), "list", leaf, depth + is_single_float)
    return source, Feature(field.name, dtype, is_list=depth == 2)


def _dtype_of(leaf: pa.DataType) -> DType | None:
    if pa.types.is_integer(leaf) or pa.types.is_boolean(leaf):
        return INT64
    if pa.types.is_floating(leaf):
        return FLOAT32
    return STRING if is_bytes(leaf) else None
