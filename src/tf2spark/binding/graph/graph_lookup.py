"""What a request needs to know about the graph: raw tensors, and inputs that nothing feeds yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from itertools import chain
from typing import Any

from tf2spark.binding.advice.feeds import feed_advice, fetch_advice
from tf2spark.binding.feeds import Column, Feed, Output
from tf2spark.binding.graph.variables import state_batch_sizes
from tf2spark.binding.messages import did_you_mean
from tf2spark.binding.request import Graph, Request, Unfed
from tf2spark.dtypes import INT64, DType, Shape, from_code, shape_text
from tf2spark.errors import Advice, ContractError
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.graph.upstream import feedable_tensor, node_name, tensor_name, upstream
from tf2spark.saved_model.protos import GraphDef, GraphMessage, NodeMessage
from tf2spark.saved_model.reader import LoadedModel
from tf2spark.saved_model.signatures import shape
from tf2spark.tensorflow_c.graph import graph_tensor_info

_DEFAULT = "PlaceholderWithDefault"
# A mark of calls whose bodies TensorFlow is not to infer shapes through.
_WITHOUT_INFERENCE = "_disable_call_shape_inference"
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})
_FED = frozenset({*_PLACEHOLDERS, _DEFAULT})
_REFERENCE = 100  # is added to the dtype of a reference
# By op, the attribute with the dtypes of its outputs.
_DTYPE_ATTRIBUTES = {
    **dict.fromkeys((*_FED, "Const", "VariableV2", "ReadVariableOp"), "dtype"),
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf"), "Tout"),
    **dict.fromkeys(("Identity", "IdentityN", "Sigmoid", "Softmax", "Relu", "Tanh", "Exp"), "T"),
    **dict.fromkeys(("Add", "AddV2", "Sub", "Mul", "RealDiv", "BiasAdd", "MatMul"), "T"),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims", "ConcatV2", "StridedSlice"), "T"),
    **{"Cast": "DstT", "ArgMax": "output_type", "StringToNumber": "out_type"},
}


def graph_of(loaded: Any) -> Graph:
    """Return the look-ups for a SavedModel that was read."""
    nodes = {node.name: node for node in loaded.meta_graph.graph_def.node}

    @cache
    def find(name: str) -> TensorSpec:
        return _find(loaded.meta_graph, nodes, name)

    def unfed(fetches: Collection[str], feeds: Collection[str], inputs: Collection[str]) -> Unfed:
        return _unfed(nodes, fetches, {*feeds, *loaded.weights}, inputs)

    def state_rows(fetches: Collection[str], feeds: Collection[str]) -> Collection[int]:
        return state_batch_sizes(loaded.meta_graph, fetches, feeds)

    return Graph(find, unfed, state_rows)


_WRONG_SIGNATURE = "the signature of the model is wrong"


def is_wrong_signature(error: ContractError) -> bool:
    """Return whether `check_described` raised an error."""
    return str(error).startswith(_WRONG_SIGNATURE)


def check_described(loaded: LoadedModel, request: Request) -> None:
    """Check that a signature describes its tensors as the graph has them, as far as nodes say.

    TensorFlow compares neither: it fails in a run, or computes something else.

    Raises:
        ContractError: A tensor isn't in the graph, or has another dtype or shape there.
    """
    nodes = {node.name: node for node in loaded.meta_graph.graph_def.node}
    described = [
        *((fed.spec, "input", fed.feed) for fed in request.inputs),
        *((fetched.spec, "output", None) for fetched in request.outputs),
    ]
    for spec, kind, feed in described:
        for tensor, dtype in zip(spec.tensors, _component_dtypes(spec), strict=True):
            if tensor and (problem := _difference(nodes, spec, tensor, dtype)):
                raise ContractError(
                    f'{_WRONG_SIGNATURE}: {kind} "{spec.name}" {problem}',
                    _raw_advice(tensor, feed),
                )


def _component_dtypes(spec: TensorSpec) -> tuple[DType, ...]:
    if spec.kind == "sparse":
        return INT64, spec.dtype, INT64
    if spec.kind == "ragged":
        return spec.dtype, *[spec.splits_dtype or INT64] * (len(spec.tensors) - 1)
    return (spec.dtype,)


def _difference(
    nodes: Mapping[str, NodeMessage], spec: TensorSpec, tensor: str, dtype: DType
) -> str:
    node, index = nodes.get(node_name(tensor)), tensor_name(tensor).rpartition(":")[2]
    if node is None or not index.isdecimal():
        return f'is the tensor "{tensor}", which is not in the graph'
    codes = _output_codes(node)
    if codes is None:
        return ""
    if int(index) >= len(codes):
        return f'is the tensor "{tensor}", but {node.op} "{node.name}" has {len(codes)} outputs'
    actual = from_code(codes[int(index)] % _REFERENCE)
    if dtype.code % _REFERENCE not in (0, actual.code):
        return f'is {dtype}, but in the graph its tensor "{tensor}" is {actual}'
    # TensorFlow 1 once wrote an unknown shape as that of a scalar.
    known = shape(node.attr["shape"].shape) if node.op in _FED and "shape" in node.attr else None
    if known and spec.kind == "dense" and not _compatible(spec.shape, known):
        return (
            f"has the shape {shape_text(spec.shape)}, but in the graph its tensor "
            f'"{tensor}" has {shape_text(known)}'
        )
    return ""


def _output_codes(node: NodeMessage) -> list[int] | None:
    """Return the dtypes of a node's outputs where its attributes give them; None otherwise."""
    name = _DTYPE_ATTRIBUTES.get(node.op)
    if name is None or name not in node.attr or node.attr[name].HasField("placeholder"):
        return None
    value = node.attr[name]
    return list(value.list.type) if value.HasField("list") else [value.type]


def _compatible(first: Shape, second: Shape) -> bool:
    if first is None or second is None:
        return True
    return len(first) == len(second) and all(
        a is None or b is None or a == b for a, b in zip(first, second, strict=True)
    )


def _raw_advice(tensor: str, feed: Feed | None) -> str | Advice:
    advice: str | Advice
    if feed is None:
        advice = fetch_advice({node_name(tensor): Output(tensor)})
    else:
        advice = feed_advice({tensor: feed})
    return "export the model again, or use the tensor of the graph: " + advice


def inferred_shapes(
    graph_def: GraphMessage, fed: Mapping[str, tuple[DType, Shape]], names: Collection[str]
) -> dict[str, Shape]:
    """Return the shapes of tensors, as far as TensorFlow infers them from the shapes of a feed.

    It infers shapes as it imports a graph, also through calls of functions.
    What may run then doesn't depend on the shapes of what is fed, nor on whether calls are marked
    as in `_WITHOUT_INFERENCE`, nor on the kind of a table: `evaluated_nodes` counts all that could.
    """
    graph = GraphDef()
    graph.CopyFrom(graph_def)
    bodies = (function.node_def for function in graph.library.function)
    for node in chain(graph.node, *bodies):
        if _WITHOUT_INFERENCE in node.attr:
            del node.attr[_WITHOUT_INFERENCE]
        # Of these tables TensorFlow knows that their values are scalars, as those of the other are.
        if node.op == "HashTableV2":
            node.op = "MutableHashTableV2"
    for node in graph.node:
        if (tensor := f"{node.name}:0") in fed:
            _make_placeholder(node, *fed[tensor])
    found = graph_tensor_info(graph.SerializeToString(), names)
    return {name: known[1] for name, known in found.items() if known is not None}


def _make_placeholder(node: NodeMessage, dtype: DType, known: Shape) -> None:
    """Make a node a placeholder of this dtype and shape."""
    name = node.name
    node.Clear()
    node.name, node.op = name, "Placeholder"
    node.attr["dtype"].type = dtype.code
    # Without the attribute, the rank is unknown.
    if known is not None:
        node.attr["shape"].shape.SetInParent()
        for size in known:
            node.attr["shape"].shape.dim.add(size=-1 if size is None else size)


def _find(meta_graph: Any, nodes: dict[str, Any], name: str) -> TensorSpec:
    """Return the spec of a raw tensor, from its placeholder or TensorFlow's shape inference."""
    node = nodes.get(name.partition(":")[0])
    if node is None:
        raise ContractError(
            f'the graph has no tensor "{name}"', _tensor_advice(meta_graph, nodes, name)
        )
    if node.op in _FED and name == f"{node.name}:0":
        # The attribute is missing where it has its default, an unknown rank.
        known = shape(node.attr["shape"].shape) if "shape" in node.attr else None
        return TensorSpec(name, from_code(node.attr["dtype"].type), known, (name,))
    dtype_and_shape = graph_tensor_info(meta_graph.graph_def.SerializeToString(), [name])[name]
    if dtype_and_shape is None:
        raise ContractError(
            f'the graph has no tensor "{name}": node "{node.name}" ({node.op}) has no such output'
        )
    return TensorSpec(name, *dtype_and_shape, (name,))


def _tensor_advice(meta_graph: Any, nodes: dict[str, Any], name: str) -> str:
    target = node_name(name)
    for function in meta_graph.graph_def.library.function:
        if any(
            node.name == target or node.name.endswith(f"/{target}") for node in function.node_def
        ):
            return (
                f'"{target}" is inside the function "{function.signature.name}", whose tensors '
                "can't be fed or fetched from outside: export the model with that tensor as an "
                "output of a signature"
            )
    return did_you_mean(name, [f"{known}:0" for known in nodes], label="tensor")


def _check_inputs_exist(
    nodes: Mapping[str, NodeMessage], inputs: Collection[str], needed: Collection[str]
) -> None:
    """Check the tensors of a signature's inputs, where the graph needs others that are no inputs.

    Raises:
        ContractError: One isn't in the graph, so that the signature is at fault, not the feed.
    """
    missing = sorted(name for name in inputs if node_name(name) not in nodes)
    if missing and needed:
        feeds = feed_advice({min(needed): Column("COLUMN")})
        raise ContractError(
            f'the signature of the model is wrong: its input tensor "{missing[0]}" is not in the '
            "graph",
            "export the model again, or use the tensor of the graph: " + feeds,
        )


def _unfed(
    nodes: dict[str, Any], fetches: Collection[str], feeds: Collection[str], inputs: Collection[str]
) -> Unfed:
    fed, known = set(map(tensor_name, feeds)), set(map(tensor_name, inputs))
    # Nodes upstream of an input don't count, except those of a default: it may need inputs too.
    defaults = {name for name, node in nodes.items() if node.op == _DEFAULT}
    cut = {name for name in known if node_name(name) not in defaults}
    run = upstream(nodes, fetches, fed=fed | cut)
    edges = chain(fetches, *(node.input for node in run.values()))
    tensors = {tensor for edge in edges if (tensor := feedable_tensor(nodes, edge)) is not None}
    required: set[str] = set()
    optional: set[str] = set()
    for tensor in tensors - fed:
        node = nodes.get(node_name(tensor))
        if node is None:
            continue
        if node.op in _PLACEHOLDERS:
            required.add(tensor)
        elif tensor in known:
            # An input inside the graph that can be computed is like one with a default.
            sources = upstream(nodes, node.input, fed=fed).values()
            needs_feed = any(source.op in _PLACEHOLDERS for source in sources)
            (required if needs_feed and node.op != _DEFAULT else optional).add(tensor)
    _check_inputs_exist(nodes, known, required - known)
    return Unfed(frozenset(required), frozenset(optional))
