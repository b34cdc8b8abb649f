"""Follows a string input downstream, through functions and loops, to the ops that parse it.

Only ops that pass strings on as they are get followed. Any other reader means that the strings may
have features which no parsing op names.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import evolve

from tf2spark.dtypes import STRING
from tf2spark.errors import ModelError
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.graph.function_library import FunctionLibrary, called_functions
from tf2spark.saved_model.graph.reachable_nodes import StepLimit
from tf2spark.saved_model.graph.upstream import (
    behind_identities,
    data_inputs,
    is_control,
    node_name,
)
from tf2spark.saved_model.protos import FunctionMessage, MetaGraph, NodeMessage
from tf2spark.saved_model.tf_example.features import ParsedExample, ParsedFeature
from tf2spark.saved_model.tf_example.parsing_ops import PARSING_OPS, UnknownKeys, features_of

_MAX_DEPTH = 50
# Each output has strings of the input as they are: whole, some of them, or in another shape.
_PASSING = re.compile(
    "Identity|Snapshot|StopGradient|PreventGradient|EnsureShape|PlaceholderWithDefault"
    "|Reshape|ExpandDims|Squeeze|Gather(V2|Nd)?|Slice|StridedSlice|Unpack|Pack|Split|SplitV"
    "|Concat|ConcatV2|Tile|Transpose|BroadcastTo|Reverse(V2)?|Select(V2)?|DynamicPartition"
    "|TensorList(FromTensor|GetItem|SetItem|Gather|Stack|Split|Scatter(V2|IntoExistingList)?)"
    "|TensorArray(Scatter|Read|Gather|Write|Split|Unpack)(V2|V3)?"
    "|(Ref)?(Enter|Exit|Merge|Switch|NextIteration)|\\w*Dataset(V\\d)?"
    "|DatasetToSingleElement|IteratorGetNext\\w*"
)
_READS_NO_CONTENT = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "NoOp"})
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_LOOPS = frozenset({"While", "StatelessWhile"})
_ALL = -1

Tensor: TypeAlias = tuple[str, int]
"""A node (or an argument) and the number of its output; `_ALL` for all outputs."""
Constants: TypeAlias = Mapping[str, tuple[str, Any]]
"""The constants among a function's arguments: the name of the node and the TensorProto."""


def with_examples(
    meta_graph: MetaGraph, signatures: tuple[Signature, ...]
) -> tuple[Signature, ...]:
    """Return signatures whose string inputs say which features the graph parses from them."""
    strings = [spec for each in signatures for spec in each.inputs if _is_text(spec)]
    if not strings or not _parses(meta_graph):
        return signatures
    finder = ExampleFinder(meta_graph)

    def described(spec: TensorSpec) -> TensorSpec:
        return evolve(spec, example=finder.find(spec.tensors[0])) if _is_text(spec) else spec

    return tuple(
        evolve(signature, inputs=tuple(map(described, signature.inputs)))
        for signature in signatures
    )


def _is_text(spec: TensorSpec) -> bool:
    return spec.dtype is STRING and spec.kind == "dense"


def _parses(meta_graph: MetaGraph) -> bool:
    graph = meta_graph.graph_def
    bodies = (graph.node, *(function.node_def for function in graph.library.function))
    return any(node.op in PARSING_OPS for nodes in bodies for node in nodes)


class ExampleFinder:
    """Finds what a graph parses from its string tensors."""

    def __init__(self, meta_graph: MetaGraph) -> None:
        self._library = FunctionLibrary(meta_graph.graph_def)
        self._graph = _Scope(meta_graph.graph_def.node)

    def find(self, tensor: str) -> ParsedExample | None:
        """Return what the graph parses from a tensor; None if it parses nothing of it."""
        trace = _Trace(self._library)
        try:
            trace.follow(self._graph, {_tensor(tensor)}, {})
        except ModelError:
            trace.complete = False  # too large to follow, or malformed
        if not trace.features and not trace.parses:
            return None
        features = sorted(trace.features.values(), key=lambda feature: feature.key)
        return ParsedExample(tuple(features), trace.complete)


class _Scope:
    """The nodes of a graph or of a function's body, and which of them read a tensor."""

    def __init__(self, nodes: Iterable[NodeMessage]) -> None:
        self.nodes = {str(node.name): node for node in nodes}
        self.readers: dict[str, list[NodeMessage]] = defaultdict(list)
        for node in self.nodes.values():
            for name in {node_name(name) for name in node.input if not is_control(name)}:
                self.readers[name].append(node)

    def constant(self, name: str, arguments: Constants) -> tuple[str, Any] | None:
        """Return the constant that a tensor is, also if a caller passes it; None if it is none."""
        source = behind_identities(self.nodes, name)
        if source is None:
            return None
        node = self.nodes.get(node_name(source))
        if node is None:
            return arguments.get(node_name(source))
        is_constant = node.op == "Const" and "value" in node.attr
        return (str(node.name), node.attr["value"].tensor) if is_constant else None


class _Trace:
    """One input on its way through a graph.

    Attributes:
        features: The features by key.
        parses: Whether an op parses the strings, even if it doesn't say which features.
        complete: Nothing else reads the strings.
    """

    def __init__(self, library: FunctionLibrary) -> None:
        self.features: dict[str, ParsedFeature] = {}
        self.parses = False
        self.complete = True
        self._library = library
        self._bodies: dict[str, _Scope] = {}
        self._results: dict[object, frozenset[int]] = {}
        self._depth = 0
        self._steps = StepLimit("the features that the model parses can't be found")

    def follow(self, scope: _Scope, given: set[Tensor], constants: Constants) -> set[Tensor]:
        """Return the tensors of a scope that hold the strings, those given included."""
        holding = set(given)
        pending = list(given)
        while pending:
            name, _ = pending.pop()
            for node in scope.readers.get(name, ()):
                self._steps.count()
                for tensor in self._read(scope, node, holding, constants):
                    if tensor not in holding:
                        holding.add(tensor)
                        pending.append(tensor)
        return holding

    def _read(
        self, scope: _Scope, node: NodeMessage, holding: set[Tensor], constants: Constants
    ) -> Iterator[Tensor]:
        """Look at a node that may read the strings, and yield its outputs that hold them."""
        inputs = data_inputs(node)
        given = [position for position, name in enumerate(inputs) if _is_held(name, holding)]
        if not given or node.op in _READS_NO_CONTENT:
            return
        if node.op in PARSING_OPS and 0 in given:
            self._parse(scope, node, constants)
        elif called := self._called(node):
            for index in self._call(scope, node, called, frozenset(given), constants):
                yield str(node.name), index
        elif node.op == "IdentityN":
            for position in given:
                yield str(node.name), position
        elif _PASSING.fullmatch(node.op):
            yield str(node.name), _ALL
        else:
            self.complete = False

    def _parse(self, scope: _Scope, node: NodeMessage, constants: Constants) -> None:
        self.parses = True

        def constant(name: str) -> Any:
            found = scope.constant(name, constants)
            return None if found is None else found[1]

        try:
            features = features_of(node, constant)
        except UnknownKeys:
            self.complete = False
            return
        for feature in features:
            known = self.features.get(feature.key)
            if known is None or (feature.required and not known.required):
                self.features[feature.key] = feature

    def _called(self, node: NodeMessage) -> list[str]:
        return [
            each
            for name in (node.op, *called_functions(node))
            for each in self._library.alternatives(name)
        ]

    def _call(
        self,
        scope: _Scope,
        node: NodeMessage,
        called: Sequence[str],
        given: frozenset[int],
        constants: Constants,
    ) -> frozenset[int]:
        """Follow the strings into functions, and return which outputs of the call hold them."""
        inputs = data_inputs(node)
        if node.op in _BRANCHES:
            inputs, given = inputs[1:], frozenset(position - 1 for position in given if position)
        passed = [scope.constant(name, constants) for name in inputs]
        while True:
            results = [self._run(name, given, passed) for name in called]
            outputs = frozenset[int]().union(*results)
            # What one turn of a loop returns, the next one takes.
            if node.op not in _LOOPS or outputs <= given:
                return outputs
            given |= outputs

    def _run(
        self, name: str, given: frozenset[int], passed: Sequence[tuple[str, Any] | None]
    ) -> frozenset[int]:
        function = self._library.functions[name]
        arguments = [str(argument.name) for argument in function.signature.input_arg]
        constants: dict[str, tuple[str, Any]] = {}
        if len(arguments) == len(passed):
            held = {(arguments[position], _ALL) for position in given}
            pairs = zip(arguments, passed, strict=True)
            constants = {argument: value for argument, value in pairs if value is not None}
        else:
            # A map over a dataset: its function gets the elements.
            held = {(argument, _ALL) for argument in arguments}
        origins = tuple(sorted((key, origin) for key, (origin, _) in constants.items()))
        key = name, frozenset(held), origins
        if key not in self._results:
            # For a function that calls itself.
            self._results[key] = frozenset()
            self._results[key] = self._follow_body(function, held, constants)
        return self._results[key]

    def _follow_body(
        self, function: FunctionMessage, held: set[Tensor], constants: Constants
    ) -> frozenset[int]:
        if self._depth >= _MAX_DEPTH:
            self.complete = False
            return frozenset()
        name = str(function.signature.name)
        if name not in self._bodies:
            self._steps.count(len(function.node_def))
            self._bodies[name] = _Scope(function.node_def)
        self._depth += 1
        holding = self.follow(self._bodies[name], held, constants)
        self._depth -= 1
        returned = [function.ret.get(output.name, "") for output in function.signature.output_arg]
        return frozenset(
            index for index, tensor in enumerate(returned) if _is_held(tensor, holding)
        )


def _tensor(name: str) -> Tensor:
    """Return the node and the number of the output: of ``node``, ``node:1`` or ``node:out:1``."""
    _, _, number = name.rpartition(":")
    return node_name(name), int(number) if ":" in name and number.isdecimal() else 0


def _is_held(name: str, holding: set[Tensor]) -> bool:
    tensor = _tensor(name)
    return tensor in holding or (tensor[0], _ALL) in holding
