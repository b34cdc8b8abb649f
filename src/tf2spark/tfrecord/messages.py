"""TensorFlow's ``Example`` and ``SequenceExample`` messages, in a pool of their own.

Fields are those of ``tensorflow/core/example/{example,feature}.proto``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "tf2spark.tfrecord"
_TYPES = {
    "bytes": _FIELD.TYPE_BYTES,
    "float": _FIELD.TYPE_FLOAT,
    "int64": _FIELD.TYPE_INT64,
    "string": _FIELD.TYPE_STRING,
}


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="tf2spark/tfrecord.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, value in (("BytesList", "bytes"), ("FloatList", "float"), ("Int64List", "int64")):
        file.message_type.add(name=name).field.add(
            name="value", number=1, type=_TYPES[value], label=_FIELD.LABEL_REPEATED
        )
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("BytesList", "FloatList", "Int64List"), 1):
        _add(feature, name.lower().replace("list", "_list"), number, name).oneof_index = 0
    _add(file.message_type.add(name="FeatureList"), "feature", 1, "Feature", repeated=True)
    _add_map(file.message_type.add(name="Features"), "feature", "Feature")
    _add_map(file.message_type.add(name="FeatureLists"), "feature_list", "FeatureList")
    _add(file.message_type.add(name="Example"), "features", 1, "Features")
    sequence = file.message_type.add(name="SequenceExample")
    _add(sequence, "context", 1, "Features")
    _add(sequence, "feature_lists", 2, "FeatureLists")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())  # type: ignore[no-untyped-call, unused-ignore]
    described = pool.FindFileByName(file.name).message_types_by_name
    return {
        name: message_factory.GetMessageClass(descriptor) for name, descriptor in described.items()
    }


def _add(message: Any, name: str, number: int, kind: str, *, repeated: bool = False) -> Any:
    label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
    return message.field.add(
        name=name,
        number=number,
        type=_FIELD.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.{kind}",
        label=label,
    )


def _add_map(message: Any, name: str, value: str) -> None:
    """Add a map from strings to messages as field 1."""
    entry_name = "".join(word.capitalize() for word in name.split("_")) + "Entry"
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_TYPES["string"], label=_FIELD.LABEL_OPTIONAL)
    _add(entry, "value", 2, value)
    _add(message, name, 1, f"{message.name}.{entry_name}", repeated=True)


_CLASSES = _build()
Example = _CLASSES["Example"]
SequenceExample = _CLASSES["SequenceExample"]
