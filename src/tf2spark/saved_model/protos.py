"""TensorFlow's protobuf messages, as far as tf2spark reads and writes them, defined by a table.

TensorFlow's Python takes seconds to import and registers its messages in protobuf's default pool.
The messages here live in a pool of their own, so both can be in one process. They are built when
this module is imported (in a millisecond), so no generated module ties tf2spark to one version of
protobuf. Protobuf keeps the fields that the table omits as unknown fields, at no cost.

Field numbers are those of TensorFlow's ``tensorflow/core/protobuf/{saved_model, meta_graph, saver,
saved_object_graph, trackable_object_graph, struct}.proto`` and ``tensorflow/core/framework/{graph,
node_def, function, op_def, attr_value, tensor, tensor_shape, versions}.proto``. Enums are read
as int32, which has the same encoding.

What is read here must be what TensorFlow reads, also in a file that no exporter writes. So the
table has all fields of a oneof, read or not (of several, protobuf keeps the last), and the syntax
is that of TensorFlow's files (in proto3 a string that isn't UTF-8 is an error).
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

# One paragraph per message: its name, then "number name type" for each field, and the oneof that it
# belongs to, if any. "*" marks a repeated field, "<T>" a map from string to T. An Unread is a
# message whose content doesn't matter here.
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
1 node_list NodeList kind
2 bytes_list BytesList kind
3 int64_list Unread kind
4 float_list Unread kind
5 any_list AnyList kind

NodeList
1 value string*

BytesList
1 value bytes*

VariableDef
2 initializer_name string

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
1 name string encoding
2 dtype int32
3 tensor_shape TensorShapeProto
4 coo_sparse CooSparse encoding
5 composite_tensor CompositeTensor encoding

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
1 list AttrList value
2 s bytes value
3 i int64 value
4 f float value
5 b bool value
6 type int32 value
7 shape TensorShapeProto value
8 tensor TensorProto value
9 placeholder string value
10 func NameAttrList value

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
7 int_val int32*
8 string_val bytes*
10 int64_val int64*
11 bool_val bool*

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
4 user_object Unread kind
5 asset Unread kind
6 function SavedFunction kind
7 variable Unread kind
8 bare_concrete_function SavedBareConcreteFunction kind
9 constant Unread kind
10 resource Unread kind
11 saveable_objects <SaveableObject>
12 captured_tensor Unread kind

ObjectReference
1 node_id int32
2 local_name string

SavedBareConcreteFunction
1 concrete_function_name string
2 argument_keywords string*

SavedFunction
1 concrete_functions string*

SaveableObject
2 save_function int32
3 restore_function int32

SavedConcreteFunction
2 bound_inputs int32*
3 canonicalized_input_signature StructuredValue

StructuredValue
1 none_value Unread kind
11 float64_value double kind
12 int64_value sint64 kind
13 string_value string kind
14 bool_value bool kind
31 tensor_shape_value TensorShapeProto kind
32 tensor_dtype_value int32 kind
33 tensor_spec_value TensorSpecProto kind
34 type_spec_value TypeSpecProto kind
35 bounded_tensor_spec_value TensorSpecProto kind
51 list_value ListValue kind
52 tuple_value ListValue kind
53 dict_value DictValue kind
54 named_tuple_value NamedTupleValue kind
55 tensor_value Unread kind
56 numpy_value Unread kind

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

Unread
"""

# A namespace within the pool; it never leaves this process.
_PACKAGE = "tf2spark"
_FILE_NAME = "tf2spark/savedmodel.proto"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "sint64": _Field.TYPE_SINT64,
}


def _add_field(message: Any, number: int, name: str, kind: str, oneof: str = "") -> None:
    field = message.field.add(number=number, name=name, label=_Field.LABEL_OPTIONAL)
    if oneof:
        names = [declared.name for declared in message.oneof_decl]
        if oneof not in names:
            message.oneof_decl.add(name=oneof)
            names.append(oneof)
        field.oneof_index = names.index(oneof)
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
    file = descriptor_pb2.FileDescriptorProto(name=_FILE_NAME, package=_PACKAGE, syntax="proto3")
    for paragraph in _TABLE.strip().split("\n\n"):
        name, *fields = paragraph.split("\n")
        message = file.message_type.add(name=name)
        for line in fields:
            number, field_name, kind, *oneof = line.split()
            _add_field(message, int(number), field_name, kind, *oneof)
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
VariableDef = _CLASSES["VariableDef"]
