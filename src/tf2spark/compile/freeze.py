"""Freezing: variables become constants, and ops that read a variable read its value instead.

A variable is a resource handle, which a graph can pass through calls, branches and loops into the
bodies of functions. So freezing follows each handle: wherever it is an argument, the argument's
type changes from resource to that of the value. Loops and branches remain calls of functions,
which TensorFlow lowers when it loads the graph. `_READERS` says what each op that reads a variable
turns into.
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
from tf2spark.saved_model.graph.upstream import is_control, node_name
from tf2spark.saved_model.protos import FunctionMessage, GraphMessage, NodeMessage

VARIABLE_OPS = frozenset({"VarHandleOp", "VariableV2", "Variable"})
# Ops that call functions: the attributes that name the functions, the attribute with the types of
# the arguments, and the number of inputs before the arguments.
_CALL_OPS: Mapping[str, tuple[tuple[str, ...], str, int]] = {
    "While": (("cond", "body"), "T", 0),
    "StatelessWhile": (("cond", "body"), "T", 0),
    "If": (("then_branch", "else_branch"), "Tin", 1),
    "StatelessIf": (("then_branch", "else_branch"), "Tin", 1),
    "Case": (("branches",), "Tin", 1),
    "StatelessCase": (("branches",), "Tin", 1),
    "PartitionedCall": (("f",), "Tin", 0),
    "StatefulPartitionedCall": (("f",), "Tin", 0),
}
_LOOP_OPS = frozenset({"While", "StatelessWhile"})


@frozen
class FrozenFunctions:
    """The functions of a graph, and which of them are already frozen.

    Attributes:
        functions: All functions by name.
        variable_arguments: For each frozen function, which arguments were variables: the dtype of
            the value by the argument's position.
    """

    functions: Mapping[str, FunctionMessage]
    variable_arguments: dict[str, dict[int, int]] = Factory(dict)


@frozen
class Body:
    """The nodes of a graph or of a function, while they are frozen.

    Attributes:
        nodes: The nodes.
        variables: The outputs and arguments that are variables, with the dtypes of their values.
        new_names: Outputs that have another name in the frozen body.
        is_function: Whether it is a function's body, where inputs are named differently.
    """

    nodes: Any
    variables: dict[str, int]
    new_names: dict[str, str] = Factory(dict)
    is_function: bool = False

    def output(self, node: str, argument: str, number: int = 0) -> str:
        """Return the name of an output as inputs in this body refer to it."""
        if self.is_function:
            return f"{node}:{argument}:{number}"
        return node if number == 0 else f"{node}:{number}"


def freeze(
    graph_def: GraphMessage, original: Original, files: WeightFiles, *, only_large: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """Replace the variables of a graph with constants, or with files where they are large.

    Args:
        graph_def: The graph; it is changed.
        original: The model that has the values.
        files: Where the large ones go.
        only_large: Leave small variables as they are, except those that the init op reads.

    Returns:
        The values of the variables that were left, by node.

    Raises:
        NotCompilable: An op does more with a variable than read it.
        ModelError: A variable has no value.
    """
    _refuse_variables_in_functions(graph_def)
    variables = [node for node in graph_def.node if node.op in VARIABLE_OPS]
    values = variable_values(original, variables)
    if only_large:
        # Variables that are left must not change either: scores would depend on earlier rows.
        _refuse_assignments(graph_def)
        variables = [
            node
            for node in variables
            # Nothing says that a variable is assigned before the init op reads it.
            if node.name in files.read_by_init or files.accepts(node.name, values[node.name])
        ]
    for node in variables:
        node.CopyFrom(files.node(node.name, values.pop(node.name)))
    _freeze_readers(graph_def, variables)
    return values if only_large else {}


def _refuse_assignments(graph_def: GraphMessage) -> None:
    """Freeze all variables in a copy, which fails where one is assigned."""
    copy = graph_pb2.GraphDef()
    copy.CopyFrom(graph_def)
    _freeze_readers(copy, [node for node in copy.node if node.op in VARIABLE_OPS])


def _freeze_readers(graph_def: GraphMessage, variables: Sequence[NodeMessage]) -> None:
    functions = {function.signature.name: function for function in graph_def.library.function}
    dtypes = {node.name: node.attr["dtype"].type for node in variables}
    _freeze_body(FrozenFunctions(functions), Body(graph_def.node, dtypes))


def _freeze_body(frozen_functions: FrozenFunctions, body: Body) -> None:
    """Change every node of a body that has a variable as input.

    Nodes are in any order, and freezing one (an Identity, a loop) can make its output a variable
    that others read. So this repeats until no node that is left has such an input.
    """
    pending = list(body.nodes)
    while True:
        readers = [
            node for node in pending if node.op not in VARIABLE_OPS and _variable_inputs(node, body)
        ]
        if not readers:
            return
        for node in readers:
            _freeze_node(frozen_functions, body, node)
        names = {node.name for node in readers}
        pending = [node for node in pending if node.name not in names]


def _variable_inputs(node: NodeMessage, body: Body) -> dict[int, int]:
    """Return the positions of a node's inputs that are variables, with the dtypes of the values."""
    inputs = (name for name in node.input if not is_control(name))
    return {
        position: body.variables[name]
        for position, name in enumerate(inputs)
        if name in body.variables
    }


def _freeze_node(frozen_functions: FrozenFunctions, body: Body, node: NodeMessage) -> None:
    dtypes = _variable_inputs(node, body)
    if node.op in _READERS:
        _READERS[node.op](body, node, dtypes[0])
    elif node.op in _CALL_OPS:
        _freeze_call(frozen_functions, body, node, dtypes)
    elif node.op in ("Identity", "Enter"):
        node.attr["T"].type = dtypes[0]
        body.variables[body.output(node.name, "output")] = dtypes[0]
    elif node.op == "Switch" and 0 in dtypes:
        node.attr["T"].type = dtypes[0]
        for number, argument in enumerate(("output_false", "output_true")):
            # In a function each of the two outputs is the first of its own name.
            name = body.output(node.name, argument, 0 if body.is_function else number)
            body.variables[name] = dtypes[0]
    elif node.op.startswith(("Assign", "Scatter", "ResourceScatter")):
        raise NotCompilable(f'it assigns to a variable ({node.op} "{node.name}")')
    elif not _reads_value(node.op):
        raise NotCompilable(f'no constant can replace the variable in {node.op} "{node.name}"')


def _freeze_call(
    frozen_functions: FrozenFunctions, body: Body, node: NodeMessage, dtypes: Mapping[int, int]
) -> None:
    function_attributes, types_attribute, leading_inputs = _CALL_OPS[node.op]
    arguments = {position - leading_inputs: dtype for position, dtype in dtypes.items()}
    for position, dtype in arguments.items():
        node.attr[types_attribute].list.type[position] = dtype
    for name in _called_functions(node, function_attributes):
        _freeze_function(frozen_functions, name, arguments, is_loop=node.op in _LOOP_OPS)
    if node.op in _LOOP_OPS:
        # A loop returns its arguments, the variables too. In a function, While's outputs are all
        # called "output" and numbered.
        for position, dtype in arguments.items():
            body.variables[body.output(node.name, "output", position)] = dtype


def _called_functions(node: NodeMessage, attributes: Sequence[str]) -> Iterator[str]:
    for attribute in attributes:
        value = node.attr[attribute]
        yield from (function.name for function in (value.list.func or [value.func]))


def _freeze_function(
    frozen_functions: FrozenFunctions, name: str, arguments: Mapping[int, int], *, is_loop: bool
) -> None:
    done = frozen_functions.variable_arguments
    if name in done:
        # The body was changed for the dtypes of its first caller.
        if done[name] != arguments:
            raise NotCompilable(f'the function "{name}" is called with variables of several types')
        return
    done[name] = dict(arguments)
    function = frozen_functions.functions[name]
    _change_signature(function, arguments, is_loop=is_loop)
    arg_names = [argument.name for argument in function.signature.input_arg]
    variables = {arg_names[position]: dtype for position, dtype in arguments.items()}
    body = Body(function.node_def, variables, is_function=True)
    _freeze_body(frozen_functions, body)
    _rename_outputs(function, body.new_names)


def _change_signature(
    function: FunctionMessage, arguments: Mapping[int, int], *, is_loop: bool
) -> None:
    """Change resource arguments, and a loop body's outputs, which must match them, to values."""
    signature = function.signature
    # These and handle_data describe resources; TensorFlow refuses them on arguments of other types.
    function.resource_arg_unique_id.clear()
    for position, dtype in arguments.items():
        signature.input_arg[position].type = dtype
        signature.input_arg[position].ClearField("handle_data")
        # A loop's condition has one output, a bool.
        if is_loop and len(signature.output_arg) > position:
            output = signature.output_arg[position]
            if output.type == types_pb2.DT_RESOURCE:
                output.type = dtype
                output.ClearField("handle_data")


def _rename_outputs(function: FunctionMessage, new_names: Mapping[str, str]) -> None:
    for node in function.node_def:
        for position, name in enumerate(node.input):
            node.input[position] = new_names.get(name, name)
    for key, name in function.ret.items():
        function.ret[key] = new_names.get(name, name)


def _reads_value(op: str) -> bool:
    """Return whether an op that is given a TF1 variable reads its value, not its reference."""
    definition = op_def_registry.get(op)
    return definition is not None and not any(
        argument.is_ref or argument.type == types_pb2.DT_RESOURCE
        for argument in definition.input_arg
    )


def _freeze_read(body: Body, node: NodeMessage, dtype: int) -> None:
    new = node_def_pb2.NodeDef(name=node.name, op="Identity", input=node.input)
    new.attr["T"].type = dtype
    node.CopyFrom(new)
    if body.is_function:
        body.new_names[f"{node.name}:value:0"] = f"{node.name}:output:0"


def _freeze_gather(body: Body, node: NodeMessage, dtype: int) -> None:
    # GatherV2 has the axis as an input; ResourceGather gathers along the first one after the batch.
    batch_dims = node.attr["batch_dims"].i
    axis = constant(f"{node.name}/tf2spark_axis", np.array(batch_dims, np.int32))
    if not body.is_function:
        # For the same reason as in `_freeze_is_initialized`.
        axis.input.append(f"^{node_name(node.input[1])}")
    body.nodes.append(axis)
    new = node_def_pb2.NodeDef(name=node.name, op="GatherV2")
    controls = [name for name in node.input if is_control(name)]
    new.input.extend([*node.input[:2], body.output(axis.name, "output"), *controls])
    new.attr["Tparams"].type = dtype
    new.attr["Tindices"].type = node.attr["Tindices"].type
    new.attr["Taxis"].type = types_pb2.DT_INT32
    new.attr["batch_dims"].i = batch_dims
    node.CopyFrom(new)


def _freeze_gather_nd(body: Body, node: NodeMessage, dtype: int) -> None:
    new = node_def_pb2.NodeDef(name=node.name, op="GatherNd", input=node.input)
    new.attr["Tparams"].type = dtype
    new.attr["Tindices"].type = node.attr["Tindices"].type
    node.CopyFrom(new)


def _freeze_shape(body: Body, node: NodeMessage, dtype: int) -> None:
    new = node_def_pb2.NodeDef(name=node.name, op="Shape", input=node.input)
    new.attr["T"].type = dtype
    new.attr["out_type"].type = node.attr["out_type"].type or types_pb2.DT_INT32
    node.CopyFrom(new)


def _freeze_is_initialized(body: Body, node: NodeMessage, dtype: int) -> None:
    controls = [f"^{node_name(name)}" for name in node.input]
    node.CopyFrom(constant(node.name, np.array(True)))
    if body.is_function:
        body.new_names[f"{node.name}:is_initialized:0"] = f"{node.name}:output:0"
    else:
        # In TF1's loops an op belongs to the frame of its inputs, so the constant keeps some.
        node.input.extend(dict.fromkeys(controls))


_READERS: Mapping[str, Callable[[Body, NodeMessage, int], None]] = {
    "ReadVariableOp": _freeze_read,
    "ResourceGather": _freeze_gather,
    "ResourceGatherNd": _freeze_gather_nd,
    "VariableShape": _freeze_shape,
    "VarIsInitializedOp": _freeze_is_initialized,
    "IsVariableInitialized": _freeze_is_initialized,
}


def _refuse_variables_in_functions(graph_def: GraphMessage) -> None:
    # Each call would share the variable, whose value the session can't fetch from outside.
    for function in graph_def.library.function:
        for node in function.node_def:
            if node.op in VARIABLE_OPS:
                name = function.signature.name
                raise NotCompilable(f'the function "{name}" makes a variable ("{node.name}")')
