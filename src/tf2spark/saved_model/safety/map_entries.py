"""Entries of maps that one protobuf library reads and another doesn't.

Python's protobuf leaves out an entry of a map that has an unknown field inside of it, and keeps its
bytes as an unknown field of the message; C++, as in TensorFlow, reads the entry. So an attribute of
a node could be hidden from the check. No library writes such an entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet

from tf2spark.errors import ModelError
from tf2spark.saved_model.graph.function_library import named_functions
from tf2spark.saved_model.protos import AttrMessage, MetaGraph, NodeMessage


def check_map_entries(meta_graph: MetaGraph) -> None:
    """Check that no map of a MetaGraph has entries that only TensorFlow reads.

    Raises:
        ModelError: One has.
    """
    graph, objects = meta_graph.graph_def, meta_graph.object_graph_def
    bodies = (function.node_def for function in graph.library.function)
    messages = chain(
        (meta_graph, objects),
        meta_graph.signature_def.values(),
        graph.library.function,
        chain.from_iterable(map(_with_attributes, chain(graph.node, *bodies))),
    )
    for message in messages:
        for field in UnknownFieldSet(message):
            if field.field_number in _map_numbers(message.DESCRIPTOR):
                name = getattr(message, "name", "")
                where = f'{message.DESCRIPTOR.name} "{name}"' if name else message.DESCRIPTOR.name
                raise ModelError(f"the model is damaged: a map in {where} has a malformed entry")


def _with_attributes(node: NodeMessage) -> Iterator[Any]:
    """Yield a node, and the functions that its attributes name, which have attributes too."""
    yield node
    for value in node.attr.values():
        yield from _functions(value)


def _functions(value: AttrMessage) -> Iterator[Any]:
    for function in named_functions(value):
        yield function
        for inner in function.attr.values():
            yield from _functions(inner)


@cache
def _map_numbers(descriptor: Any) -> frozenset[int]:
    """Return the numbers of the fields that are maps."""
    return frozenset(
        field.number
        for field in descriptor.fields
        if field.message_type is not None and field.message_type.GetOptions().map_entry
    )
