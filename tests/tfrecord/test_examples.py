"""`tfrecord.encoding` and `tfrecord.decoding`: columns as ``tf.Example``, and back."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf

from tf2spark.errors import ContractError, RowError
from tf2spark.tfrecord.decoding import example_decoder
from tf2spark.tfrecord.encoding import RecordType, record_encoder, record_type_of

TABLE = pa.table(
    {
        "age": pa.array([1, None, -3], pa.int32()),
        "big": pa.array([2**62, -(2**63), 0], pa.int64()),
        "flag": [True, False, None],
        "price": pa.array([1.5, math.inf, None], pa.float32()),
        "wide": pa.array([0.1, -0.0, 1e300 * 0], pa.float64()),
        "city": ["Köln", "", None],
        "raw": [b"\xff", None, b""],
        "tags": [["a", "b"], [], None],
        "embedding": pa.array([[0.5], None, []], pa.list_(pa.float32())),
    }
)


def encode(table: pa.Table, kind: RecordType | None = None) -> pa.Array:
    (batch,) = table.combine_chunks().to_batches()
    return record_encoder(table.schema, kind)(batch)


def decode(records: list[bytes], *, is_sequence: bool = False, **fields: pa.DataType) -> Any:
    decoder = example_decoder(pa.schema(list(fields.items())), is_sequence=is_sequence)
    return decoder(pa.array(records, pa.binary()), "FILE", 100)


def feature(**lists: Any) -> tf.train.Feature:
    """Return a feature from ``int64=[1]``, ``float=...`` or ``bytes=...``."""
    ((kind, values),) = lists.items()
    classes = {
        "int64": tf.train.Int64List,
        "float": tf.train.FloatList,
        "bytes": tf.train.BytesList,
    }
    return tf.train.Feature(**{f"{kind}_list": classes[kind](value=values)})


def example(**features: tf.train.Feature) -> bytes:
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(message.SerializeToString())


def test_tensorflow_parses_what_is_encoded() -> None:
    """A null is a feature that isn't there; an empty list is one without values."""
    messages = [tf.train.Example.FromString(record) for record in encode(TABLE).to_pylist()]
    first = messages[0].features.feature
    assert first["age"].int64_list.value == [1]
    assert first["flag"].int64_list.value == [1]
    assert first["price"].float_list.value == [1.5]
    assert first["city"].bytes_list.value == ["Köln".encode()]
    assert first["tags"].bytes_list.value == [b"a", b"b"]
    assert "age" not in messages[1].features.feature
    assert messages[1].features.feature["tags"].WhichOneof("kind") == "bytes_list"
    assert set(messages[2].features.feature) == {"age", "big", "wide", "raw", "embedding"}


def test_columns_come_back_as_they_were() -> None:
    """Doubles as the floats that a feature holds."""
    schema = TABLE.schema
    (batch,) = TABLE.combine_chunks().to_batches()
    back = example_decoder(schema)(encode(TABLE), "FILE", 0)
    for name in schema.names:
        if name == "wide":
            assert back.column(name).to_pylist() == pytest.approx([0.1, 0.0, 0.0])
        else:
            assert back.column(name).equals(batch.column(name)), name


def test_nan_is_a_value() -> None:
    """Also where it is alone in its row, which pandas would take for missing."""
    table = pa.table({"x": pa.array([math.nan, 1.0, None], pa.float32()), "n": [1, 2, 3]})
    values = decode(encode(table).to_pylist(), x=pa.float32()).column("x").to_pylist()
    assert math.isnan(values[0])
    assert values[1:] == [1.0, None]


def test_messages_of_tensorflow_are_decoded() -> None:
    """Other features are ignored; one that is missing, or has no list, is null."""
    records = [
        example(age=feature(int64=[7]), more=feature(bytes=[b"x"])),
        example(names=feature(bytes=["ä".encode(), b"b"])),
        example(age=tf.train.Feature(), names=feature(bytes=[])),
    ]
    got = decode(records, age=pa.int64(), names=pa.list_(pa.string()))
    assert got.column("age").to_pylist() == [7, None, None]
    assert got.column("names").to_pylist() == [None, ["ä", "b"], []]


def test_sequences_go_both_ways() -> None:
    """Lists of lists are feature lists, everything else is context."""
    table = pa.table(
        {"id": [1, 2], "steps": [[[1, 2], [], [3]], []], "words": [[["a"], ["b", "c"]], None]}
    )
    records = encode(table, "SequenceExample")
    message = tf.train.SequenceExample.FromString(records[0].as_py())
    assert message.context.feature["id"].int64_list.value == [1]
    steps = message.feature_lists.feature_list["steps"].feature
    assert [list(step.int64_list.value) for step in steps] == [[1, 2], [], [3]]
    back = example_decoder(table.schema, is_sequence=True)(records, "FILE", 0)
    assert back.to_pydict() == table.to_pydict()


@pytest.mark.parametrize(
    ("record", "kind", "problem"),
    [
        (example(x=feature(float=[1])), pa.int64(), "isn't int64: it is of type float"),
        (example(x=feature(int64=[1, 2])), pa.int64(), "isn't int64: it has 2 values"),
        (example(x=feature(int64=[300])), pa.int8(), "isn't int8: "),
        (example(x=feature(bytes=[b"\xff"])), pa.string(), "isn't string: "),
    ],
)
def test_a_feature_of_another_type_is_an_error(record: bytes, kind: Any, problem: str) -> None:
    """It names the feature, the record and the file."""
    with pytest.raises(RowError, match=r'feature "x" of record 101 of FILE .*' + problem):
        decode([example(), record], x=kind)


def test_other_records_are_refused() -> None:
    """They are no Examples."""
    with pytest.raises(RowError, match=r"record 101 of FILE .* is no tf.train.Example"):
        decode([example(), b"rubbish"], x=pa.int64())


def test_types_that_no_feature_has_are_refused_before_a_row() -> None:
    """With what to do, in both directions."""
    nested = pa.schema([("x", pa.list_(pa.list_(pa.int64()))), ("y", pa.int64())])
    for make in (example_decoder, lambda schema: record_encoder(schema, None)):
        with pytest.raises(ContractError, match="SequenceExample"):
            make(nested)
        with pytest.raises(ContractError, match='column "x"'):
            make(pa.schema([("x", pa.date32())]))


def test_one_column_of_bytes_is_the_records() -> None:
    """Unless the option says that it is a feature."""
    table = pa.table({"x": ["a", ""]})
    assert encode(table).to_pylist() == [b"a", b""]
    packed = encode(table, "Example").to_pylist()
    assert decode(packed, x=pa.string()).column(0).to_pylist() == ["a", ""]
    with pytest.raises(RowError, match='column "x" contains a null'):
        encode(pa.table({"x": ["a", None]}))
    with pytest.raises(ContractError, match="one column of strings or binary"):
        record_encoder(TABLE.schema, "ByteArray")


def test_a_null_in_a_list_is_refused() -> None:
    """A feature has no nulls."""
    with pytest.raises(RowError, match='column "x" contains a null'):
        encode(pa.table({"x": [[1], [1, None]]}))


def test_record_types_are_named_in_any_case() -> None:
    """As Spark's options are."""
    assert record_type_of("bytearray") == "ByteArray"
    assert record_type_of(None) is None
    with pytest.raises(ContractError, match='not "Sequence"'):
        record_type_of("Sequence")
