"""Graphs written by hand in TensorFlow's messages, so that nothing runs as they are built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from attrs import Factory, frozen
from tensorflow.core.framework import attr_value_pb2, graph_pb2, tensor_shape_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import op_def_registry

# DataType in tensorflow/core/framework/types.proto.
FLOAT, INT32, UINT8, STRING, INT64, BOOL, RESOURCE, VARIANT = 1, 3, 4, 7, 9, 10, 20, 21
DEFAULT_SIGNATURE, INIT_SIGNATURE = "serving_default", "__saved_model_init_op"
_FIELDS = {"string": "s", "int": "i", "float": "f", "bool": "b"}


@frozen
class Type:
    """The value of an attribute of a node whose op TensorFlow doesn't know: a dtype."""

    code: int


@frozen
class FromCaller:
    """An attribute in a function's body whose value each caller of the function fills in."""

    name: str


@frozen
class Function:
    """A function as an attribute's value, with the attributes that the caller fills in."""

    name: str
    attrs: Mapping[str, Any] = Factory(dict)


class Body:
    """A graph or the body of a function, to which nodes are added.

    References to outputs are written as TensorFlow wants them in either: "node" in a graph,
    "node:output:0" in a function.
    """

    def __init__(self, message: Any) -> None:
        self.message = message
        self.in_function = hasattr(message, "node_def")
        self.nodes = message.node_def if self.in_function else message.node

    def add(self, name: str, op: str, *inputs: str, **attrs: Any) -> str:
        """Add a node, with the op's defaults; return the reference of its first output."""
        definition = op_def_registry.get(op)
        node = self.nodes.add(name=name, op=op, input=inputs)
        kinds = {}
        if definition is not None:
            kinds = {attr.name: attr.type for attr in definition.attr}
            for attr in definition.attr:
                if attr.HasField("default_value"):
                    node.attr[attr.name].CopyFrom(attr.default_value)
        for attr_name, value in attrs.items():
            node.attr[attr_name].CopyFrom(attr_value(value, kinds.get(attr_name)))
        return self.reference(name)

    def reference(self, name: str) -> str:
        """Return how other nodes refer to the first output of a node."""
        if not self.in_function:
            return name
        op = next(node.op for node in self.nodes if node.name == name)
        definition = op_def_registry.get(op)
        outputs = definition.output_arg if definition is not None else ()
        return f"{name}:{outputs[0].name if outputs else 'r'}:0"

    def const(self, name: str, value: Any, dtype: int | None = None) -> str:
        """Add a constant; return its reference."""
        tensor = tf.make_tensor_proto(value, dtype=dtype)
        return self.const_proto(name, tensor)

    def const_proto(self, name: str, tensor: Any) -> str:
        """Add a constant whose value is any TensorProto; return its reference."""
        return self.add(name, "Const", dtype=tensor.dtype, value=tensor)

    def function(
        self,
        name: str,
        inputs: Sequence[tuple[str, int]],
        outputs: Mapping[str, tuple[str, int]],
        attrs: Sequence[tuple[str, str]] = (),
    ) -> Body:
        """Add a function to the library of this graph, and return its body.

        Args:
            name: The name of the function.
            inputs: The name and dtype of each argument.
            outputs: By name: the reference within the body, and the dtype.
            attrs: The name and type of the attributes that callers fill in.
        """
        function = self.message.library.function.add()
        function.signature.name = name
        for argument, dtype in inputs:
            function.signature.input_arg.add(name=argument, type=dtype)
        for output, (reference, dtype) in outputs.items():
            function.signature.output_arg.add(name=output, type=dtype)
            function.ret[output] = reference
        for attr, kind in attrs:
            function.signature.attr.add(name=attr, type=kind)
        return Body(function)

    def always_runs(self, name: str) -> None:
        """Make a node of this function run whenever the function does."""
        self.message.control_ret[name] = name
        self.message.signature.control_output.append(name)
        self.message.signature.is_stateful = True


def attr_value(value: Any, kind: str | None = None) -> Any:
    """Return an AttrValue; `kind` is the attribute's type in its OpDef, if it has one."""
    message = attr_value_pb2.AttrValue()
    if isinstance(value, attr_value_pb2.AttrValue):
        message.CopyFrom(value)
    elif isinstance(value, FromCaller):
        message.placeholder = value.name
    elif kind is not None and kind.startswith("list("):
        message.list.SetInParent()
        for item in value:
            _set(message.list, kind[5:-1], item, repeated=True)
    else:
        _set(message, kind or _kind_of(value), value, repeated=False)
    return message


def _kind_of(value: Any) -> str:
    kinds = {Type: "type", Function: "func", bool: "bool", int: "int", float: "float"}
    return kinds.get(type(value), "string")


def _set(target: Any, kind: str, value: Any, *, repeated: bool) -> None:
    if kind == "type":
        code = value.code if isinstance(value, Type) else value
        target.type.append(code) if repeated else setattr(target, "type", code)
    elif kind in _FIELDS:
        value = value.encode() if isinstance(value, str) else value
        field = _FIELDS[kind]
        getattr(target, field).append(value) if repeated else setattr(target, field, value)
    else:
        part = getattr(target, kind).add() if repeated else getattr(target, kind)
        _set_message(part, kind, value)


def _set_message(part: Any, kind: str, value: Any) -> None:
    if kind == "func":
        function = value if isinstance(value, Function) else Function(value)
        part.name = function.name
        for name, inner in function.attrs.items():
            part.attr[name].CopyFrom(attr_value(inner))
    elif kind == "shape":
        part.CopyFrom(shape_proto(value))
    else:
        part.CopyFrom(value)


def shape_proto(sizes: Sequence[int] | None) -> Any:
    """Return a TensorShapeProto; None for an unknown rank."""
    shape = tensor_shape_pb2.TensorShapeProto(unknown_rank=sizes is None)
    for size in sizes or ():
        shape.dim.add(size=size)
    return shape


def base_model(*tags: str) -> Any:
    """Return a MetaGraph with the input x, float [n], and the node "mul" = 2x; no output yet."""
    meta = meta_graph_pb2.MetaGraphDef()
    meta.meta_info_def.tags.extend(tags or ["serve"])
    meta.meta_info_def.tensorflow_version = "2.21.0"
    meta.graph_def.versions.producer = 1882
    graph = Body(meta.graph_def)
    graph.add("x", "Placeholder", dtype=FLOAT, shape=[-1])
    graph.const("two", 2.0, FLOAT)
    graph.add("mul", "Mul", "x", "two", T=FLOAT)
    meta.signature_def[DEFAULT_SIGNATURE].method_name = "tensorflow/serving/predict"
    add_input(meta, "x")
    return meta


def doubling_model(*tags: str, after: str = "") -> Any:
    """Return a MetaGraph that gives y = 2x, with a control edge from the node `after`."""
    meta = base_model(*tags)
    finish(meta, after)
    return meta


def finish(meta: Any, after: str = "") -> Any:
    """Add the output y = 2x, computed after the node `after`; returns the MetaGraph."""
    control = [f"^{after}"] if after else []
    Body(meta.graph_def).add("y", "Identity", "mul", *control, T=FLOAT)
    return add_output(meta, "y:0")


def add_input(
    meta: Any, name: str, tensor: str = "", signature: str = DEFAULT_SIGNATURE, dtype: int = FLOAT
) -> None:
    """Add an input, [n], to a signature."""
    info = meta.signature_def[signature].inputs[name]
    info.name, info.dtype = tensor or f"{name}:0", dtype
    info.tensor_shape.CopyFrom(shape_proto([-1]))


def add_output(
    meta: Any,
    tensor: str,
    name: str = "y",
    dtype: int = FLOAT,
    sizes: Sequence[int] = (-1,),
    signature: str = DEFAULT_SIGNATURE,
) -> Any:
    """Add an output to a signature; returns the MetaGraph."""
    info = meta.signature_def[signature].outputs[name]
    info.name, info.dtype = tensor, dtype
    info.tensor_shape.CopyFrom(shape_proto(sizes))
    return meta


def set_init_op(meta: Any, name: str) -> None:
    """Let the loader run a node after it has restored the variables."""
    meta.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE].name = name


def add_asset(meta: Any, filename: str = "words.txt", name: str = "asset") -> str:
    """Add a constant that the loader replaces with the path of an asset; return its name."""
    Body(meta.graph_def).const(name, b"unset")
    asset = meta.asset_file_def.add(filename=filename)
    asset.tensor_info.name = f"{name}:0"
    return name


def add_table(meta: Any, path: str, *after: str, name: str = "table") -> str:
    """Add a table whose lines come from the file that the node `path` names.

    The init op fills it, and the output "leak" gives its first two lines for two rows.
    """
    graph = Body(meta.graph_def)
    graph.add(name, "HashTableV2", key_dtype=INT64, value_dtype=STRING, shared_name=name)
    graph.add(
        "filled",
        "InitializeTableFromTextFileV2",
        name,
        path,
        *[f"^{node}" for node in after],
        key_index=-1,
        value_index=-2,
        delimiter="\t",
    )
    set_init_op(meta, "filled")
    graph.const("keys", [0, 1], INT64)
    graph.const("missing", b"?")
    graph.add("found", "LookupTableFindV2", name, "keys", "missing", Tin=INT64, Tout=STRING)
    add_output(meta, "found:0", "leak", STRING)
    return "filled"


def hidden_graph(build: Any) -> bytes:
    """Return a serialized GraphDef to which `build` has added nodes."""
    graph = graph_pb2.GraphDef()
    graph.versions.producer = 1882
    build(Body(graph))
    return bytes(graph.SerializeToString())


def serialize(*metas: Any) -> bytes:
    """Return the content of a saved_model.pb with these MetaGraphs."""
    model = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=metas)
    return bytes(model.SerializeToString())


def varint(value: int) -> bytes:
    """Return an integer as protobuf writes it."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, content: bytes) -> bytes:
    """Return a field of a protobuf message: a string, bytes, or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def attr_entry(key: bytes, value: bytes) -> bytes:
    """Return an entry of a NodeDef's map of attributes."""
    return field(5, field(1, key) + field(2, value))


def append_to_graph(meta: Any, graph_fields: bytes) -> bytes:
    """Return a saved_model.pb whose graph_def ends with fields that no message object can hold."""
    return b"\x08\x01" + field(2, meta.SerializeToString() + field(2, graph_fields))
