"""Splits a frozen graph into what is computed per user, per item, and per pair.

The forms of all tensors are found from the inputs to the score (`form_walk`), which adds nodes for
the sides and the pairs to the graph; what remains is to compute the score of every pair from its
form, and to say which tensors cross from the sides to the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import Factory, frozen

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import FLOAT32, FLOAT64, INT32, Dims, DType
from tf2spark.graph_split.algebra.layout import reshape_rows
from tf2spark.graph_split.algebra.parts import slice_axis
from tf2spark.graph_split.control_edges import refuse_assertions
from tf2spark.graph_split.dependence import sides_of_nodes
from tf2spark.graph_split.form_walk import FormWalk
from tf2spark.graph_split.forms import (
    Concat,
    Const,
    NotRowWise,
    NotSplit,
    OneSided,
    ShapeVector,
    Side,
    SideName,
    TransposedRows,
    Value,
    dims_of,
)
from tf2spark.graph_split.graph_builder import ITEMS, USERS, GraphBuilder
from tf2spark.graph_split.materialize import materialize_pairs
from tf2spark.graph_split.node_places import Place, places_of_nodes
from tf2spark.graph_split.one_side import OneSidedRows, RowDims, nothing_is_run
from tf2spark.graph_split.op_call import TensorInfo
from tf2spark.plan.score import RowRelation
from tf2spark.saved_model.graph.node_attributes import write_shape
from tf2spark.saved_model.graph.upstream import data_inputs, node_name, tensor_name
from tf2spark.saved_model.protos import GraphMessage
from tf2spark.tensorflow_c.graph import graph_tensor_info


@frozen
class SidePart:
    """What one side feeds to an input: rows of these dimensions."""

    side: SideName
    dims: Dims


@frozen
class SplitInput:
    """An input of the graph: its placeholder, and the parts side by side that feed it.

    A sparse or ragged input has several placeholders, all of them in `composite`, and one part.
    """

    tensor: str
    dtype: DType
    parts: tuple[SidePart, ...]
    composite: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[str, ...]:
        """All its placeholders."""
        return self.composite or (self.tensor,)

    @property
    def dims(self) -> Dims:
        """The dimensions of a whole row; parts are side by side along its first axis."""
        widths = [part.dims[0] for part in self.parts if len(self.parts) > 1]
        if not widths:
            return self.parts[0].dims
        width = None if None in widths else sum(width or 0 for width in widths)
        return (width, *self.parts[0].dims[1:])


@frozen
class SplitGraph:
    """A graph that was split: three graphs in one, which differ in what is fed and fetched.

    Attributes:
        graph: The ``GraphDef``: all nodes of the original, and those that were added.
        feeds: For each part of each input, in order, the tensors that its side feeds.
        users: The tensors that are computed per user, with their placeholders in the pair graph.
        items: The same for items.
        score: The tensor [users, items] of scores.
        score_dtype: float32 or float64.
        unproven: Values of a side that aren't known to be independent of its other rows.
        relations: What was found out about the rows of the sides that have such values.
        places: Where the nodes of the original are computed now.
    """

    graph: GraphMessage
    feeds: tuple[tuple[tuple[str, ...], ...], ...]
    users: tuple[tuple[Side, str], ...]
    items: tuple[tuple[Side, str], ...]
    score: str
    score_dtype: DType
    unproven: tuple[Side, ...] = ()
    relations: Mapping[SideName, RowRelation] = Factory(dict)
    places: Mapping[str, Place] = Factory(dict)

    def relation(self, side: SideName) -> RowRelation:
        """Return whether the rows of a side depend on each other."""
        return self.relations.get(side, "independent")


def split_graph(
    graph: GraphMessage,
    inputs: Sequence[SplitInput],
    score: str,
    column: int | None,
    load: Callable[[str], Array],
    row_dims: RowDims = nothing_is_run,
) -> SplitGraph:
    """Split a graph.

    Args:
        graph: A frozen ``GraphDef`` without function calls, and without control edges to nodes
            that the score needs (`remove_control_edges`). It is modified.
        inputs: Its inputs, each fed by one side, or by both side by side along axis 1.
        score: The tensor of scores: one per row, or a vector per row with the score in `column`.
        column: Which entry of a row is the score; None where there is one.
        load: Returns the value of a constant tensor.
        row_dims: Finds the dimensions of rows that no rule describes; see `OneSidedRows`.

    Raises:
        NotRowWise: The graph isn't known to treat rows independently.
        NotSplit: It treats rows independently, but can't be split.
    """
    # Tables know the sizes of rows that the model leaves open, so they come first.
    for split_input in inputs:
        if not split_input.composite:
            _declare_shape(graph, split_input)
    infos = _infer_tensors(graph, score)
    b = GraphBuilder(graph)
    sides = sides_of_nodes(graph, _feeding_sides(inputs))
    one_sided = OneSidedRows(row_dims)
    walk = FormWalk(b, {node.name: node for node in graph.node}, infos, load, sides, one_sided)
    feeds = tuple(_add_input(walk, split_input) for split_input in inputs)
    value = walk.as_rows(walk.form_of(tensor_name(score)))
    # Only now: a graph that mixes rows must be refused as such, whatever else is wrong with it.
    if walk.obstacles:
        raise NotSplit(walk.obstacles[0], row_wise=True)
    refuse_assertions(graph, score, sides)
    if isinstance(value, TransposedRows):
        raise NotRowWise("the score has its rows along the second axis")
    tensor, dtype = _score_grid(b, _one_score_per_pair(b, value, column))
    return SplitGraph(
        graph,
        feeds,
        _crossing_tensors(b, "user"),
        _crossing_tensors(b, "item"),
        tensor,
        dtype,
        tuple(one_sided.rows_of.values()),
        places=places_of_nodes(sides, walk.values),
    )


def _feeding_sides(inputs: Sequence[SplitInput]) -> dict[str, set[SideName]]:
    return {
        node_name(tensor): {part.side for part in split_input.parts}
        for split_input in inputs
        for tensor in split_input.tensors
    }


def _declare_shape(graph: GraphMessage, split_input: SplitInput) -> None:
    """Write what the tables say about an input's shape, for TensorFlow's shape inference."""
    name = node_name(split_input.tensor)
    node = next(node for node in graph.node if node.name == name)
    write_shape(node, (None, *split_input.dims))


def _infer_tensors(graph: GraphMessage, score: str) -> dict[str, TensorInfo]:
    """Return dtype and shape of each node's outputs, up to the last one that is read."""
    last_read = {node.name: 0 for node in graph.node}
    reads = [name for node in graph.node for name in data_inputs(node)]
    for tensor in (*reads, tensor_name(score)):
        name, _, index = tensor.rpartition(":")
        last_read[name] = max(last_read.get(name, 0), int(index))
    names = [f"{name}:{index}" for name, last in last_read.items() for index in range(last + 1)]
    infos = graph_tensor_info(graph.SerializeToString(), names)
    return {name: info for name, info in infos.items() if info is not None}


def _add_input(walk: FormWalk, split_input: SplitInput) -> tuple[tuple[str, ...], ...]:
    """Set the form of an input, and return the tensors that each part of it is fed to."""
    if split_input.composite:
        (part,) = split_input.parts
        for tensor in split_input.composite:
            walk.values[tensor] = OneSided(part.side, tensor, walk.infos[tensor][0])
        return (split_input.composite,)
    b, name, dtype = walk.b, tensor_name(split_input.tensor), split_input.dtype
    if len(split_input.parts) == 1:
        part = split_input.parts[0]
        # The same placeholder serves the side's graph and the whole one.
        walk.values[name] = Side(part.side, name, dtype, part.dims)
        b.anchors.setdefault(part.side, (name, dtype))
        return ((name,),)
    # The original placeholder takes whole rows, so each part gets one of its own.
    parts = []
    for index, part in enumerate(split_input.parts):
        own_name = f"tf2spark/{node_name(name)}_{index}"
        tensor = b.placeholder(own_name, dtype, (None, *part.dims))
        parts.append(Side(part.side, tensor, dtype, part.dims))
        b.anchors.setdefault(part.side, (tensor, dtype))
    walk.values[name] = Concat(1, tuple(parts), dtype, split_input.dims)
    return tuple((part.tensor,) for part in parts)


def _one_score_per_pair(b: GraphBuilder, value: Value, column: int | None) -> Value:
    """Return the score as rows without dimensions.

    Raises:
        NotSplit: It isn't one number per pair.
    """
    if isinstance(value, Const | ShapeVector):
        raise NotSplit("the score depends on neither users nor items")
    if column is not None:
        value = slice_axis(b, value, 1, column, 1)
    dims = dims_of(value)
    if any(size != 1 for size in dims):
        raise NotSplit(f"the score isn't one number per row, but has rows of {dims}")
    return reshape_rows(b, value, ())


def score_dtype(dtype: DType) -> DType:
    """Return the dtype of scores: float32 where the model computes in that or less."""
    return FLOAT32 if dtype.name in ("float32", "float16", "bfloat16") else FLOAT64


def _score_grid(b: GraphBuilder, value: Value) -> tuple[str, DType]:
    """Return the scores as a tensor [users, items] of float32 or float64."""
    pair = materialize_pairs(b, value)
    shape = b.node("Pack", [f"{USERS}:0", f"{ITEMS}:0"], T=INT32, N=2, axis=0)
    tensor = b.reshape_tensor(pair.tensor, shape, pair.dtype)
    dtype = score_dtype(pair.dtype)
    # Top-k compares floats: integers of the model become float64, halves float32.
    if pair.dtype is not dtype:
        tensor = b.node("Cast", [tensor], SrcT=pair.dtype, DstT=dtype, Truncate=False)
    return tensor, dtype


def _crossing_tensors(b: GraphBuilder, side: SideName) -> tuple[tuple[Side, str], ...]:
    return tuple(
        (tensor.value, tensor.placeholder)
        for tensor in b.frontier.values()
        if tensor.value.side == side
    )
