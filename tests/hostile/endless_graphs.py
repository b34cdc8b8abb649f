"""Graphs that are recursive or huge: they are scored or refused soon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorflow.core.framework import tensor_pb2

from hostile.attacks import HARMLESS, Targets
from hostile.changes import ONE_FLOAT, output_of
from hostile.graphs import (
    FLOAT,
    INT32,
    INT64,
    STRING,
    Body,
    Function,
    add_asset,
    add_output,
    append_to_graph,
    base_model,
    doubling_model,
    field,
    finish,
    set_init_op,
    shape_proto,
)
from hostile.hiding_places import PLACES, hostile_function
from hostile.model_files import Model
from hostile.tricks import trick

# --- cycles and recursion -------------------------------------------------------------------------


@trick()
def cycle_of_two_nodes(targets: Targets) -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.add("a", "Identity", "b", T=FLOAT)
    graph.add("b", "Identity", "a", T=FLOAT)
    return Model((finish(meta, "b"),))


@trick()
def cycle_of_control_edges(targets: Targets) -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.add("a", "NoOp", "^b")
    graph.add("b", "NoOp", "^a")
    return Model((finish(meta, "b"),))


def _recursive(names: list[str], op: str = "StatefulPartitionedCall") -> Callable[[Targets], Model]:
    """Return a trick in which each of these functions calls the next, and the last the first."""

    def build(targets: Targets) -> Model:
        meta = base_model()
        graph = Body(meta.graph_def)
        for i, name in enumerate(names):
            body = graph.function(name, [("a", FLOAT)], {"r": ("c:output:0", FLOAT)})
            following = names[(i + 1) % len(names)]
            body.add("c", op, "a", **ONE_FLOAT, f=following)
        graph.add("y", op, "mul", **ONE_FLOAT, f=names[0])
        return Model((add_output(meta, "y:0"),))

    return build


trick("function_that_calls_itself")(_recursive(["f"]))
trick("stateless_function_that_calls_itself")(_recursive(["f"], "PartitionedCall"))
trick("functions_that_call_each_other")(_recursive(["f", "g", "h"]))
trick("five_hundred_functions_in_a_ring")(_recursive([f"f{i}" for i in range(500)]))


@trick()
def function_that_calls_itself_by_name(targets: Targets) -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    body = graph.function("f", [("a", FLOAT)], {"r": ("c:r:0", FLOAT)})
    body.add("c", "f", "a")
    graph.add("y", "f", "mul")
    return Model((add_output(meta, "y:0"),))


@trick()
def branch_that_calls_itself(targets: Targets) -> Model:
    """A recursion through If, which would never end."""
    meta = base_model()
    graph = Body(meta.graph_def)
    body = graph.function("f", [("a", FLOAT)], {"r": ("c:output:0", FLOAT)})
    body.const("yes", True)
    body.add(
        "c",
        "StatelessIf",
        "yes:output:0",
        "a",
        Tcond=10,
        **ONE_FLOAT,
        then_branch="f",
        else_branch="f",
    )
    graph.add("y", "StatefulPartitionedCall", "mul", **ONE_FLOAT, f="f")
    return Model((add_output(meta, "y:0"),))


@trick()
def function_that_maps_itself(targets: Targets) -> Model:
    """A recursion through MapDefun."""
    meta = base_model()
    graph = Body(meta.graph_def)
    kinds = {"Targuments": [FLOAT], "output_types": [FLOAT], "output_shapes": [None]}
    body = graph.function("f", [("a", FLOAT)], {"r": ("c:output:0", FLOAT)})
    body.const("zero", 0, INT32)
    body.add("e", "ExpandDims", "a", "zero:output:0", T=FLOAT, Tdim=INT32)
    body.add("c", "MapDefun", "e:output:0", f="f", Tcaptured=[], **kinds)
    graph.add("y", "MapDefun", "mul", f="f", Tcaptured=[], **kinds)
    return Model((add_output(meta, "y:0"),))


@trick()
def gradient_of_itself(targets: Targets) -> Model:
    """A function's gradient is the function, which takes its own gradient."""
    meta = base_model()
    graph = Body(meta.graph_def)
    kinds = {"Tin": [FLOAT, FLOAT], "Tout": [FLOAT], "f": "f"}
    arguments = [("a", FLOAT), ("b", FLOAT)]
    body = graph.function("f", arguments, {"r": ("g:output:0", FLOAT)})
    body.add("g", "SymbolicGradient", "a", "b", **kinds)
    meta.graph_def.library.gradient.add(function_name="f", gradient_func="f")
    graph.add("y", "SymbolicGradient", "mul", "mul", **kinds)
    return Model((add_output(meta, "y:0"),))


@trick()
def functions_that_double(targets: Targets) -> Model:
    """Sixty functions, each of which calls the next twice: 2^60 calls, if they were inlined."""
    meta = base_model()
    graph = Body(meta.graph_def)
    for i in range(60):
        body = graph.function(f"f{i}", [("a", FLOAT)], {"r": ("d:output:0", FLOAT)})
        if i == 59:
            body.add("d", "Identity", "a", T=FLOAT)
        else:
            body.add("c", "PartitionedCall", "a", **ONE_FLOAT, f=f"f{i + 1}")
            body.add("d", "PartitionedCall", "c:output:0", **ONE_FLOAT, f=f"f{i + 1}")
    graph.add("y", "PartitionedCall", "mul", **ONE_FLOAT, f="f0")
    return Model((add_output(meta, "y:0"),))


@trick()
def two_thousand_functions_in_a_chain(targets: Targets) -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    library = meta.graph_def.library.function
    body = graph.function("f0", [("a", FLOAT)], {"r": ("c:output:0", FLOAT)})
    body.add("c", "PartitionedCall", "a", **ONE_FLOAT, f="f1")
    for i in range(1, 2_000):
        library.add().CopyFrom(library[0])
        library[i].signature.name = f"f{i}"
        library[i].node_def[0].attr["f"].func.name = f"f{i + 1}"
    hostile_function(meta, None, targets, "f2000")
    graph.add("y", "PartitionedCall", "mul", **ONE_FLOAT, f="f0")
    return Model((add_output(meta, "y:0"),))


@trick()
def arguments_that_rotate(targets: Targets) -> Model:
    """A function calls itself with its 24 arguments rotated, and with one dropped."""
    meta = doubling_model()
    graph = Body(meta.graph_def)
    add_asset(meta)
    names = [f"a{i}" for i in range(24)]
    kinds = {"Tin": [STRING] * 24, "Tout": [STRING], "f": "f"}
    arguments = [(name, STRING) for name in names]
    body = graph.function("f", arguments, {"r": ("turned:output:0", STRING)})
    body.const("k", b"")
    body.add("turned", "PartitionedCall", *names[1:], names[0], **kinds)
    body.add("dropped", "PartitionedCall", "k:output:0", *names[1:], **kinds)
    graph.add("all", "PartitionedCall", *["asset"] * 24, **kinds)
    set_init_op(meta, "all")
    return Model((meta,), {"assets/words.txt": b"a\n"})


@trick()
def origins_that_multiply(targets: Targets) -> Model:
    """Five hundred calls of one function, each with another set of asset arguments."""
    meta = doubling_model()
    graph = Body(meta.graph_def)
    add_asset(meta)
    graph.const("no", b"")
    arguments = [(f"a{i}", STRING) for i in range(9)]
    body = graph.function("f", arguments, {"r": ("i:output:0", STRING)})
    body.add("i", "Identity", "a0", T=STRING)
    kinds = {"Tin": [STRING] * 9, "Tout": [STRING], "f": "f"}
    for call in range(500):
        inputs = ["asset" if call >> bit & 1 else "no" for bit in range(9)]
        graph.add(f"c{call}", "PartitionedCall", *inputs, **kinds)
    graph.add("all", "NoOp", *[f"^c{call}" for call in range(500)])
    set_init_op(meta, "all")
    return Model((meta,), {"assets/words.txt": b"a\n"})


# --- size -----------------------------------------------------------------------------------------


@trick()
def five_thousand_identities(targets: Targets) -> Model:
    """A chain that a recursive walk would not survive."""
    meta = base_model()
    nodes = meta.graph_def.node
    Body(meta.graph_def).add("n0", "Identity", "mul", T=FLOAT)
    first = nodes[-1]
    for i in range(1, 5_000):
        node = nodes.add()
        node.CopyFrom(first)
        node.name, node.input[0] = f"n{i}", f"n{i - 1}"
    return Model((add_output(meta, "n4999:0"),))


@trick()
def identities_as_a_path(targets: Targets) -> Model:
    """A table's path goes through 3,000 Identities, once for each of 3,000 tables."""
    meta = doubling_model()
    graph = Body(meta.graph_def)
    add_asset(meta)
    previous = "asset"
    for i in range(3000):
        previous = graph.add(f"p{i}", "Identity", previous, T=STRING)
    graph.add("t", "HashTableV2", key_dtype=INT64, value_dtype=STRING)
    op = "InitializeTableFromTextFileV2"
    for i in range(3000):
        graph.add(f"f{i}", op, "t", previous, key_index=-1, value_index=-2)
    graph.add("all", "NoOp", *[f"^f{i}" for i in range(3000)])
    set_init_op(meta, "all")
    return Model((meta,), {"assets/words.txt": b"a\n"})


@trick()
def node_with_a_hundred_thousand_inputs(targets: Targets) -> Model:
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.add("many", "NoOp")
    graph.nodes[-1].input.extend(["^two"] * 100_000)
    return Model((finish(meta, "many"),))


@trick()
def a_constant_of_terabytes(targets: Targets) -> Model:
    """A TensorProto of one value and a shape of 2^40."""
    meta = base_model()
    tensor = tensor_pb2.TensorProto(dtype=FLOAT, tensor_shape=shape_proto([1 << 40]))
    tensor.float_val.append(1.0)
    return _asserted(meta, Body(meta.graph_def).const_proto("big", tensor), FLOAT)


def _asserted(meta: Any, value: str, dtype: int) -> Model:
    """Return a model whose output waits for an op that takes a value."""
    graph = Body(meta.graph_def)
    graph.add("assert", "Assert", graph.const("true", True), value, T=[dtype])
    return Model((finish(meta, "assert"),))


def _constant(sizes: list[int], **fields: Any) -> Callable[[Targets], Model]:
    def build(targets: Targets) -> Model:
        meta = base_model()
        tensor = tensor_pb2.TensorProto(tensor_shape=shape_proto(sizes), **fields)
        return _asserted(meta, Body(meta.graph_def).const_proto("odd", tensor), tensor.dtype)

    return build


trick("constant_of_a_negative_shape")(_constant(dtype=FLOAT, sizes=[-3], float_val=[1.0]))
trick("constant_of_an_overflowing_shape")(_constant(dtype=FLOAT, sizes=[1 << 62, 1 << 62]))
trick("constant_with_too_few_bytes")(_constant(dtype=FLOAT, sizes=[100], tensor_content=b"abc"))
trick("constant_of_an_unknown_dtype")(_constant(dtype=99, sizes=[1]))
trick("constant_of_strings_in_bytes")(
    _constant(dtype=STRING, sizes=[2], tensor_content=b"\xff\xff\xff\xff\x7f\x01ab")
)


@trick()
def an_output_of_exabytes(targets: Targets) -> Model:
    """Fill with 2^60 values."""
    meta = base_model()
    graph = Body(meta.graph_def)
    sizes = graph.const("sizes", [1 << 60], INT64)
    fill = graph.add("fill", "Fill", sizes, "two", T=FLOAT, index_type=INT64)
    return _asserted(meta, fill, FLOAT)


@trick()
def a_signature_of_two_thousand_outputs(targets: Targets) -> Model:
    meta = doubling_model()
    for i in range(2_000):
        add_output(meta, "y:0", f"y{i}", signature="many")
    return Model((meta,))


@trick()
def a_rank_of_a_hundred_thousand(targets: Targets) -> Model:
    meta = doubling_model()
    output_of(meta).tensor_shape.CopyFrom(shape_proto([1] * 100_000))
    return Model((meta,))


@trick()
def a_shape_of_negative_sizes(targets: Targets) -> Model:
    meta = doubling_model()
    output_of(meta).tensor_shape.CopyFrom(shape_proto([-5, -(1 << 62)]))
    return Model((meta,))


@trick()
def functions_in_functions_as_attributes(targets: Targets) -> Model:
    """An attribute names a function, whose attribute names a function, 30 deep."""
    meta = base_model()
    hostile_function(meta, None, targets, "good")
    call = Function("good")
    for _ in range(30):
        call = Function("good", {"g": call})
    Body(meta.graph_def).add("y", "StatefulPartitionedCall", "mul", **ONE_FLOAT, f=call)
    return Model((add_output(meta, "y:0"),))


@trick()
def messages_ten_thousand_deep(targets: Targets) -> Model:
    """Deeper than any protobuf parser follows."""
    value = field(10, field(1, b"good"))
    for _ in range(10_000):
        value = field(10, field(2, field(1, b"g") + field(2, value)))
    node = field(1, b"deep") + field(2, b"NoOp") + field(5, field(1, b"f") + field(2, value))
    return Model(raw=append_to_graph(doubling_model(), field(1, node)))


@trick()
def composite_tensors_in_each_other(targets: Targets) -> Model:
    meta = doubling_model()
    info = meta.signature_def["serving_default"].inputs["x"]
    content = info.SerializeToString()
    for _ in range(2000):
        content = field(5, field(2, content))
    entry = field(5, field(1, b"deep") + field(2, field(1, field(1, b"x") + field(2, content))))
    return Model(raw=b"\x08\x01" + field(2, meta.SerializeToString() + entry))


@trick()
def composite_tensor_of_nonsense(targets: Targets) -> Model:
    meta = doubling_model()
    info = meta.signature_def["odd"].inputs["x"]
    info.composite_tensor.type_spec.type_spec_class = 9999
    info.composite_tensor.components.add().name = "nowhere:0"
    sparse = meta.signature_def["odd"].outputs["y"].coo_sparse
    sparse.values_tensor_name = "nowhere:0"
    return Model((meta,))


@trick()
def objects_that_refer_to_themselves(targets: Targets) -> Model:
    meta = doubling_model()
    objects = meta.object_graph_def
    for i in range(3):
        node = objects.nodes.add()
        node.children.add(node_id=(i + 1) % 3, local_name="next")
        node.children.add(node_id=1 << 30, local_name="beyond")
        node.children.add(node_id=-1, local_name="signatures")
        node.bare_concrete_function.concrete_function_name = "nowhere"
    return Model((meta,))


@trick()
def structured_values_in_each_other(targets: Targets) -> Model:
    """The input signature of a function is a tuple in a tuple, 2,000 deep."""
    value = field(31, b"")
    for _ in range(2000):
        value = field(52, field(1, value))
    function = field(2, field(1, b"f") + field(2, field(3, value)))
    meta = doubling_model()
    return Model(raw=b"\x08\x01" + field(2, meta.SerializeToString() + field(7, function)))


# --- attributes that cost TensorFlow more than they should ---------------------------------------

_OVERFLOWING = [1 << 62, 1 << 62]


def _with_node(op: str, *inputs: str, **attrs: Any) -> Callable[[Targets], Model]:
    """Return a trick: a good model with one more node, that its output waits for."""

    def build(targets: Targets) -> Model:
        meta = base_model()
        Body(meta.graph_def).add("odd", op, *inputs, **attrs)
        return Model((finish(meta, "odd"),))

    return build


trick("variable_of_an_overflowing_shape")(
    _with_node("VarHandleOp", dtype=FLOAT, shape=_OVERFLOWING, shared_name="v")
)
trick("placeholder_of_an_overflowing_shape")(
    _with_node("PlaceholderWithDefault", "two", dtype=FLOAT, shape=_OVERFLOWING)
)
trick("queue_of_overflowing_shapes")(
    _with_node("FIFOQueueV2", component_types=[FLOAT], shapes=[_OVERFLOWING])
)
trick("ensured_overflowing_shape")(_with_node("EnsureShape", "mul", T=FLOAT, shape=_OVERFLOWING))


@trick()
def remembered_shapes_that_overflow(targets: Targets) -> Model:
    """The shapes of outputs, which exporters write beside nodes."""
    meta = doubling_model()
    for node in meta.graph_def.node:
        node.attr["_output_shapes"].list.shape.add().CopyFrom(shape_proto(_OVERFLOWING))
    return Model((meta,))


@trick()
def argument_of_an_overflowing_shape(targets: Targets) -> Model:
    """The shape of a function's argument, written beside it."""
    meta = base_model()
    hostile_function(meta, None, targets, "good")
    argument = meta.graph_def.library.function[-1].arg_attr[0]
    argument.attr["_output_shapes"].list.shape.add().CopyFrom(shape_proto(_OVERFLOWING))
    Body(meta.graph_def).add("y", "PartitionedCall", "mul", **ONE_FLOAT, f="good")
    return Model((add_output(meta, "y:0"),))


def _loop(iterations: int) -> Callable[[Targets], Model]:
    """Return a trick: a loop that may run this many of its iterations at once."""

    def build(targets: Targets) -> Model:
        hidden = PLACES["While_body"].hide(HARMLESS, targets)
        loop = next(node for node in hidden.metas[0].graph_def.node if node.op == "While")
        loop.attr["parallel_iterations"].i = iterations
        return hidden

    return build


def _v1_loop(iterations: int) -> Callable[[Targets], Model]:
    """Return a trick: the same with a loop of single nodes."""

    def build(targets: Targets) -> Model:
        hidden = PLACES["v1_while_loop"].hide(HARMLESS, targets)
        enter = next(node for node in hidden.metas[0].graph_def.node if node.op == "Enter")
        enter.attr["parallel_iterations"].i = iterations
        return hidden

    return build


for _iterations in ((1 << 31) - 1, 1 << 40, -1, 0):
    trick(f"loop_with_{_iterations}_parallel_iterations")(_loop(_iterations))
    trick(f"v1_loop_with_{_iterations}_parallel_iterations")(_v1_loop(_iterations))


@trick()
def pool_of_a_million_threads(targets: Targets) -> Model:
    """A thread pool of tf.data."""
    meta = base_model()
    graph = Body(meta.graph_def)
    kinds: dict[str, Any] = {"output_types": [INT64], "output_shapes": [None]}
    bounds = [graph.const(f"bound{i}", value, INT64) for i, value in enumerate((0, 1, 1))]
    graph.add("range", "RangeDataset", *bounds, **kinds)
    threads = {"num_threads": 1_000_000, "display_name": "p", "shared_name": "p"}
    graph.add("pool", "ThreadPoolHandle", **threads)
    graph.add("pooled", "ThreadPoolDataset", "range", "pool", **kinds)
    graph.add("element", "DatasetToSingleElement", "pooled", **kinds)
    return Model((finish(meta, "element"),))


@trick()
def private_pool_of_a_million_threads(targets: Targets) -> Model:
    """A thread pool whose size is an input."""
    meta = base_model()
    graph = Body(meta.graph_def)
    kinds: dict[str, Any] = {"output_types": [INT64], "output_shapes": [None]}
    bounds = [graph.const(f"bound{i}", value, INT64) for i, value in enumerate((0, 1, 1))]
    graph.add("range", "RangeDataset", *bounds, **kinds)
    threads = graph.const("threads", 1_000_000, INT64)
    graph.add("pooled", "PrivateThreadPoolDataset", "range", threads, **kinds)
    graph.add("element", "DatasetToSingleElement", "pooled", **kinds)
    return Model((finish(meta, "element"),))


@trick()
def a_million_threads(targets: Targets) -> Model:
    """BatchFunction starts as many threads as it is told."""
    hidden = PLACES["batch_function"].hide(HARMLESS, targets)
    hidden.metas[0].graph_def.node[-1].attr["num_batch_threads"].i = 1_000_000
    return hidden
