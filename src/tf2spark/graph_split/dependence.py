"""Which sides each node of a graph depends on, whatever its op does with its inputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from tf2spark.graph_split.forms import SIDES, SideName
from tf2spark.saved_model.graph.upstream import node_name
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

Sides = frozenset[SideName]


def sides_of_nodes(
    graph: GraphMessage, fed: Mapping[str, Collection[SideName]]
) -> dict[str, Sides]:
    """Return the sides that each node depends on; a node that depends on none is left out.

    Control edges count too: a constant of a loop's body exists once per iteration.

    Args:
        graph: A ``GraphDef``.
        fed: The sides that feed a placeholder, by its name.
    """
    readers = _readers(graph)
    sides: dict[str, set[SideName]] = defaultdict(set)
    for side in SIDES:
        todo = [name for name, feeding in fed.items() if side in feeding]
        while todo:
            name = todo.pop()
            if side not in sides[name]:
                sides[name].add(side)
                todo += readers[name]
    return {name: frozenset(of_node) for name, of_node in sides.items()}


def lowered_nodes(graph: GraphMessage) -> set[str]:
    """Return the nodes inside loops and branches that were lowered to ``Enter`` and ``Switch``.

    There, a control edge doesn't only order nodes: it says in which iteration of a loop, or on
    which branch, a constant exists.
    """
    nodes = {node.name: node for node in graph.node}
    readers = _readers(graph)
    # How many loops and branches a node is in; of several paths to it, the deepest counts.
    depths: dict[str, int] = {}
    todo = [(node.name, 0) for node in graph.node if node.op in _ENTERS | _SWITCHES]
    while todo:
        name, depth = todo.pop()
        node = nodes.get(name)
        if node is None:
            continue
        depth += _depth_change(node, nodes)
        if depths.get(name, 0) < depth <= _MAX_DEPTH:
            depths[name] = depth
            todo += [(reader, depth) for reader in readers[name]]
    return set(depths)


_MAX_DEPTH = 32
_ENTERS = frozenset({"Enter", "RefEnter"})
_SWITCHES = frozenset({"Switch", "RefSwitch", "_SwitchN"})
_MERGES = frozenset({"Merge", "RefMerge"})
_REPEATS = _ENTERS | {"NextIteration", "RefNextIteration"}


def _depth_change(node: NodeMessage, nodes: Mapping[str, NodeMessage]) -> int:
    """Return 1 where a loop or a branch begins, -1 where it ends, else 0."""
    if node.op in _ENTERS:
        return 1
    if node.op in ("Exit", "RefExit"):
        return -1
    # Loops have a `Merge` and a `Switch` of their own, which begin an iteration.
    if node.op in _MERGES:
        return 0 if _is_of_loop(node, nodes) else -1
    if node.op in _SWITCHES:
        switched = nodes.get(node_name(node.input[0]))
        is_of_loop = switched is not None and _is_of_loop(switched, nodes)
        return 0 if is_of_loop else 1
    return 0


def _is_of_loop(node: NodeMessage, nodes: Mapping[str, NodeMessage]) -> bool:
    read = [nodes.get(node_name(name)) for name in node.input]
    repeats = any(source is not None and source.op in _REPEATS for source in read)
    return node.op in _MERGES and repeats


def _readers(graph: GraphMessage) -> dict[str, list[str]]:
    """Return the names of the nodes that read each node, or wait for it."""
    readers: dict[str, list[str]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[node_name(name)].append(node.name)
    return readers
