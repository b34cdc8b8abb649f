"""The functions of a graph, and which of them a node calls."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from attrs import frozen

from tf2spark.saved_model.graph.upstream import is_control
from tf2spark.saved_model.protos import AttrMessage, FunctionMessage, GraphMessage, NodeMessage

JAX_MODULE = "XlaCallModule"
"""The op that holds a model of JAX: jax2tf exports a module of StableHLO."""
NOT_OPENED = "_tf2spark_not_opened"
"""The attribute that says why `compile` left such an op as it is."""
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# Their first input chooses the branch; the others are the arguments of every branch.
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
# The attributes that name what the ops above call, or the parts of a loop.
_CALLED = ("f", "then_branch", "else_branch", "branches", "cond", "body")


@frozen
class Call:
    """A function that a node may call.

    Attributes:
        name: The name of the function.
        arguments: The inputs of the node that become the function's arguments, in their order;
            None where the function may get other values.
    """

    name: str
    arguments: tuple[str, ...] | None


def calls(node: NodeMessage) -> Iterator[Call]:
    """Yield the functions that a node names: its op, then those in its attributes.

    A function gets the inputs of the node only where the node calls it itself. It gets other values
    from a loop, from a map over a dataset, and from a function to which the node passes its name:
    an attribute of a call can fill in what a call inside of the function's body calls.
    """
    inputs = tuple(name for name in node.input if not is_control(name))
    yield Call(node.op, inputs)
    values = _function_attributes(node)
    if not values:
        return
    direct: list[str] = []
    if node.op in CALLS or node.op in _BRANCHES:
        direct = called_functions(node)
    arguments = inputs[1:] if node.op in _BRANCHES else inputs
    yield from (Call(name, arguments) for name in direct)
    yield from (Call(name, None) for name in _named_by(values) if name not in direct)
    yield from (Call(name, None) for name in _passed_on(values))


def called_functions(node: NodeMessage) -> list[str]:
    """Return the functions that a call, a branch or a loop calls itself."""
    return [name for key in _CALLED if key in node.attr for name in _named(node.attr[key])]


def function_names(node: NodeMessage) -> list[str]:
    """Return the functions that a node names: its op, then its attributes of type func."""
    values = _function_attributes(node)
    return [node.op, *_named_by(values), *_passed_on(values)] if values else [node.op]


def functions_in(value: AttrMessage) -> Iterator[str]:
    """Yield the functions that an attribute names, and those that their own attributes name."""
    yield from _named(value)
    yield from _inner(value)


def _function_attributes(node: NodeMessage) -> list[AttrMessage]:
    """Return the attributes of a node that name functions; most nodes have none."""
    return [value for value in node.attr.values() if named_functions(value)]


def _named_by(values: list[AttrMessage]) -> list[str]:
    return [name for value in values for name in _named(value)]


def _passed_on(values: list[AttrMessage]) -> list[str]:
    return [name for value in values for name in _inner(value)]


def _named(value: AttrMessage) -> Iterator[str]:
    yield from (function.name for function in named_functions(value))


def _inner(value: AttrMessage) -> Iterator[str]:
    # Protobuf reads messages up to 100 deep, so this recursion is shallow.
    for function in named_functions(value):
        for inner in function.attr.values():
            yield from functions_in(inner)


def named_functions(value: AttrMessage) -> Any:
    """Return the messages of the functions that an attribute names."""
    # Nearly all attributes are others: `value.list` of those would make a message each.
    kind = value.WhichOneof("value")
    if kind == "list":
        return value.list.func
    return [value.func] if kind == "func" else ()


def takes_lists(function: FunctionMessage) -> bool:
    """Return whether a function takes or returns a list, which is any number of tensors."""
    signature = function.signature
    arguments = (*signature.input_arg, *signature.output_arg)
    return any(argument.number_attr or argument.type_list_attr for argument in arguments)


class FunctionLibrary:
    """The functions of a graph, and which ones TensorFlow may run in place of another.

    Attributes:
        functions: The functions by name.
    """

    def __init__(self, graph: GraphMessage) -> None:
        library = graph.library
        self.functions: dict[str, FunctionMessage] = {
            function.signature.name: function for function in library.function
        }
        self._gradients = {
            gradient.function_name: gradient.gradient_func for gradient in library.gradient
        }

    @cached_property
    def _by_api(self) -> dict[bytes, list[str]]:
        groups: dict[bytes, list[str]] = {}
        for name in self.functions:
            if (api := self.api_of(name)) is not None:
                groups.setdefault(api, []).append(name)
        return groups

    def api_of(self, name: str) -> bytes | None:
        """Return the API that a function implements; None if none is given.

        Grappler's implementation selector may call any function of an API for another: they are the
        forms of one layer, for CPU and GPU.
        """
        attributes = self.functions[name].attr
        return bytes(attributes["api_implements"].s) if "api_implements" in attributes else None

    def implementing(self, api: bytes) -> list[str]:
        """Return the functions that implement an API."""
        return self._by_api[api]

    def alternatives(self, name: str) -> list[str]:
        """Return the functions that may run where `name` is called; none if it is no function."""
        if name not in self.functions:
            return []
        api = self.api_of(name)
        return [name] if api is None else self.implementing(api)

    def gradient_of(self, name: str) -> str | None:
        """Return the function that SymbolicGradient runs for another; None if there is none."""
        gradient = self._gradients.get(name)
        return gradient if gradient in self.functions else None
