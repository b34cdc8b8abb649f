"""Which nodes of a MetaGraph run, followed through calls into function bodies.

A session runs only the nodes that the fetched tensors depend on; loading a SavedModel runs its
restore op and its init op (``tensorflow/cc/saved_model/loader.cc``). Inside a function every node
counts, because stateful ones run whether or not a result depends on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from attrs import Factory, frozen

from tf2spark.errors import ModelError
from tf2spark.saved_model.graph.function_library import (
    Call,
    FunctionLibrary,
    calls,
    takes_lists,
)
from tf2spark.saved_model.graph.upstream import is_control, node_name, tensor_name
from tf2spark.saved_model.protos import (
    FunctionMessage,
    MetaGraph,
    NodeMessage,
)
from tf2spark.saved_model.safety.origins import FindOrigin, Origin, Origins

TRAIN_SIGNATURE = "__saved_model_train_op"
MAX_STEPS = 2_000_000
"""How many nodes and arguments of calls a walk visits before it gives up."""


@frozen(eq=False)
class NodeContext:
    """What surrounds a node: how it is reached, and what its inputs can be.

    Attributes:
        path: The path to its graph or function body, for messages: the output, then call nodes and
            functions alternating.
        functions: All functions of the MetaGraph by name.
        origin: Returns the origin of an input of the node, given the input's name.
    """

    path: tuple[str, ...]
    functions: Mapping[str, FunctionMessage]
    origin: FindOrigin


WalkedNode: TypeAlias = tuple[NodeMessage, NodeContext]
"""A node that runs, with its context."""


@frozen
class Run:
    """One run of the session.

    Attributes:
        fetches: The names of the fetched tensors or nodes, each with a label for messages.
        fed: The fed tensors, each with the origin of its value.
    """

    fetches: tuple[tuple[str, str], ...]
    fed: Mapping[str, Origin] = Factory(dict)


def user_run(meta_graph: MetaGraph, fetches: Iterable[str], feeds: Iterable[str]) -> Run:
    """Return the run that fetches some tensors (or nodes) and is fed others."""
    output_keys = {
        tensor_name(info.name): f'output "{key}"'
        for signature in meta_graph.signature_def.values()
        for key, info in signature.outputs.items()
        if info.name
    }
    labeled = tuple(
        (name, output_keys.get(tensor_name(name), f'tensor "{name}"')) for name in fetches
    )
    return Run(labeled, dict.fromkeys(map(tensor_name, feeds), ""))


def walk(meta_graph: MetaGraph, runs: Iterable[Run]) -> Iterator[WalkedNode]:
    """Yield each node that these runs reach, with its context.

    A function is visited again where a call passes it something else than the calls before: what
    is safe with the path of an asset may not be safe with any other string.

    Raises:
        ModelError: A run fetches a node that isn't in the graph, or the graph is too large to
            follow.
    """
    walker = _Walker(meta_graph)
    for run in runs:
        yield from walker.walk(run)


def walk_functions(
    meta_graph: MetaGraph, called: Iterable[tuple[str, tuple[Origin, ...]]], label: str
) -> Iterator[WalkedNode]:
    """Yield each node that these functions reach, with its context.

    Args:
        meta_graph: The MetaGraph.
        called: The names of the functions, each with the origins of its arguments.
        label: Who calls them, for messages.
    """
    walker = _Walker(meta_graph)
    for name, arguments in called:
        yield from walker.walk_function(name, arguments, label)


class StepLimit:
    """Counts the steps of a walk through functions, and ends it after `MAX_STEPS`."""

    def __init__(self, problem: str) -> None:
        """`problem` is what the error says if there are more."""
        self._problem = problem
        self._steps = 0

    def count(self, steps: int = 1) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise ModelError(
                f"{self._problem}: following its functions takes more than {MAX_STEPS:,} steps"
            )


class _Walker:
    """Follows runs through a graph, each function only as often as something new comes in."""

    def __init__(self, meta_graph: MetaGraph) -> None:
        graph = meta_graph.graph_def
        self._nodes = {node.name: node for node in graph.node}
        self._library = FunctionLibrary(graph)
        self._origins = Origins(self._nodes, self._library.functions)
        # Per function, the origins of its arguments in all calls so far; "" where they differ. An
        # argument changes once at most, which bounds the visits.
        self._arguments: dict[str, tuple[Origin, ...]] = {}
        self._steps = StepLimit("the model's ops can't be checked")

    def walk(self, run: Run) -> Iterator[WalkedNode]:
        for node, context in self._walk_graph(run):
            yield node, context
            yield from self._walk_calls(node, context)

    def walk_function(
        self, name: str, arguments: tuple[Origin, ...], label: str
    ) -> Iterator[WalkedNode]:
        if name in self._library.functions:
            yield from self._follow([(name, arguments, (label, name))])

    def _walk_graph(self, run: Run) -> Iterator[WalkedNode]:
        origin = self._origins.in_graph(run.fed)
        visited: set[str] = set()
        for fetch, label in run.fetches:
            if node_name(fetch) not in self._nodes:
                raise ModelError(f'the graph has no node "{node_name(fetch)}" ({label})')
            context = NodeContext((label,), self._library.functions, origin)
            pending = [fetch]
            while pending:
                name = pending.pop()
                # A control edge waits for the node itself, which runs even if its output is fed.
                if not is_control(name) and tensor_name(name) in run.fed:
                    continue
                node = self._nodes.get(node_name(name))
                if node is None or node.name in visited:
                    continue
                visited.add(node.name)
                self._steps.count()
                pending.extend(node.input)
                yield node, context

    def _walk_calls(self, node: NodeMessage, context: NodeContext) -> Iterator[WalkedNode]:
        yield from self._follow(list(self._calls(node, context)))

    def _follow(
        self, pending: list[tuple[str, tuple[Origin, ...], tuple[str, ...]]]
    ) -> Iterator[WalkedNode]:
        while pending:
            function, arguments, path = pending.pop()
            known = self._arguments.get(function)
            merged = arguments if known is None else _merge(known, arguments)
            if merged == known:
                continue
            self._arguments[function] = merged
            message = self._library.functions[function]
            if len(merged) != len(message.signature.input_arg):
                raise ModelError(f'the function "{function}" has other arguments than its callers')
            origin = self._origins.in_function(message, merged)
            inner = NodeContext(path, self._library.functions, origin)
            for body_node in message.node_def:
                self._steps.count()
                yield body_node, inner
                pending.extend(self._calls(body_node, inner))

    def _calls(
        self, node: NodeMessage, context: NodeContext
    ) -> Iterator[tuple[str, tuple[Origin, ...], tuple[str, ...]]]:
        """Yield the functions that a node may call: name, origins of the arguments, and path."""
        if not self._library.functions:
            return
        for call in calls(node):
            for name in self._library.alternatives(call.name):
                path = (*context.path, node.name, name)
                yield name, self._argument_origins(call, name, context), path
                if (gradient := self._library.gradient_of(name)) is not None:
                    # It gets the arguments and the gradients of the results.
                    unknown: tuple[Origin, ...] = self._argument_origins(None, gradient, context)
                    yield gradient, unknown, (*context.path, node.name, gradient)

    def _argument_origins(
        self, call: Call | None, function: str, context: NodeContext
    ) -> tuple[Origin, ...]:
        message = self._library.functions[function]
        count = len(message.signature.input_arg)
        self._steps.count(1 + count)
        inputs = None if call is None else call.arguments
        if inputs is None or len(inputs) != count or takes_lists(message):
            unknown: Origin = ""
            return (unknown,) * count
        return tuple(context.origin(name) for name in inputs)


def _merge(first: tuple[Origin, ...], second: tuple[Origin, ...]) -> tuple[Origin, ...]:
    merged: list[Origin] = [
        known if known == given else "" for known, given in zip(first, second, strict=True)
    ]
    return tuple(merged)
