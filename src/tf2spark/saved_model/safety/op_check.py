"""Which ops a model may run.

A SavedModel is a program: TensorFlow's ops can read and write files, open connections and run
Python. So every op that loading and scoring would reach is checked against an allow-list before
anything runs. The checks assume that an attacker wrote the graph: what counts is what an op can
reach, not what exporters usually write.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from attrs import frozen

from tf2spark.errors import Advice, UnsafeModelError
from tf2spark.package.op_libraries import argument_for
from tf2spark.saved_model.graph.function_library import function_names
from tf2spark.saved_model.graph.loader_runs import loader_runs
from tf2spark.saved_model.graph.reachable_nodes import (
    NodeContext,
    WalkedNode,
    user_run,
    walk,
    walk_functions,
)
from tf2spark.saved_model.graph.upstream import input_at
from tf2spark.saved_model.protos import AttrMessage, MetaGraph, NodeMessage
from tf2spark.saved_model.safety import op_allow_list
from tf2spark.saved_model.safety.hidden_graphs import nodes_inside
from tf2spark.saved_model.safety.import_evaluation import evaluated_nodes
from tf2spark.saved_model.safety.origins import Origin
from tf2spark.shown_text import Lines

_SHOWN_REFUSALS = 8
# DataType in tensorflow/core/framework/types.proto.
_RESOURCE, _VARIANT, _STRING = 20, 21, 7
# PrintV2 treats any other output_stream ("file:///...") as a file to append to.
_LOGS = frozenset({b"", b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"})
_TABLE_FILE_OPS = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
# Ops that can turn bytes into a resource handle, with the attribute that says so. A forged handle
# could name any resource of the session and bypass every check of how the graph passes handles on.
# A variant can be a list of handles.
_HANDLE_TYPES = {
    "Const": "dtype",
    "DeserializeManySparse": "dtype",
    "DeserializeSparse": "dtype",
    "ParseTensor": "out_type",
    "Restore": "dt",
    "RestoreSlice": "dt",
    "RestoreV2": "dtypes",
}
_RESTORE_OPS = frozenset({"RestoreV2", "Restore", "RestoreSlice"})
_C_STRING_OPS = frozenset({"StringLower", "StringUpper"})
# These ops store strings in a table, queue or variable, which outlives the run.
_STRING_STORING_OPS = re.compile(
    "Assign|AssignVariableOp|InitializeTable(V2)?|LookupTable(Insert|Import)(V2)?"
    "|QueueEnqueue(Many)?(V2)?|(Map|OrderedMap)?Stage|BarrierInsertMany|MakeIterator"
    "|AddSparseToTensorsMap|AddManySparseToTensorsMap"
    "|(Resource)?Scatter(Nd)?Update|(Resource)?StridedSliceAssign"
)
_SET_BY_CALLER = b"(set by the caller)"


@frozen
class _Refusal:
    """A refused op: the node that names it, the reason, and the path of functions to the node."""

    op: str
    node_name: str
    reason: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        package = op_allow_list.package_of(self.op)
        reason = self.reason if package is None else f"custom op of {package.name}"
        return f'  {" → ".join(self.path)} → {self.op} "{self.node_name}": {reason}'


def check(
    meta_graph: MetaGraph,
    fetches: Iterable[str],
    feeds: Iterable[str] = (),
    *,
    allow_ops: Collection[str] = (),
) -> None:
    """Check that importing and loading the model and fetching `fetches` runs only allowed ops.

    Args:
        meta_graph: The MetaGraph, as returned by `tf2spark.saved_model.reader.read`.
        fetches: Names of the tensors or nodes to fetch.
        feeds: Names of the tensors to feed; nodes upstream of them don't run.
        allow_ops: Ops that the user vouches for.

    Raises:
        UnsafeModelError: The model reaches other ops; the message has the path to each.
        ModelError: A fetch isn't in the graph.
    """
    refusals = chain(_refusals_in_runs(meta_graph, fetches, feeds), _refusals_at_import(meta_graph))
    _raise_for(refusals, allow_ops)


def check_runs(
    meta_graph: MetaGraph,
    fetches: Iterable[str],
    feeds: Iterable[str] = (),
    *,
    allow_ops: Collection[str] = (),
    needed_libraries: Sequence[str] = (),
) -> None:
    """Check what `check` does, except for the import, which `check_import` has checked.

    `needed_libraries` are the op libraries that the message names for custom ops, if they are
    known: those that a package was compiled with.
    """
    _raise_for(_refusals_in_runs(meta_graph, fetches, feeds), allow_ops, needed_libraries)


def check_import(
    meta_graph: MetaGraph,
    *,
    allow_ops: Collection[str] = (),
    needed_libraries: Sequence[str] = (),
) -> None:
    """Check that importing the graph, of which nothing is run, runs only allowed ops.

    Raises:
        UnsafeModelError: Shape inference could run other ops; the message names them.
    """
    _raise_for(_refusals_at_import(meta_graph), allow_ops, needed_libraries)


def refused_ops(meta_graph: MetaGraph, fetches: Iterable[str]) -> dict[str, str]:
    """Return the ops that `check` refuses unless they are allowed, each with the first reason."""
    runs, at_import = _refusals_in_runs(meta_graph, fetches, ()), _refusals_at_import(meta_graph)
    reasons: dict[str, str] = {}
    for refusal in chain(runs, at_import):
        reasons.setdefault(refusal.op, refusal.reason)
    return reasons


def check_object_loader(meta_graph: MetaGraph, *, allow_ops: Collection[str] = ()) -> None:
    """Check that TensorFlow's object loader, ``tf.saved_model.load``, runs only allowed ops.

    It makes the model's objects anew, and calls functions that they carry for that: those that
    create and fill tables, and those that restore what isn't a variable.

    Raises:
        UnsafeModelError: One of them reaches another op.
    """
    called = _functions_of_objects(meta_graph)
    nodes = walk_functions(meta_graph, called, "loading of the model's objects")
    refusals = (refusal for node, context in nodes for refusal in _refusals(node, context))
    _raise_for(refusals, allow_ops)


def _functions_of_objects(meta_graph: MetaGraph) -> Iterator[tuple[str, tuple[Origin, ...]]]:
    """Yield the functions that the object loader may call, with the origins of their arguments."""
    objects = meta_graph.object_graph_def
    numbers = {
        child.node_id
        for node in objects.nodes
        for child in node.children
        if child.local_name.startswith("_")  # a child replaces a method of that name
    }
    for node in objects.nodes:
        for saveable in node.saveable_objects.values():
            numbers |= {saveable.save_function, saveable.restore_function}
    arguments = {
        function.signature.name: len(function.signature.input_arg)
        for function in meta_graph.graph_def.library.function
    }
    for number in sorted(numbers):
        if not 0 <= number < len(objects.nodes):
            continue
        node = objects.nodes[number]
        names = [node.bare_concrete_function.concrete_function_name]
        for name in (*names, *node.function.concrete_functions):
            if name in arguments:
                yield name, _captured_origins(objects, name, arguments[name])


def _captured_origins(objects: Any, name: str, count: int) -> tuple[Origin, ...]:
    """Return the origins of a function's arguments: the last ones are objects that it captures."""
    captured: list[Origin] = []
    if name in objects.concrete_functions:
        for number in objects.concrete_functions[name].bound_inputs:
            inside = 0 <= number < len(objects.nodes)
            is_asset = inside and objects.nodes[number].WhichOneof("kind") == "asset"
            captured.append("asset" if is_asset else "")
    unknown: list[Origin] = [""] * count
    return tuple((unknown + captured)[-count:] if count else ())


def retains_strings(
    meta_graph: MetaGraph, fetches: Iterable[str], feeds: Iterable[str] = ()
) -> bool:
    """Return whether strings must be fed as copies, because views of them would not be safe.

    An op that stores a string (in a table, queue or variable) reads the view after the run, when
    its bytes are gone. A kernel that expects a zero byte at the end reads past the view. Either may
    be true of a custom op.
    """
    return walk_retains_strings(walk(meta_graph, [user_run(meta_graph, fetches, feeds)]))


def walk_retains_strings(walked: Iterable[WalkedNode]) -> bool:
    """Return what `retains_strings` does, for the nodes that a run reaches."""
    return any(
        (_STRING_STORING_OPS.fullmatch(node.op) and _may_take_strings(node))
        or _reads_c_strings(node)
        or (node.op not in context.functions and not op_allow_list.is_known(node.op))
        for node, context in walked
    )


def _reads_c_strings(node: NodeMessage) -> bool:
    # With an encoding, string_upper_op.cc and string_lower_op.cc read from c_str() to a zero byte.
    # string_to_number_op.cc does so in its error message, which would show another row's text.
    if node.op == "StringToNumber":
        return True
    return node.op in _C_STRING_OPS and bool(_string_attr(node, "encoding"))


def unknown_ops(meta_graph: MetaGraph) -> frozenset[str]:
    """Return the ops in a graph that the allow-list doesn't know, wherever they are.

    TensorFlow imports a graph only if all of its ops are registered, and only an op library can
    have registered these, or a newer TensorFlow.
    """
    graph = meta_graph.graph_def
    functions = {function.signature.name for function in graph.library.function}
    bodies = (function.node_def for function in graph.library.function)
    nodes = chain(graph.node, *bodies)
    names = {name for node in nodes for name in function_names(node)} - functions - {""}
    return frozenset(name for name in names if not op_allow_list.is_known(name))


def _may_take_strings(node: NodeMessage) -> bool:
    # Also true for ops that state no dtype (MakeIterator), and inside a function whose caller sets
    # the dtype: either can turn out to be string.
    values = [node.attr[key] for key in node.attr if not key.startswith("_")]
    typed = [value for value in values if value.type or value.list.type]
    return not typed or any(
        value.HasField("placeholder") or _STRING in (value.type, *value.list.type)
        for value in values
    )


def _problem(refusals: list[_Refusal]) -> Lines:
    hidden = len(refusals) - _SHOWN_REFUSALS
    lines = [
        "the model would run ops that are not allowed:",
        *map(str, refusals[:_SHOWN_REFUSALS]),
        *([f"  and {hidden} more"] if hidden > 0 else []),
    ]
    return Lines.of(lines)


def _advice(ops: list[str], needed_libraries: Sequence[str]) -> str | Advice:
    """Return what to write: the libraries of custom ops, and the other ops."""
    custom = [op for op in ops if not op_allow_list.is_known(op)]
    packages = filter(None, map(op_allow_list.package_of, custom))
    libraries = list(needed_libraries) or list(
        dict.fromkeys(package.module for package in packages)
    )
    others = [op for op in ops if op not in custom or not libraries]
    parts: list[str | Advice] = []
    if custom and libraries:
        parts.append(
            "name the library of the custom ops, whose native code then runs: "
            + argument_for(libraries)
        )
    if others:
        names = ", ".join(f'"{op}"' for op in others)
        options = " ".join(f"--allow-op {op}" for op in others)
        parts.append(
            "if you trust this model, allow them: " + Advice(f"allow_ops=[{names}]", options)
        )
    if custom and not libraries:
        parts.append("for a custom op, name its library: " + argument_for(["MODULE or PATH"]))
    advice = parts[0]
    for part in parts[1:]:
        advice = (advice + "; ") + part
    return advice


def _raise_for(
    refusals: Iterable[_Refusal],
    allow_ops: Collection[str],
    needed_libraries: Sequence[str] = (),
) -> None:
    # Of the nodes refused for the same op and reason, the first is reported.
    firsts: dict[tuple[str, str], _Refusal] = {}
    for refusal in refusals:
        if refusal.op not in allow_ops:
            firsts.setdefault((refusal.op, refusal.reason), refusal)
    if firsts:
        raise UnsafeModelError(
            _problem(list(firsts.values())),
            _advice(sorted({op for op, _ in firsts}), needed_libraries),
        )


def _refusals(node: NodeMessage, context: NodeContext) -> Iterator[_Refusal]:
    """Yield a refusal for a node's own op, and for each op that its attributes name or contain."""
    reason = _unsafe_use(node, context)
    if reason == op_allow_list.UNKNOWN and node.op in context.functions:
        reason = None  # a call of a function by its name; its body is checked like any other
    if reason is not None:
        yield _Refusal(node.op, node.name, reason, context.path)
    yield from _refused_function_names(node, context)
    if node.op == "Const":
        yield from _refused_in_constant(node, context.path)


def _refusals_in_runs(
    meta_graph: MetaGraph, fetches: Iterable[str], feeds: Iterable[str]
) -> Iterator[_Refusal]:
    runs = [*loader_runs(meta_graph), user_run(meta_graph, fetches, feeds)]
    for node, context in walk(meta_graph, runs):
        yield from _refusals(node, context)


def _refusals_at_import(meta_graph: MetaGraph) -> Iterator[_Refusal]:
    for node, path in evaluated_nodes(meta_graph):
        reason = _unsafe_attribute(node) or op_allow_list.reason_refused(node.op)
        if reason is not None:
            yield _Refusal(node.op, node.name, reason, path)


def _refused_function_names(node: NodeMessage, context: NodeContext) -> Iterator[_Refusal]:
    # TensorFlow accepts the name of a primitive op wherever an op takes a function: a While whose
    # body is "WriteFile" writes a file although no node of the graph has that op.
    for name in function_names(node)[1:]:
        reason = op_allow_list.reason_refused(name) if name else None
        if reason is not None and name not in context.functions:
            yield _Refusal(name, node.name, reason, context.path)


def _unsafe_use(node: NodeMessage, context: NodeContext) -> str | None:
    """Return why a node is refused for its attributes or inputs, or for its op."""
    if reason := _unsafe_attribute(node):
        return reason
    if node.op in _TABLE_FILE_OPS and context.origin(input_at(node, 1)) != "asset":
        # The contents of any text file could be looked up through the table, line by line.
        return "reads a file that is not one of the model's own assets"
    # The loader's own restore op may read the model's variables, and nothing else.
    if node.op in _RESTORE_OPS and context.origin(input_at(node, 0)) == "checkpoint":
        return None
    return op_allow_list.reason_refused(node.op)


def _unsafe_attribute(node: NodeMessage) -> str | None:
    """Return why an op that is safe by name is refused with these attributes."""
    reason = None
    if node.op == "PrintV2" and _string_attr(node, "output_stream") not in _LOGS:
        reason = "prints to a file"
    elif node.op == "FixedUnigramCandidateSampler" and _string_attr(node, "vocab_file"):
        reason = "reads a file"
    elif node.op in ("DecodeProtoV2", "EncodeProto"):
        # Anything but a built-in or inline descriptor is the path of a file.
        source = _string_attr(node, "descriptor_source")
        if source not in (b"", b"local://") and not source.startswith(b"bytes://"):
            reason = "reads a file"
    elif node.op in _HANDLE_TYPES and _may_hold_handles(node, _HANDLE_TYPES[node.op]):
        reason = "turns bytes into a resource handle"
    return reason


def _string_attr(node: NodeMessage, name: str) -> bytes:
    """Return a string attribute, b"" where it is left out.

    In a function's body an attribute can be a placeholder that each caller fills in. Its own value
    is empty then, and would pass for a safe default; so it counts as a value that is never safe.
    """
    if name not in node.attr:
        return b""
    value = node.attr[name]
    return _SET_BY_CALLER if value.HasField("placeholder") else bytes(value.s)


def _may_hold_handles(node: NodeMessage, name: str) -> bool:
    if name not in node.attr:
        return False
    value: AttrMessage = node.attr[name]
    types = {code % 100 for code in (value.type, *value.list.type)}  # 100 more for a reference
    return value.HasField("placeholder") or not types.isdisjoint({_RESOURCE, _VARIANT})


def _refused_in_constant(node: NodeMessage, path: tuple[str, ...]) -> Iterator[_Refusal]:
    for inner, constants in nodes_inside(node):
        if reason := op_allow_list.refused_ops().get(inner.op):
            graphs = (f'the graph inside "{name}"' for name in constants)
            yield _Refusal(inner.op, inner.name, reason, (*path, *graphs))
