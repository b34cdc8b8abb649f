"""Constants that loops carry around unchanged move into the loops' bodies.

A variable that a loop reads came in as a handle, which TensorFlow hands to every iteration at no
cost. As a value it would be merged, switched and passed on in each of them (``lower_while_op.cc``):
2 to 3 % of a small LSTM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorflow.core.framework import node_def_pb2

_LOOPS = frozenset({"While", "StatelessWhile"})


def move_constants_into_loops(graph_def: Any) -> None:
    """Change the loops of the main graph that are alone in calling their functions."""
    functions = {one.signature.name: one for one in graph_def.library.function}
    constants = {node.name: node for node in graph_def.node if node.op == "Const"}
    calls = _calls(graph_def)
    for node in graph_def.node:
        if node.op not in _LOOPS:
            continue
        names = [node.attr[key].func.name for key in ("cond", "body")]
        if any(calls.get(name) != 1 for name in names):
            continue
        cond, body = (functions[name] for name in names)
        moved = _invariant(node, body, constants)
        if moved and not _reads_outputs(graph_def, node.name, moved):
            _move(graph_def, node, cond, body, {at: constants[node.input[at]] for at in moved})


def _calls(graph_def: Any) -> dict[str, int]:
    """Count the places in which each function is named."""
    found: dict[str, int] = {}
    for nodes in (graph_def.node, *(each.node_def for each in graph_def.library.function)):
        for node in nodes:
            for value in node.attr.values():
                for function in (value.func, *value.list.func):
                    found[function.name] = found.get(function.name, 0) + 1
    return found


def _invariant(node: Any, body: Any, constants: Mapping[str, Any]) -> list[int]:
    """Return the loop's arguments that are constants and come out of the body as they went in."""
    sources = {one.name: one for one in body.node_def}
    found = []
    for place, (given, returned) in enumerate(
        zip(body.signature.input_arg, body.signature.output_arg, strict=True)
    ):
        name = body.ret[returned.name]
        while name not in {one.name for one in body.signature.input_arg}:
            source = sources.get(name.partition(":")[0])
            if source is None or source.op != "Identity" or len(source.input) != 1:
                break
            name = source.input[0]
        if name == given.name and node.input[place] in constants:
            found.append(place)
    return found


def _reads_outputs(graph_def: Any, loop: str, places: list[int]) -> bool:
    """Say whether anything reads what these arguments are after the loop."""
    names = {f"{loop}:{place}" if place else loop for place in places}
    return any(name in names for node in graph_def.node for name in node.input)


def _move(graph_def: Any, node: Any, cond: Any, body: Any, constants: Mapping[int, Any]) -> None:
    for function, returns in ((cond, False), (body, True)):
        _bind(function, constants, returns=returns)
    types = list(node.attr["T"].list.type)
    kept = [place for place in range(len(types)) if place not in constants]
    places = {old: new for new, old in enumerate(kept)}
    controls = [name for name in node.input if name.startswith("^")]
    inputs = [node.input[place] for place in kept] + controls
    del node.input[:]
    node.input.extend(inputs)
    del node.attr["T"].list.type[:]
    node.attr["T"].list.type.extend(types[place] for place in kept)
    shapes = list(node.attr["output_shapes"].list.shape)
    if shapes:
        del node.attr["output_shapes"].list.shape[:]
        node.attr["output_shapes"].list.shape.extend(shapes[place] for place in kept)
    for name in ("_num_original_outputs", "_output_shapes"):
        node.attr.pop(name, None)
    _renumber(graph_def, node.name, places)


def _bind(function: Any, constants: Mapping[int, Any], *, returns: bool) -> None:
    """Put constants in the place of a function's arguments, and drop these."""
    signature = function.signature
    renamed = {}
    for place, constant in constants.items():
        argument = signature.input_arg[place].name
        new = node_def_pb2.NodeDef(name=f"tf2spark_{argument}", op="Const")
        new.attr["dtype"].CopyFrom(constant.attr["dtype"])
        new.attr["value"].CopyFrom(constant.attr["value"])
        function.node_def.append(new)
        renamed[argument] = f"{new.name}:output:0"
    for node in function.node_def:
        for at, name in enumerate(node.input):
            node.input[at] = renamed.get(name, name)
    for place in sorted(constants, reverse=True):
        del signature.input_arg[place]
        if returns:
            function.ret.pop(signature.output_arg[place].name)
            del signature.output_arg[place]
    # What is said of arguments is said by their places, and only for people.
    function.arg_attr.clear()


def _renumber(graph_def: Any, loop: str, places: Mapping[int, int]) -> None:
    """Let readers of the loop's outputs read them at their new places."""
    for node in graph_def.node:
        for at, name in enumerate(node.input):
            head, _, index = name.partition(":")
            if head == loop and not name.startswith("^"):
                new = places[int(index or 0)]
                node.input[at] = f"{loop}:{new}" if new else loop
