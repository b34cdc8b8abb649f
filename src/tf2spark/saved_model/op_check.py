"""Which ops a model may run.

A SavedModel is a program: TensorFlow's ops can read and write files, call out and run Python. So
every op that loading and scoring would reach is held against a list before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import Any

from google.protobuf.message import DecodeError

from tf2spark.errors import UnsafeModelError
from tf2spark.saved_model import op_allow_list
from tf2spark.saved_model.protos import GraphDef
from tf2spark.saved_model.reachable_nodes import Scope, function_names, loader_runs, user_run, walk

_SHOWN = 8
_RESOURCE, _STRING = 20, 7
_LOGS = frozenset({b"", b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"})
_TABLE_FILES = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
# Ops that could make the handle of any resource out of bytes, and the attribute that says so.
_HANDLE_TYPES = {"Const": "dtype", "ParseTensor": "out_type"}
_RESTORES = frozenset({"RestoreV2", "Restore", "RestoreSlice"})
# The first byte of each field that a serialised GraphDef can begin with.
_GRAPH_STARTS = (b"\x0a", b"\x12", b"\x18", b"\x22")
_C_STRINGS = frozenset({"StringLower", "StringUpper"})
# A table, queue or variable that an op fills outlives the run, and so do strings it was given.
_KEEPERS = re.compile(
    "Assign|AssignVariableOp|InitializeTable(V2)?|LookupTable(Insert|Import)(V2)?"
    "|QueueEnqueue(Many)?(V2)?|(Map|OrderedMap)?Stage|BarrierInsertMany|MakeIterator"
    "|AddSparseToTensorsMap|AddManySparseToTensorsMap"
    "|(Resource)?Scatter(Nd)?Update|(Resource)?StridedSliceAssign"
)


def check(
    meta_graph: Any,
    fetches: Iterable[str],
    feeds: Iterable[str] = (),
    *,
    allow_ops: Collection[str] = (),
) -> None:
    """Make sure that loading the model and fetching `fetches` runs only allowed ops.

    Args:
        meta_graph: The MetaGraph, as `tf2spark.saved_model.reader.read` gives it.
        fetches: Names of tensors or nodes that will be fetched.
        feeds: Names of tensors that will be fed; nothing above them runs.
        allow_ops: Ops that the user vouches for.

    Raises:
        UnsafeModelError: It reaches others; the message has the way to each.
        ModelError: A fetch isn't in the graph.
    """
    runs = [*loader_runs(meta_graph), user_run(meta_graph, fetches, feeds)]
    found: dict[tuple[str, str], str] = {}
    for node, scope in walk(meta_graph, runs):
        for op, name, why, path in _refusals(node, scope):
            if op not in allow_ops:
                found.setdefault((op, why), _line(op, name, why, path))
    if found:
        raise UnsafeModelError(_message(sorted({op for op, _ in found}), list(found.values())))


def retains_strings(meta_graph: Any, fetches: Iterable[str], feeds: Iterable[str] = ()) -> bool:
    """Tell whether fed strings must be copies: views of them would be read beyond run or end.

    Beyond the run by ops that keep them (in a table, queue or variable), as the bytes of a view
    are gone by then; beyond their end by kernels that look for a zero byte after them.
    """
    run = user_run(meta_graph, fetches, feeds)
    nodes = (node for node, _ in walk(meta_graph, [run]))
    return any(
        (_KEEPERS.fullmatch(node.op) and _has_strings(node)) or _reads_c_strings(node)
        for node in nodes
    )


def _reads_c_strings(node: Any) -> bool:
    # With an encoding, string_upper_op.cc and string_lower_op.cc read from c_str() to a zero byte;
    # string_to_number_op.cc does it in its error message, which would show another row's text.
    if node.op == "StringToNumber":
        return True
    return node.op in _C_STRINGS and "encoding" in node.attr and bool(node.attr["encoding"].s)


def _has_strings(node: Any) -> bool:
    # Without a dtype of its own (MakeIterator), or with one that the caller of a function fills in.
    values = [node.attr[key] for key in node.attr if not key.startswith("_")]
    known = [value for value in values if value.type or value.list.type]
    return not known or any(
        value.placeholder or _STRING in (value.type, *value.list.type) for value in values
    )


def _line(op: str, name: str, why: str, path: tuple[str, ...]) -> str:
    return f'  {" → ".join(path)} → {op} "{name}": {why}'


def _message(ops: list[str], lines: list[str]) -> str:
    more = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    names = ", ".join(f'"{op}"' for op in ops)
    flags = " ".join(f"--allow-op {op}" for op in ops)
    return "\n".join(
        [
            "the model would run ops that are not allowed:",
            *lines[:_SHOWN],
            *more,
            f"if you trust this model, allow them: allow_ops=[{names}] "
            f"(on the command line: {flags})",
        ]
    )


def _refusals(node: Any, scope: Scope) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Yield op, node, reason and path of what is wrong with a node and with what it holds."""
    why = _condition(node, scope) or op_allow_list.reason_refused(node.op)
    if why == op_allow_list.UNKNOWN and node.op in scope.functions:
        why = None  # a call of a function by its name
    if node.op in _RESTORES and scope.origin(node.input[0]) == "checkpoint":
        why = None  # the loader's own: it fills the model's variables
    if why is not None:
        yield node.op, node.name, why, scope.path
    for name in function_names(node)[1:]:
        # A primitive op can stand where a function is called for.
        if name not in scope.functions and name in op_allow_list.refused():
            yield name, node.name, op_allow_list.refused()[name], scope.path
    if node.op == "Const":
        yield from _hidden(node, scope.path)


def _condition(node: Any, scope: Scope) -> str | None:
    """Return why an allowed op is refused with these attributes or inputs."""
    why = None
    if node.op == "PrintV2" and _literal(node, "output_stream") not in _LOGS:
        why = "prints into a file"
    elif node.op in _TABLE_FILES and scope.origin(node.input[1]) != "asset":
        why = "reads a file that is not one of the model's own assets"
    elif node.op == "FixedUnigramCandidateSampler" and _literal(node, "vocab_file"):
        why = "reads a file"
    elif node.op in ("DecodeProtoV2", "EncodeProto"):
        source = _literal(node, "descriptor_source")
        if source not in (b"", b"local://") and not source.startswith(b"bytes://"):
            why = "reads a file"
    elif node.op in _HANDLE_TYPES and _type(node, _HANDLE_TYPES[node.op]) == _RESOURCE:
        why = "makes the handle of a resource out of bytes"
    return why


def _literal(node: Any, attribute: str) -> bytes:
    """Return a string attribute; one that the function's caller fills in is never trusted."""
    if attribute not in node.attr:
        return b""
    value = node.attr[attribute]
    return b"(set by the caller)" if value.placeholder else bytes(value.s)


def _type(node: Any, attribute: str) -> int:
    return int(node.attr[attribute].type) if attribute in node.attr else 0


def _hidden(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """Yield the refused ops of GraphDefs that hide in a string constant.

    Any bytes can look like a GraphDef, so only ops that are known to be refused count.
    """
    if "value" not in node.attr:
        return
    path = (*path, f'the graph inside "{node.name}"')
    for value in node.attr["value"].tensor.string_val:
        if not value.startswith(_GRAPH_STARTS) or len(value) < 8:
            continue
        try:
            graph = GraphDef.FromString(value)
        except DecodeError:
            continue
        for inner in chain(graph.node, *(each.node_def for each in graph.library.function)):
            if inner.op in op_allow_list.refused():
                yield inner.op, inner.name, op_allow_list.refused()[inner.op], path
            if inner.op == "Const":
                yield from _hidden(inner, path)
