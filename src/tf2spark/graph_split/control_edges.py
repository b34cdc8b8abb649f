"""Control edges taken out of a graph: they would tie what is computed apart together again.

Constant folding leaves them behind, and they carry no values. One that waits for an assertion is
another matter: without it, rows that the model refuses would get a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tf2spark.graph_split.forms import NotSplit
from tf2spark.saved_model.reachable_nodes import node_name


def without_controls(graph: Any, score: str, kept: Iterable[str]) -> None:
    """Remove the control edges of a ``GraphDef``, but for those to assertions.

    What runs when it is loaded stays as it is.

    Args:
        graph: It is written to.
        score: The tensor that is wanted.
        kept: The nodes that loading runs: they and what is above them stay as they are.
    """
    nodes = {node.name: node for node in graph.node}
    waiting = [name for name, _ in _waiting(nodes, score, _asserting(graph))]
    stays = _above(nodes, [*kept, *waiting], controls=True)
    for node in graph.node:
        if node.name not in stays and any(name.startswith("^") for name in node.input):
            data = [name for name in node.input if not name.startswith("^")]
            del node.input[:]
            node.input.extend(data)


def _above(nodes: dict[str, Any], names: Iterable[str], *, controls: bool) -> set[str]:
    todo, seen = [node_name(name) for name in names], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        inputs = (one for one in nodes[name].input if controls or not one.startswith("^"))
        todo += map(node_name, inputs)
    return seen


def refuse_assertions(graph: Any, score: str) -> None:
    """Refuse a graph whose score waits for an assertion.

    Raises:
        NotSplit: It does.
    """
    nodes = {node.name: node for node in graph.node}
    for name, assertion in _waiting(nodes, score, _asserting(graph)):
        raise NotSplit(f'"{name}" runs only if an assertion ("{assertion}") holds')


def _waiting(nodes: dict[str, Any], score: str, asserting: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the nodes above a score that wait for an assertion, each with one."""
    for name in sorted(_above(nodes, [score], controls=False)):
        waits = [one for one in nodes[name].input if one.startswith("^")]
        above = _above(nodes, waits, controls=True)
        found = next((one for one in above if _calls(nodes[one]) & asserting), None)
        if found is not None:
            yield name, found


def _asserting(graph: Any) -> set[str]:
    """Return ``Assert`` and the functions of a graph that lead to one."""
    calls = {
        one.signature.name: set().union(*map(_calls, one.node_def))
        for one in graph.library.function
    }
    found = {"Assert"}
    while more := {name for name, called in calls.items() if called & found} - found:
        found |= more
    return found


def _calls(node: Any) -> set[str]:
    """Return the op of a node and the functions that it calls."""
    functions = [each for one in node.attr.values() for each in (one.func, *one.list.func)]
    return {node.op, *(one.name for one in functions)}
