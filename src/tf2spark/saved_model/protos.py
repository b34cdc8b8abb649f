"""TensorFlow's protobuf messages, as far as tf2spark reads and writes them, defined by a table.

TensorFlow's Python takes seconds to import and registers its messages in protobuf's default pool.
The messages here live in a pool of their own, so both can be in one process. They are built when
this module is imported (in a millisecond), so no generated module ties tf2spark to one version of
protobuf. Protobuf keeps the fields that the table omits as unknown fields, at no cost.

Field numbers are those of TensorFlow's ``tensorflow/core/protobuf/{saved_model, meta_graph, saver,
saved_object_graph, trackable_object_graph, struct}.proto`` and ``tensorflow/core/framework/{graph,
node_def, function, op_def, attr_value, tensor, tensor_shape, versions}.proto``. Enums are read
as int32, which has the same encoding.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Protobuf makes message classes at runtime, so type checkers know nothing of their fields. These
# names say which message is meant: one of the classes below, or TensorFlow's own of the same name.
MetaGraph: TypeAlias = Any  # MetaGraphDef
GraphMessage: TypeAlias = Any  # GraphDef
NodeMessage: TypeAlias = Any  # NodeDef
FunctionMessage: TypeAlias = Any  # FunctionDef
AttrMessage: TypeAlias = Any  # AttrValue
SignatureMessage: TypeAlias = Any  # SignatureDef
TensorInfoMessage: TypeAlias = Any  # TensorInfo

# One paragraph per message: its name, then "number name type" for each field. "*" marks a repeated
# field, "<T>" a map from string to T.
_TABLE = """
SavedModel
1 saved_model_schema_version int64
2 meta_graphs MetaGraphDef*

MetaGraphDef
1 meta_info_def MetaInfoDef
2 graph_def GraphDef
3 saver_def SaverDef
4 collection_def <CollectionDef>
5 signature_def <SignatureDef>
6 asset_file_def AssetFileDef*
7 object_graph_def SavedObjectGraph

MetaInfoDef
2 stripped_op_list OpList
4 tags string*
5 tensorflow_version string

SaverDef
1 filename_tensor_name string
2 save_tensor_name string
3 restore_op_name string

CollectionDef
1 node_list NodeList
5 any_list AnyList

NodeList
1 value string*

AnyList
1 value AnyValue*

AnyValue
1 type_url string
2 value bytes

SignatureDef
1 inputs <TensorInfo>
2 outputs <TensorInfo>
3 method_name string

TensorInfo
1 name string
2 dtype int32
3 tensor_shape TensorShapeProto
4 coo_sparse CooSparse
5 composite_tensor CompositeTensor

CooSparse
1 values_tensor_name string
2 indices_tensor_name string
3 dense_shape_tensor_name string

CompositeTensor
1 type_spec TypeSpecProto
2 components TensorInfo*

AssetFileDef
1 tensor_info TensorInfo
2 filename string

TensorShapeProto
2 dim Dim*
3 unknown_rank bool

Dim
1 size int64

GraphDef
1 node NodeDef*
2 library FunctionDefLibrary
4 versions VersionDef

VersionDef
1 producer int32

NodeDef
1 name string
2 op string
3 input string*
5 attr <AttrValue>

AttrValue
1 list AttrList
2 s bytes
3 i int64
4 f float
5 b bool
6 type int32
7 shape TensorShapeProto
8 tensor TensorProto
9 placeholder string
10 func NameAttrList

AttrList
2 s bytes*
3 i int64*
6 type int32*
7 shape TensorShapeProto*
9 func NameAttrList*

NameAttrList
1 name string
2 attr <AttrValue>

TensorProto
1 dtype int32
2 tensor_shape TensorShapeProto
4 tensor_content bytes
8 string_val bytes*

FunctionDefLibrary
1 function FunctionDef*
2 gradient GradientDef*

GradientDef
1 function_name string
2 gradient_func string

FunctionDef
1 signature OpDef
3 node_def NodeDef*
4 ret <string>
5 attr <AttrValue>

OpList
1 op OpDef*

OpDef
1 name string
2 input_arg ArgDef*
3 output_arg ArgDef*
4 attr AttrDef*
17 is_stateful bool

ArgDef
1 name string
3 type int32
4 type_attr string
5 number_attr string
6 type_list_attr string

AttrDef
1 name string
3 default_value AttrValue

SavedObjectGraph
1 nodes SavedObject*
2 concrete_functions <SavedConcreteFunction>

SavedObject
1 children ObjectReference*
8 bare_concrete_function SavedBareConcreteFunction

ObjectReference
1 node_id int32
2 local_name string

SavedBareConcreteFunction
1 concrete_function_name string
2 argument_keywords string*

SavedConcreteFunction
3 canonicalized_input_signature StructuredValue

StructuredValue
12 int64_value int64
31 tensor_shape_value TensorShapeProto
32 tensor_dtype_value int32
33 tensor_spec_value TensorSpecProto
34 type_spec_value TypeSpecProto
35 bounded_tensor_spec_value TensorSpecProto
51 list_value ListValue
52 tuple_value ListValue
53 dict_value DictValue
54 named_tuple_value NamedTupleValue

TensorSpecProto
1 name string

TypeSpecProto
1 type_spec_class int32
2 type_state StructuredValue
4 num_flat_components int32

ListValue
1 values StructuredValue*

DictValue
1 fields <StructuredValue>

NamedTupleValue
1 name string
2 values PairValue*

PairValue
1 key string
2 value StructuredValue
"""

# A namespace within the pool; it never leaves this process.
_PACKAGE = "tf2spark"
_FILE_NAME = "tf2spark/savedmodel.proto"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "float": _Field.TYPE_FLOAT,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
}


def _add_field(message: Any, number: int, name: str, kind: str) -> None:
    field = message.field.add(number=number, name=name, label=_Field.LABEL_OPTIONAL)
    if kind.startswith("<"):
        entry = message.nested_type.add(name=_entry_name(name))
        entry.options.map_entry = True
        _add_field(entry, 1, "key", "string")
        _add_field(entry, 2, "value", kind[1:-1])
        field.label = _Field.LABEL_REPEATED
        kind = f"{message.name}.{entry.name}"
    if kind.endswith("*"):
        field.label = _Field.LABEL_REPEATED
        kind = kind[:-1]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"


def _entry_name(field_name: str) -> str:
    # protoc's rule for the name of a map's hidden entry message; protobuf enforces it.
    return "".join(word.capitalize() for word in field_name.split("_")) + "Entry"


def _build_pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE_NAME, package=_PACKAGE, syntax="proto2")
    for paragraph in _TABLE.strip().split("\n\n"):
        name, *fields = paragraph.split("\n")
        message = file.message_type.add(name=name)
        for line in fields:
            number, field_name, kind = line.split()
            _add_field(message, int(number), field_name, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())  # type: ignore[no-untyped-call, unused-ignore]
    return pool


_FILE = _build_pool().FindFileByName(_FILE_NAME)


# All of them, not only those used below: protobuf before 4.25 frees the class of a nested message
# that nothing refers to, and crashes when such a message is read.
_CLASSES: dict[str, Any] = {
    name: message_factory.GetMessageClass(descriptor)
    for name, descriptor in _FILE.message_types_by_name.items()
}
SavedModel = _CLASSES["SavedModel"]
GraphDef = _CLASSES["GraphDef"]
NodeDef = _CLASSES["NodeDef"]
AssetFileDef = _CLASSES["AssetFileDef"]
