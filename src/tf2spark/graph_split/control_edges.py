"""Control edges, removed from a graph before it is split.

They carry no values, but they would tie the parts together: a user's tensor that waits for an
item's can't be computed once per user. Constant folding leaves such edges behind. An edge that
waits for an assertion is another matter: without it, rows that the model rejects would get a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tf2spark.graph_split.dependence import Sides, lowered_nodes
from tf2spark.graph_split.forms import NotSplit
from tf2spark.saved_model.graph.upstream import control_inputs, data_inputs, is_control, upstream
from tf2spark.saved_model.protos import GraphMessage, NodeMessage


def remove_control_edges(graph: GraphMessage, score: str, init_ops: Iterable[str]) -> None:
    """Remove the control edges of a ``GraphDef``, except those that decide what exists.

    These wait for assertions, or belong to a loop or a branch (`lowered_nodes`).

    Args:
        graph: It is modified.
        score: The tensor of scores.
        init_ops: The nodes that loading runs. They and all nodes upstream of them keep their
            edges: tables are filled in the order that the model prescribes.
    """
    nodes = {node.name: node for node in graph.node}
    waiting = [name for name, _ in _waiting_for_assertions(nodes, score, _asserting_ops(graph))]
    unchanged = upstream(nodes, [*init_ops, *waiting])
    lowered = lowered_nodes(graph)
    for node in graph.node:
        if node.name not in unchanged and any(map(is_control, node.input)):
            kept = [name for name in node.input if not is_control(name) or name[1:] in lowered]
            del node.input[:]
            node.input.extend(kept)


def refuse_assertions(graph: GraphMessage, score: str, sides: Mapping[str, Sides]) -> None:
    """Refuse a graph whose score waits for an assertion about pairs, or about the other side.

    Values of a side that wait for an assertion about that side are computed as they are in the
    whole graph, so it runs with them.

    Args:
        graph: The graph.
        score: The tensor of scores.
        sides: The sides that each node depends on, by control edges too.

    Raises:
        NotSplit: It does.
    """
    nodes = {node.name: node for node in graph.node}
    needed = upstream(nodes, [score], control_edges=False)
    for name, assertion in _waiting_for_assertions(nodes, score, _asserting_ops(graph)):
        waiting = [nodes[name]]
        if not data_inputs(nodes[name]):
            # A constant that waits could be read by pairs as well.
            waiting = [node for node in needed.values() if f"{name}:0" in data_inputs(node)]
        if any(len(sides.get(node.name, ())) != 1 for node in waiting):
            raise NotSplit(f'"{name}" runs only if an assertion ("{assertion}") holds')


def _waiting_for_assertions(
    nodes: dict[str, NodeMessage], score: str, asserting: set[str]
) -> Iterator[tuple[str, str]]:
    """Yield the nodes upstream of a score that wait for an assertion, each with one of them."""
    # By data edges only: what merely runs before the score doesn't decide its value. Sorted, so
    # that the message about a graph is always the same.
    for name in sorted(upstream(nodes, [score], control_edges=False)):
        # The edge may lead to a group of checks, so everything upstream of it counts.
        for waited_for, node in upstream(nodes, control_inputs(nodes[name])).items():
            if _called_names(node) & asserting:
                yield name, waited_for
                break


def _asserting_ops(graph: GraphMessage) -> set[str]:
    """Return ``Assert`` and the functions of a graph that lead to one."""
    calls = {
        function.signature.name: set().union(*map(_called_names, function.node_def))
        for function in graph.library.function
    }
    # Functions call functions, so the set grows until nothing is added.
    asserting = {"Assert"}
    while more := {name for name, called in calls.items() if called & asserting} - asserting:
        asserting |= more
    return asserting


def _called_names(node: NodeMessage) -> set[str]:
    """Return the op of a node and the functions that it calls."""
    functions = [
        function for value in node.attr.values() for function in (value.func, *value.list.func)
    ]
    return {node.op, *(function.name for function in functions)}
