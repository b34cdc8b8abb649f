"""Graphs inside of string constants.

Ops such as DatasetFromGraph run a serialized graph. A user who allows one of them should still see
what that graph does. Arbitrary bytes can parse as a GraphDef, so a vocabulary must not be refused
because some of its words look like a graph: only ops that are known to be unsafe count here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import prod
from typing import Any

from google.protobuf.message import DecodeError

from tf2spark.errors import UnsafeModelError
from tf2spark.saved_model.protos import GraphDef, GraphMessage, NodeMessage

MAX_NESTED_GRAPHS = 20
"""How deep graphs may lie inside each other."""

MAX_PARSED_STRINGS = 1_000_000
"""How many strings are tried as a graph, for each constant."""

_SHORTEST_GRAPH = 8
_STRING = 7  # DataType in tensorflow/core/framework/types.proto
# The first byte of each field that can begin a serialized GraphDef (fields 1 to 4).
_GRAPH_FIRST_BYTES = (b"\x0a", b"\x12", b"\x18", b"\x22")


def nodes_inside(constant: NodeMessage) -> Iterator[tuple[NodeMessage, tuple[str, ...]]]:
    """Yield the nodes of the graphs inside a constant, each with the constants that it is inside.

    Raises:
        UnsafeModelError: Graphs are nested too deep, or too many strings look like one.
    """
    pending: list[tuple[NodeMessage, tuple[str, ...]]] = [(constant, (constant.name,))]
    parsed = 0
    while pending:
        holder, path = pending.pop()
        for content in _possible_graphs(holder):
            parsed += 1
            if parsed > MAX_PARSED_STRINGS:
                raise _not_checked(constant, f"{MAX_PARSED_STRINGS:,} strings that look like one")
            graph = _parse(content)
            if graph is None:
                continue
            if len(path) > MAX_NESTED_GRAPHS:
                raise _not_checked(constant, f"{MAX_NESTED_GRAPHS} graphs inside each other")
            bodies = (function.node_def for function in graph.library.function)
            for node in chain(graph.node, *bodies):
                yield node, path
                if node.op == "Const":
                    pending.append((node, (*path, node.name)))


def _not_checked(constant: NodeMessage, excess: str) -> UnsafeModelError:
    return UnsafeModelError(
        f'the constant "{constant.name}" can\'t be checked for graphs inside of it: it has more '
        f"than {excess}"
    )


def _possible_graphs(constant: NodeMessage) -> Iterator[bytes]:
    if "value" not in constant.attr:
        return
    tensor = constant.attr["value"].tensor
    for text in chain(tensor.string_val, _packed_strings(tensor)):
        if text.startswith(_GRAPH_FIRST_BYTES) and len(text) >= _SHORTEST_GRAPH:
            yield text


def _parse(content: bytes) -> GraphMessage | None:
    try:
        return GraphDef.FromString(content)
    except (DecodeError, RecursionError):
        return None


def _packed_strings(tensor: Any) -> Iterator[bytes]:
    """Yield the strings in a tensor's content: their lengths as varints, then their bytes."""
    if tensor.dtype != _STRING:
        return  # before its content is copied, which can be large
    content = bytes(tensor.tensor_content)
    count = prod(dim.size for dim in tensor.tensor_shape.dim)
    lengths: list[int] = []
    start = 0
    while len(lengths) < count and start < len(content):
        length, shift = 0, 0
        while start < len(content) and content[start] & 0x80:
            length |= (content[start] & 0x7F) << shift
            start, shift = start + 1, shift + 7
        if start < len(content):
            lengths.append(length | content[start] << shift)
        start += 1
    for length in lengths:
        yield content[start : start + length]
        start += length
