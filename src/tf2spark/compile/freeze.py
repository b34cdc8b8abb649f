"""Variables become constants: what read a variable reads the value, in function bodies too.

Loops and branches stay calls of functions, as TensorFlow itself turns them into its executor's
form when it loads the graph; a variable that goes into one as an argument goes in as its value.
What an op that reads a variable becomes is a table, one line an op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import Factory, frozen
from tensorflow.core.framework import graph_pb2, node_def_pb2, types_pb2
from tensorflow.python.framework import op_def_registry

from tf2spark.compile.original import NotCompilable, Original, variable_values
from tf2spark.compile.weights import WeightFiles, constant

VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
# Ops that call functions: the attributes that name them, the attribute with the types of the
# arguments, and how many inputs come before these.
_CALLS: Mapping[str, tuple[tuple[str, ...], str, int]] = {
    "While": (("cond", "body"), "T", 0),
    "StatelessWhile": (("cond", "body"), "T", 0),
    "If": (("then_branch", "else_branch"), "Tin", 1),
    "StatelessIf": (("then_branch", "else_branch"), "Tin", 1),
    "Case": (("branches",), "Tin", 1),
    "StatelessCase": (("branches",), "Tin", 1),
    "PartitionedCall": (("f",), "Tin", 0),
    "StatefulPartitionedCall": (("f",), "Tin", 0),
}
_LOOPS = frozenset({"While", "StatelessWhile"})


@frozen
class Freezer:
    """One freezing: the graph's functions, and the dtype of each function's resource arguments."""

    functions: Mapping[str, Any]
    done: dict[str, dict[int, int]] = Factory(dict)


@frozen
class Scope:
    """A graph or a function's body: its nodes, and the outputs that hold a variable, by dtype."""

    nodes: Any
    holders: dict[str, int]
    renamed: dict[str, str] = Factory(dict)
    is_function: bool = False

    def output(self, name: str, argument: str, place: int = 0) -> str:
        """Return how inputs of this scope name an output."""
        if self.is_function:
            return f"{name}:{argument}:{place}"
        return name if place == 0 else f"{name}:{place}"


def freeze(
    graph_def: Any, original: Original, files: WeightFiles, *, only_large: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """Put constants, or files where they are large, in the place of a graph's variables.

    Args:
        graph_def: The graph; it is changed.
        original: Has the values.
        files: Where large ones go.
        only_large: Leave the others variables.

    Returns:
        The values of those that were left.

    Raises:
        NotCompilable: An op does more with a variable than read it.
        ModelError: A variable has no value.
    """
    _refuse_variables_in_functions(graph_def)
    variables = [node for node in graph_def.node if node.op in VARIABLES]
    values = variable_values(original, variables)
    if only_large:
        _refuse_assignments(graph_def)
        variables = [node for node in variables if files.takes(values[node.name])]
    for node in variables:
        node.CopyFrom(files.node(node.name, values.pop(node.name)))
    _freeze_readers(graph_def, variables)
    return values if only_large else {}


def _refuse_assignments(graph_def: Any) -> None:
    """Freeze what reads variables in a copy."""
    copied = graph_pb2.GraphDef()
    copied.CopyFrom(graph_def)
    _freeze_readers(copied, [node for node in copied.node if node.op in VARIABLES])


def _freeze_readers(graph_def: Any, variables: Sequence[Any]) -> None:
    functions = {one.signature.name: one for one in graph_def.library.function}
    holders = {node.name: node.attr["dtype"].type for node in variables}
    _freeze_scope(Freezer(functions), Scope(graph_def.node, holders))


def _freeze_scope(freezer: Freezer, scope: Scope) -> None:
    """Change every node of a scope that is given a variable, in the order of the edges."""
    todo = list(scope.nodes)
    while True:
        given = [node for node in todo if node.op not in VARIABLES and _places(node, scope)]
        if not given:
            return
        for node in given:
            _freeze_node(freezer, scope, node)
        seen = {node.name for node in given}
        todo = [node for node in todo if node.name not in seen]


def _places(node: Any, scope: Scope) -> dict[int, int]:
    """Return which inputs of a node hold a variable, with its dtype."""
    inputs = (name for name in node.input if not name.startswith("^"))
    return {
        place: scope.holders[name] for place, name in enumerate(inputs) if name in scope.holders
    }


def _freeze_node(freezer: Freezer, scope: Scope, node: Any) -> None:
    places = _places(node, scope)
    if node.op in _READERS:
        _READERS[node.op](scope, node, places[0])
    elif node.op in _CALLS:
        _freeze_call(freezer, scope, node, places)
    elif node.op == "Identity":
        node.attr["T"].type = places[0]
        scope.holders[scope.output(node.name, "output")] = places[0]
    elif node.op.startswith(("Assign", "Scatter", "ResourceScatter")):
        raise NotCompilable(f'it assigns to a variable ({node.op} "{node.name}")')
    elif not _takes_values(node.op):
        raise NotCompilable(
            f'no constant can take the place of a variable in {node.op} "{node.name}"'
        )


def _freeze_call(freezer: Freezer, scope: Scope, node: Any, places: Mapping[int, int]) -> None:
    attributes, types, before = _CALLS[node.op]
    arguments = {place - before: dtype for place, dtype in places.items()}
    for place, dtype in arguments.items():
        node.attr[types].list.type[place] = dtype
    for name in _called(node, attributes):
        _freeze_function(freezer, name, arguments, returns=node.op in _LOOPS)
    if node.op in _LOOPS:
        # A loop gives back what it was given; "output" is its one, numbered output.
        for place, dtype in arguments.items():
            scope.holders[scope.output(node.name, "output", place)] = dtype


def _called(node: Any, attributes: Sequence[str]) -> Iterator[str]:
    for attribute in attributes:
        value = node.attr[attribute]
        yield from (one.name for one in (value.list.func or [value.func]))


def _freeze_function(
    freezer: Freezer, name: str, arguments: Mapping[int, int], *, returns: bool
) -> None:
    if name in freezer.done:
        if freezer.done[name] != arguments:
            raise NotCompilable(f'the function "{name}" is called with variables of several types')
        return
    freezer.done[name] = dict(arguments)
    function = freezer.functions[name]
    signature = function.signature
    function.resource_arg_unique_id.clear()
    for place, dtype in arguments.items():
        signature.input_arg[place].type = dtype
        signature.input_arg[place].ClearField("handle_data")
        if returns and len(signature.output_arg) > place:
            output = signature.output_arg[place]
            if output.type == types_pb2.DT_RESOURCE:
                output.type = dtype
                output.ClearField("handle_data")
    holders = {signature.input_arg[place].name: dtype for place, dtype in arguments.items()}
    scope = Scope(function.node_def, holders, is_function=True)
    _freeze_scope(freezer, scope)
    _rename(function, scope.renamed)


def _rename(function: Any, renamed: Mapping[str, str]) -> None:
    for node in function.node_def:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    for key, name in function.ret.items():
        function.ret[key] = renamed.get(name, name)


def _takes_values(op: str) -> bool:
    """Say whether an op that reads a TF1 variable reads its value, not its reference."""
    definition = op_def_registry.get(op)
    return definition is not None and not any(
        argument.is_ref or argument.type == types_pb2.DT_RESOURCE
        for argument in definition.input_arg
    )


def _read(scope: Scope, node: Any, dtype: int) -> None:
    new = node_def_pb2.NodeDef(name=node.name, op="Identity", input=node.input)
    new.attr["T"].type = dtype
    node.CopyFrom(new)
    if scope.is_function:
        scope.renamed[f"{node.name}:value:0"] = f"{node.name}:output:0"


def _gather(scope: Scope, node: Any, dtype: int) -> None:
    batch_dims = node.attr["batch_dims"].i
    axis = constant(f"{node.name}/tf2spark_axis", np.array(batch_dims, np.int32))
    scope.nodes.append(axis)
    new = node_def_pb2.NodeDef(name=node.name, op="GatherV2")
    controls = [name for name in node.input if name.startswith("^")]
    new.input.extend([*node.input[:2], scope.output(axis.name, "output"), *controls])
    new.attr["Tparams"].type = dtype
    new.attr["Tindices"].type = node.attr["Tindices"].type
    new.attr["Taxis"].type = types_pb2.DT_INT32
    new.attr["batch_dims"].i = batch_dims
    node.CopyFrom(new)


def _gather_nd(scope: Scope, node: Any, dtype: int) -> None:
    new = node_def_pb2.NodeDef(name=node.name, op="GatherNd", input=node.input)
    new.attr["Tparams"].type = dtype
    new.attr["Tindices"].type = node.attr["Tindices"].type
    node.CopyFrom(new)


def _shape(scope: Scope, node: Any, dtype: int) -> None:
    new = node_def_pb2.NodeDef(name=node.name, op="Shape", input=node.input)
    new.attr["T"].type = dtype
    new.attr["out_type"].type = node.attr["out_type"].type or types_pb2.DT_INT32
    node.CopyFrom(new)


def _initialised(scope: Scope, node: Any, dtype: int) -> None:
    controls = [f"^{name.lstrip('^').partition(':')[0]}" for name in node.input]
    node.CopyFrom(constant(node.name, np.array(True)))
    if not scope.is_function:
        node.input.extend(dict.fromkeys(controls))
    else:
        scope.renamed[f"{node.name}:is_initialized:0"] = f"{node.name}:output:0"


_READERS: Mapping[str, Callable[[Scope, Any, int], None]] = {
    "ReadVariableOp": _read,
    "ResourceGather": _gather,
    "ResourceGatherNd": _gather_nd,
    "VariableShape": _shape,
    "VarIsInitializedOp": _initialised,
    "IsVariableInitialized": _initialised,
}


def _refuse_variables_in_functions(graph_def: Any) -> None:
    for function in graph_def.library.function:
        for node in function.node_def:
            if node.op in VARIABLES:
                name = function.signature.name
                raise NotCompilable(f'the function "{name}" makes a variable ("{node.name}")')
