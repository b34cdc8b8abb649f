"""The walk over a graph from its inputs to the score: a form for every tensor.

How a node is handled depends on its inputs: constants stay constants, shape arithmetic is computed,
random numbers are followed as a range, and everything else has a rule per op.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import Factory, define

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import Dims, DType
from tf2spark.graph_split.constant_folding import run_on_constants, to_array
from tf2spark.graph_split.dependence import Sides
from tf2spark.graph_split.dropout import RANDOM_OPS, apply_to_random, random_range
from tf2spark.graph_split.forms import (
    ChannelRows,
    Const,
    NotRowWise,
    NotSplit,
    OneSided,
    Pair,
    RandomRange,
    RowPositions,
    ShapeVector,
    Side,
    SideName,
    StackedRows,
    TransposedRows,
    Value,
    common_side,
)
from tf2spark.graph_split.graph_builder import PREFIX, GraphBuilder
from tf2spark.graph_split.one_side import OneSidedRows
from tf2spark.graph_split.op_call import OpCall, TensorInfo, elementwise
from tf2spark.graph_split.row_masks import apply_to_positions, mask_positions
from tf2spark.graph_split.rules.shape_arithmetic import SHAPE_OPS, apply_shape_op, is_static
from tf2spark.graph_split.rules.stacked_rows import apply_to_stacked_rows
from tf2spark.graph_split.rules.table import (
    RULES,
    SHAPE_INPUTS,
    TAKES_CHANNEL_ROWS,
    TAKES_STACKED_ROWS,
)
from tf2spark.graph_split.rules.transposed_rows import apply_to_transposed_rows
from tf2spark.saved_model.graph.function_library import NOT_OPENED
from tf2spark.saved_model.graph.upstream import control_inputs, data_inputs, node_name
from tf2spark.saved_model.protos import NodeMessage

_WITH_RULES = frozenset({*RULES, *SHAPE_OPS, *RANDOM_OPS})
_READS_SHAPE = frozenset({"Rank", "Shape", "Size"})


@define
class FormWalk:
    """The forms of a graph's tensors, found on demand.

    Attributes:
        b: Adds nodes.
        nodes: The graph's own nodes by name.
        infos: What TensorFlow infers of each tensor.
        load: Returns the value of a constant tensor.
        values: The forms that are known; those of the fed inputs are set before the walk.
        obstacles: Why nodes could not be split. The walk goes on past them, since whether rows
            are independent depends on all of the graph.
        sides: Which sides each node depends on.
        one_sided: Turns what no rule describes into rows.
    """

    b: GraphBuilder
    nodes: Mapping[str, NodeMessage]
    infos: dict[str, TensorInfo]
    load: Callable[[str], Array]
    sides: Mapping[str, Sides]
    one_sided: OneSidedRows
    values: dict[str, Value] = Factory(dict)
    obstacles: list[str] = Factory(list)

    def form_of(self, name: str) -> Value:
        """Return the form of a tensor, and find those of all tensors upstream.

        Raises:
            NotRowWise: A node isn't known to treat rows independently.
        """
        # An explicit stack, because graphs can be deeper than Python's recursion limit.
        todo, waiting = [name], set[str]()
        while todo:
            if todo[-1] in self.values:
                todo.pop()
                continue
            node = self.nodes[node_name(todo[-1])]
            if self._is_left_whole(node):
                self._keep(node, self._leave_whole(node))
                todo.pop()
                continue
            if node.op == "Where":
                positions = mask_positions(node, self.nodes, self.form_of)
                if positions is not None:
                    self._keep(node, [positions])
                    continue
            inputs = data_inputs(node)
            # Of several tensors that are only passed on, the others don't matter.
            is_passed_on = node.op == "IdentityN"
            read = [inputs[_output_index(todo[-1])]] if is_passed_on else inputs
            missing = [tensor for tensor in read if tensor not in self.values]
            if missing:
                # Visited again with inputs still missing: TF1's loops are cycles in the graph.
                key = todo[-1] if is_passed_on else node.name
                if key in waiting:
                    raise NotRowWise(f'{node.op} "{node.name}": it is part of a loop')
                waiting.add(key)
                todo += missing
                continue
            if is_passed_on:
                self.values[todo[-1]] = self.values[read[0]]
            else:
                self._visit(node, [self.values[tensor] for tensor in inputs])
            todo.pop()
        return self.values[name]

    def _visit(self, node: NodeMessage, inputs: Sequence[Value]) -> None:
        """Find the forms of a node's outputs."""
        constants = [value for value in inputs if isinstance(value, Const)]
        if len(constants) == len(inputs) and node.op not in RANDOM_OPS:
            self._visit_constant(node, constants)
            return
        try:
            outputs = self._apply_or_leave(node, inputs)
        except NotRowWise as reason:
            raise NotRowWise(f'{node.op} "{node.name}": {reason}') from None
        except NotSplit as reason:
            self.obstacles.append(f'{node.op} "{node.name}": {reason}')
            outputs = self._as_pairs(node)
        # A rule may know only the first of several outputs; the others must not be read then.
        if len(outputs) < len(self._output_infos(node)):
            raise NotRowWise(f'{node.op} "{node.name}": the form of its other results isn\'t known')
        self._keep(node, outputs)

    def _keep(self, node: NodeMessage, outputs: Sequence[Value]) -> None:
        for index, value in enumerate(outputs):
            # Downstream, sizes that don't depend on the batch are plain constants.
            if isinstance(value, ShapeVector) and is_static(value):
                value = self._as_constant(value)
            self.values[f"{node.name}:{index}"] = value

    def _side_of(self, node: NodeMessage) -> SideName | None:
        """Return the one side that a node depends on, if there is just one."""
        sides = self.sides.get(node.name, frozenset())
        return next(iter(sides)) if len(sides) == 1 else None

    def _is_left_whole(self, node: NodeMessage) -> bool:
        """Say whether a node of one side is left as it is, whatever is upstream of it.

        Its op has no rule, or it or a constant that it reads waits: for an assertion, or in a loop.
        """
        if not data_inputs(node) or self._side_of(node) is None:
            return False
        read = [self.nodes[node_name(name)] for name in data_inputs(node)]
        waits = [*control_inputs(node), *(name for source in read for name in _waits_for(source))]
        return bool(waits) or node.op not in _WITH_RULES

    def _leave_whole(self, node: NodeMessage) -> Sequence[Value]:
        """Leave a node of one side to that side, as it is, and return its outputs."""
        side = self._side_of(node)
        assert side is not None
        return [
            OneSided(side, f"{node.name}:{index}", dtype)
            for index, (dtype, _) in enumerate(self._output_infos(node))
        ]

    def _apply_or_leave(self, node: NodeMessage, inputs: Sequence[Value]) -> Sequence[Value]:
        """Find the forms of a node's outputs by its rule; leave it whole where that is enough."""
        if self._side_of(node) is None:
            return self._apply(node, [self.as_rows(value) for value in inputs])
        if any(isinstance(value, OneSided) for value in inputs):
            return self._leave_whole(node)
        if any(isinstance(value, RandomRange) for value in inputs):
            return self._apply(node, inputs)
        try:
            outputs = self._apply(node, inputs)
        except (NotRowWise, NotSplit):
            return self._leave_whole(node)
        # A rule may know only the first of several outputs.
        is_complete = len(outputs) >= len(self._output_infos(node))
        return outputs if is_complete else self._leave_whole(node)

    def as_rows(self, value: Value) -> Value:
        """Return what meets the other side as rows of its side, or as shape arithmetic."""
        if not isinstance(value, OneSided):
            return value
        shape = self._as_shape(value)
        return self.one_sided.rows(value, self.infos) if shape is None else shape

    def _as_shape(self, value: OneSided) -> ShapeVector | Const | None:
        """Return shape arithmetic on what is one-sided, by the shapes that it starts from."""
        node = self.nodes.get(node_name(value.tensor))
        if node is None or node.op not in SHAPE_OPS or not value.dtype.is_integer:
            return None
        inputs = [self.values.get(name) for name in data_inputs(node)]
        follow = self.as_rows if node.op in _READS_SHAPE else self._as_shape
        followed = [follow(read) if isinstance(read, OneSided) else read for read in inputs]
        known = [read for read in followed if read is not None]
        if len(known) < len(inputs):
            return None
        if node.op not in _READS_SHAPE and not _are_shapes(known):
            return None
        (shape,) = self._apply(node, known)
        if not isinstance(shape, ShapeVector):
            return None
        return self._as_constant(shape) if is_static(shape) else shape

    def _as_constant(self, shape: ShapeVector) -> Const:
        return self.b.constant(shape.values.tolist(), shape.dtype)

    def _apply(self, node: NodeMessage, inputs: Sequence[Value]) -> Sequence[Value]:
        if node.op in SHAPE_OPS and _are_shapes(inputs):
            return [apply_shape_op(node, inputs, self.infos[f"{node.name}:0"][0])]
        if node.op in RANDOM_OPS:
            return [random_range(node)]
        if any(isinstance(value, RandomRange) for value in inputs):
            return [apply_to_random(self.b, node, inputs)]
        return self._apply_rule(node, inputs)

    def _apply_rule(self, node: NodeMessage, inputs: Sequence[Value]) -> Sequence[Value]:
        rule = RULES.get(node.op)
        if rule is None:
            return self._apply_to_one_side(node, inputs)
        # A rule sees only the forms of its inputs, so a number of rows where it expects values of
        # rows would be broadcast like a constant.
        for index, value in enumerate(inputs):
            if isinstance(value, ShapeVector) and index not in SHAPE_INPUTS.get(node.op, ()):
                raise NotRowWise("it takes the number of rows as an input")
        call = OpCall(self.b, node, tuple(inputs), tuple(self._output_infos(node)))
        if call.has_input(RowPositions):
            return [apply_to_positions(call)]
        if call.has_input(TransposedRows):
            return apply_to_transposed_rows(call, rule)
        if call.has_input(ChannelRows) and node.op not in TAKES_CHANNEL_ROWS:
            raise NotRowWise("it would mistake rows for columns")
        knows_stacked_rows = rule is elementwise or node.op in TAKES_STACKED_ROWS
        if call.has_input(StackedRows) and not knows_stacked_rows:
            return apply_to_stacked_rows(call, rule)
        result = rule(call)
        return result if isinstance(result, Sequence) else [result]

    def _apply_to_one_side(self, node: NodeMessage, inputs: Sequence[Value]) -> Sequence[Value]:
        """Apply an op without a rule to rows of one side, though its original also reads others."""
        side = common_side(inputs)
        if side is None:
            reason = node.attr[NOT_OPENED].s.decode() if NOT_OPENED in node.attr else ""
            why = f"; {reason}" if reason else ""
            raise NotRowWise(f"this op isn't known to treat rows independently{why}")
        operands = [value.tensor for value in inputs if isinstance(value, Const | Side)]
        name = self.b.copy_node(node, operands)
        outputs: list[Value] = []
        for index, info in enumerate(self._output_infos(node)):
            self.infos[f"{name}:{index}"] = info
            outputs.append(OneSided(side, f"{name}:{index}", info[0]))
        return outputs

    def _output_infos(self, node: NodeMessage) -> list[TensorInfo]:
        infos: list[TensorInfo] = []
        while (info := self.infos.get(f"{node.name}:{len(infos)}")) is not None:
            infos.append(info)
        return infos

    def _as_pairs(self, node: NodeMessage) -> list[Value]:
        """Return stand-ins for a node's outputs: values per pair that never run."""
        outputs: list[Value] = []
        for index, (dtype, shape) in enumerate(self._output_infos(node)):
            if not shape:
                raise NotRowWise(f'{node.op} "{node.name}": the rank of its result isn\'t known')
            outputs.append(Pair(f"{node.name}:{index}", dtype, shape[1:]))
        return outputs

    def _visit_constant(self, node: NodeMessage, inputs: Sequence[Const]) -> None:
        """Find the forms of the outputs of a node that depends on no input."""
        infos = self._output_infos(node)
        names = [f"{node.name}:{index}" for index in range(len(infos))]
        if any(value.tensor.startswith(PREFIX) for value in inputs):
            # It is constant only because we know the sizes of rows; the graph doesn't tell them.
            tensors = run_on_constants(node, inputs, len(names))
            for name, tensor in zip(names, tensors, strict=True):
                self.values[name] = self.b.constant(to_array(tensor), tensor.dtype)
        elif node.op in ("Placeholder", "PlaceholderV2"):
            # It isn't one of the split inputs, so it is fed a constant. That has a known shape,
            # which the placeholder's may not be.
            value = self.load(names[0])
            self.values[names[0]] = Const(names[0], infos[0][0], value.shape, lambda: value)
        else:
            for name, (dtype, shape) in zip(names, infos, strict=True):
                self.values[name] = self._constant(name, dtype, shape)

    def _constant(self, name: str, dtype: DType, shape: Dims | None) -> Const:
        def load() -> Array:
            return self.load(name)

        # A value without a NumPy dtype (a table's handle) is never loaded.
        if dtype.numpy is not None and (shape is None or None in shape):
            shape = load().shape
        return Const(name, dtype, shape or (), load)


def _output_index(tensor: str) -> int:
    return int(tensor.rpartition(":")[2])


def _waits_for(source: NodeMessage) -> list[str]:
    """Return what a constant waits for."""
    return [] if data_inputs(source) else control_inputs(source)


def _are_shapes(values: Sequence[Value]) -> bool:
    return all(isinstance(value, ShapeVector | Const) for value in values)
