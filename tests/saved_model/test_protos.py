"""`protos`: the table of messages is TensorFlow's, and both read the same from the same bytes."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from tensorflow.core.framework import attr_value_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2, struct_pb2

from cases.wire_format import field
from tf2spark.saved_model import protos
from tf2spark.saved_model.protos import SavedModel

_UNREAD = "Unread"


def message_pairs() -> list[tuple[Any, Any]]:
    """Return each message type of the table with TensorFlow's."""
    pairs = [(SavedModel.DESCRIPTOR, saved_model_pb2.SavedModel.DESCRIPTOR)]
    for ours, theirs in pairs:
        for number, inner in ours.fields_by_number.items():
            pair = inner.message_type, theirs.fields_by_number[number].message_type
            if inner.message_type is not None and pair not in pairs:
                pairs.append(pair)
    return [pair for pair in pairs if pair[0].name != _UNREAD]


def describe(part: Any) -> tuple[Any, ...]:
    """Return what decides how a field is read; an enum is an int32 in our table."""
    kind = FieldDescriptor.TYPE_INT32 if part.type == FieldDescriptor.TYPE_ENUM else part.type
    oneof = part.containing_oneof.name if part.containing_oneof else None
    return part.number, part.name, kind, part.is_repeated, oneof


def test_the_table_is_that_of_tensorflow() -> None:
    """Every field has TensorFlow's number, name, type and oneof, and every oneof is complete."""
    pairs = message_pairs()
    assert len(pairs) > 40
    for ours, theirs in pairs:
        known = {describe(part) for part in theirs.fields}
        assert {describe(part) for part in ours.fields} <= known, ours.name
        for oneof in theirs.oneofs:
            read = {part.name for part in ours.fields} & {part.name for part in oneof.fields}
            assert read in (set(), {part.name for part in oneof.fields}), oneof.full_name


def both(ours: str, theirs: Any, content: bytes) -> tuple[Any, Any]:
    """Parse the same bytes with the type of our table and with TensorFlow's."""
    classes: dict[str, Any] = protos._CLASSES
    return classes[ours].FromString(content), theirs.FromString(content)


def test_of_a_oneof_the_last_field_counts() -> None:
    """A function, then a list of functions: the list counts, as it does for TensorFlow."""
    function = field(10, field(1, b"good"))
    functions = field(1, field(9, field(1, b"evil")))
    for content, kind in ((function + functions, "list"), (functions + function, "func")):
        for message in both("AttrValue", attr_value_pb2.AttrValue, content):
            assert message.WhichOneof("value") == kind
            assert not message.HasField("func" if kind == "list" else "list")
    nodes, numbers = field(1, field(1, b"init")), field(3, b"")
    for message in both("CollectionDef", meta_graph_pb2.CollectionDef, nodes + numbers):
        assert list(message.node_list.value) == []
    name, sparse = field(1, b"x:0"), field(4, field(1, b"values:0"))
    for message in both("TensorInfo", meta_graph_pb2.TensorInfo, sparse + name):
        assert (message.name, message.HasField("coo_sparse")) == ("x:0", False)
    spec, nothing = field(33, field(1, b"x")), field(1, b"")
    for message in both("StructuredValue", struct_pb2.StructuredValue, spec + nothing):
        assert not message.HasField("tensor_spec_value")


def test_a_message_given_twice_is_merged() -> None:
    """Two parts of a message are one message, also in a oneof; of equal keys the last counts."""
    attribute = field(1, b"T") + field(2, b"\x30\x01")
    content = field(10, field(1, b"f")) + field(10, field(2, attribute))
    for message in both("AttrValue", attr_value_pb2.AttrValue, content):
        assert (message.func.name, message.func.attr["T"].type) == ("f", 1)
    entries = b"".join(field(2, field(1, b"T") + field(2, bytes([0x30, n]))) for n in (1, 3))
    for message in both("AttrValue", attr_value_pb2.AttrValue, field(10, entries)):
        assert message.func.attr["T"].type == 3


def test_names_are_utf_8() -> None:
    """A name that isn't UTF-8 is an error, as it is for TensorFlow."""
    for name in ("NodeDef", "AssetFileDef", "SignatureDef"):
        with pytest.raises(DecodeError):
            protos._CLASSES[name].FromString(b"".join(field(n, b"\xff\xfe") for n in (1, 2, 3)))
