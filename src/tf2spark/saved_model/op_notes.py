"""Ops of a model that its reader should know of, each with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tf2spark.saved_model.op_allow_list import reason_refused
from tf2spark.saved_model.reachable_nodes import node_name, user_run, walk

_REASONS = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (
            "Random.*|Stateful(Random|Standard|Truncated|Uniform).*|TruncatedNormal|Multinomial"
            "|ParameterizedTruncatedNormal|NonDeterministicInts|RngReadAndSkip|RngSkip",
            "random: the same row can score differently",
        ),
        (
            "Assign.*|Resource(Scatter|Apply|SparseApply|StridedSliceAssign|CountUpTo).*"
            "|Scatter(Nd)?(Add|Sub|Mul|Div|Min|Max|Update)|Apply.*",
            "writes a variable while it scores: each worker has its own, and rows affect others",
        ),
        (
            "LookupTable(Insert|Import|Remove).*|Queue(Enqueue|Dequeue).*|.*Stage|.*Unstage",
            "keeps data from one batch to the next",
        ),
        ("(HashTable|AnonymousHashTable|MutableHashTable|MutableDenseHashTable).*", "lookup table"),
        ("Print|PrintV2", "prints to the worker's log"),
        ("Assert", "can refuse a whole batch because of one row"),
        ("XlaCallModule", "compiled anew for each batch size; what it calls is not checked"),
        ("(Stateless)?(While|If|Case)|For|Enter|Switch", "control flow"),
    )
)


def careful_ops(meta_graph: Any, fetches: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return (op, reason) for the ops that fetching these tensors would run, sorted."""
    nodes = {node.name for node in meta_graph.graph_def.node}
    run = user_run(meta_graph, [name for name in fetches if node_name(name) in nodes], ())
    functions = {each.signature.name for each in meta_graph.graph_def.library.function}
    ops = {node.op for node, _ in walk(meta_graph, [run])} - functions
    found = ((op, _reason(op)) for op in sorted(ops))
    return tuple((op, reason) for op, reason in found if reason is not None)


def _reason(op: str) -> str | None:
    refused = reason_refused(op)
    if refused is not None:
        return f"refused unless allowed: {refused}"
    return next((reason for pattern, reason in _REASONS if pattern.fullmatch(op)), None)
