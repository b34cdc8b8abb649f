"""What the graph says of one of its tensors, by name: any of them can be fed or fetched."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from tf2spark import dtypes
from tf2spark.contract import Shape, TensorSpec
from tf2spark.reachability import tensor_name
from tf2spark.savedmodel_signatures import shape

UNKNOWN = dtypes.from_code(0)
"""The dtype (DT_INVALID) of a tensor whose dtype the graph doesn't say."""

# Until this version of the graph format a placeholder's shape [] meant "not known"
# (tensorflow/core/ops/array_ops.cc, Placeholder).
_SCALAR_PLACEHOLDERS = 24


def tensor_spec(meta_graph: Any, name: str) -> TensorSpec | None:
    """Return what the graph says of a tensor of the main graph.

    Args:
        meta_graph: The MetaGraph, as `tf2spark.savedmodel.read` gives it.
        name: ``node:0``, or ``node`` for its first output.

    Returns:
        A dense spec named `name`; its dtype is `UNKNOWN` and its shape None where the graph
        doesn't say (the C API may know more). None where there is no such node, or it is known
        to have no such output: `explain_missing` has the words for it.
    """
    node_name, index = _split(name)
    node = next((each for each in meta_graph.graph_def.node if each.name == node_name), None)
    if node is None or index is None:
        return None
    outputs = _output_types(meta_graph, node)
    if outputs is not None and index >= len(outputs):
        return None
    tensor = tensor_name(name)
    code = 0 if outputs is None else outputs[index]
    whole = _output_shape(meta_graph, node, index)
    for info in _infos(meta_graph):
        if info.name == tensor:
            code = code or info.dtype
            whole = shape(info.tensor_shape) if whole is None else whole
    return TensorSpec(name, dtypes.from_code(code), whole, (tensor,))


def explain_missing(meta_graph: Any, name: str) -> str:
    """Return a sentence that says why the graph has no tensor of this name, and what it has."""
    node_name, index = _split(name)
    nodes = [node.name for node in meta_graph.graph_def.node]
    if index is None:
        return f'"{name}" is not the name of a tensor; write "node:0"'
    if node_name in nodes:
        return f'node "{node_name}" has no output {index}'
    for function in meta_graph.graph_def.library.function:
        if any(node.name == node_name for node in function.node_def):
            return (
                f'"{node_name}" is inside the function "{function.signature.name}", where nothing '
                "can be fed or fetched; only tensors of the main graph can"
            )
    near = difflib.get_close_matches(node_name, nodes, 3, 0.6)
    hint = f"; did you mean {' or '.join(f'{each}:{index}' for each in near)}?" if near else ""
    return f'the graph has no node "{node_name}"{hint}'


def _split(name: str) -> tuple[str, int | None]:
    node, colon, index = name.partition(":")
    if not colon:
        return node, 0
    return node, int(index) if index.isascii() and index.isdigit() else None


def _infos(meta_graph: Any) -> Iterator[Any]:
    for signature in meta_graph.signature_def.values():
        yield from signature.inputs.values()
        yield from signature.outputs.values()


def _output_types(meta_graph: Any, node: Any) -> list[int] | None:
    """Return the numbers of the dtypes of a node's outputs; None where its op isn't described."""
    for function in meta_graph.graph_def.library.function:
        if function.signature.name == node.op:
            return _types(function.signature, node.attr)
    for op in meta_graph.meta_info_def.stripped_op_list.op:
        if op.name == node.op:
            defaults = {each.name: each.default_value for each in op.attr}
            return _types(op, defaults | {key: node.attr[key] for key in node.attr})
    return None


def _types(op: Any, attributes: Mapping[str, Any]) -> list[int] | None:
    """Apply the rules of ``OpDef.ArgDef`` (tensorflow/core/framework/op_def.proto)."""
    found: list[int] = []
    for output in op.output_arg:
        named = (output.type_attr, output.number_attr, output.type_list_attr)
        if any(name and name not in attributes for name in named):
            return None
        if output.type_list_attr:
            found += attributes[output.type_list_attr].list.type
            continue
        code = attributes[output.type_attr].type if output.type_attr else output.type
        found += [code] * (attributes[output.number_attr].i if output.number_attr else 1)
    return found


def _output_shape(meta_graph: Any, node: Any, index: int) -> Shape:
    if "_output_shapes" in node.attr:
        shapes = node.attr["_output_shapes"].list.shape
        if index < len(shapes):
            return shape(shapes[index])
    if not node.op.startswith("Placeholder") or "shape" not in node.attr:
        return None
    whole = shape(node.attr["shape"].shape)
    old = 0 < meta_graph.graph_def.versions.producer < _SCALAR_PLACEHOLDERS
    return None if whole == () and old else whole
