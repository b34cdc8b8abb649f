"""A frozen graph taken apart: what is computed a user, what an item, and what is left for pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, frozen

from tf2spark.dtypes import FLOAT32, FLOAT64, INT32, DType
from tf2spark.graph_split.algebra.layout import reshaped, taken
from tf2spark.graph_split.constant_folding import as_array, folded
from tf2spark.graph_split.control_edges import refuse_assertions
from tf2spark.graph_split.dropout import decided, drawn
from tf2spark.graph_split.forms import (
    Array,
    Beside,
    Between,
    Concat,
    Const,
    Dims,
    Merged,
    NotRowWise,
    NotSplit,
    Pair,
    Side,
    SideName,
    Sizes,
    Value,
    dims_of,
)
from tf2spark.graph_split.graph_builder import ITEMS, PREFIX, USERS, Builder
from tf2spark.graph_split.materialize import flat
from tf2spark.graph_split.op_call import Call, elementwise
from tf2spark.graph_split.rules.shape_arithmetic import OPS as SIZE_OPS
from tf2spark.graph_split.rules.shape_arithmetic import computed, is_static
from tf2spark.graph_split.rules.stacked_rows import on_merged
from tf2spark.graph_split.rules.table import RULES, TAKES_BESIDE, TAKES_MERGED
from tf2spark.saved_model.reachable_nodes import node_name, tensor_name
from tf2spark.tensorflow_c.graph import graph_tensor_info

Info = tuple[DType, Dims | None]


@frozen
class SidePart:
    """What one side feeds to an input: rows of these dimensions."""

    side: SideName
    dims: Dims


@frozen
class SplitInput:
    """An input of the graph: its placeholder, and the parts side by side that feed it."""

    tensor: str
    dtype: DType
    parts: tuple[SidePart, ...]


@frozen
class SplitGraph:
    """A graph taken apart: three in one, told apart by what is fed and fetched.

    Attributes:
        graph: The ``GraphDef``: all of the original's nodes, and what was written beside them.
        feeds: For each part of each input, in order, the tensor that its side feeds.
        users: The tensors that are computed a user, with their placeholders in the pair graph.
        items: The same for items.
        score: The tensor [users, items] of scores.
        score_dtype: float32 or float64.
        builder: How it came about: for the plan.
    """

    graph: Any
    feeds: tuple[tuple[str, ...], ...]
    users: tuple[tuple[Side, str], ...]
    items: tuple[tuple[Side, str], ...]
    score: str
    score_dtype: DType
    builder: Builder


def split(
    graph: Any,
    inputs: Sequence[SplitInput],
    score: str,
    column: int | None,
    load: Callable[[str], Array],
) -> SplitGraph:
    """Take a graph apart.

    Args:
        graph: A frozen ``GraphDef`` without calls and without control edges to nodes that a score
            needs (`controls`); it is written to.
        inputs: Its inputs, each fed by one side or by both side by side along axis 1.
        score: The tensor of scores: one a row, or vectors of which `column` is taken.
        column: Which entry of a row is the score; None where there is one.
        load: Returns the value of a constant tensor.

    Raises:
        NotRowWise: The graph isn't known to treat rows apart.
        NotSplit: It does, but can't be taken apart.
    """
    _narrow_placeholders(graph, inputs)
    infos = _infos(graph, score)
    b = Builder(graph)
    walk = _Walk(b, {node.name: node for node in graph.node}, infos, load)
    feeds = tuple(_fed(walk, one) for one in inputs)
    value = walk.value(tensor_name(score))
    if walk.obstacles:
        raise NotSplit(walk.obstacles[0], row_wise=True)
    refuse_assertions(graph, score)
    value = _one_a_pair(b, value, column)
    tensor, dtype = _scores(b, value)
    crossing = list(b.frontier.values())
    users = tuple((one.value, one.placeholder) for one in crossing if one.value.side == "user")
    items = tuple((one.value, one.placeholder) for one in crossing if one.value.side == "item")
    return SplitGraph(graph, feeds, users, items, tensor, dtype, b)


def _narrow_placeholders(graph: Any, inputs: Sequence[SplitInput]) -> None:
    """Write into the graph what is known of the inputs' shapes, for TensorFlow's inference."""
    nodes = {node.name: node for node in graph.node}
    for one in inputs:
        node = nodes[node_name(one.tensor)]
        dims = one.parts[0].dims
        if len(one.parts) > 1:
            widths = [part.dims[0] for part in one.parts]
            whole = None if None in widths else sum(width or 0 for width in widths)
            dims = (whole, *dims[1:])
        shape = node.attr["shape"].shape
        shape.Clear()
        for size in (None, *dims):
            shape.dim.add(size=-1 if size is None else size)


def _infos(graph: Any, score: str) -> dict[str, Info]:
    """Return dtype and shape of each node's outputs, up to the last that is read."""
    last = {node.name: 0 for node in graph.node}
    reads = [name for node in graph.node for name in node.input if not name.startswith("^")]
    for name, _, place in (tensor_name(one).rpartition(":") for one in [*reads, score]):
        last[name] = max(last.get(name, 0), int(place))
    names = [f"{name}:{place}" for name, most in last.items() for place in range(most + 1)]
    found = graph_tensor_info(graph.SerializeToString(), names)
    return {name: info for name, info in found.items() if info is not None}


def _fed(walk: _Walk, one: SplitInput) -> tuple[str, ...]:
    """Give an input its form, and return the tensors that the sides feed."""
    b, name = walk.b, tensor_name(one.tensor)
    if len(one.parts) == 1:
        part = one.parts[0]
        walk.values[name] = Side(part.side, name, one.dtype, part.dims)
        b.anchors.setdefault(part.side, (name, one.dtype))
        return (name,)
    tensors, parts = [], []
    for place, part in enumerate(one.parts):
        own = f"tf2spark/{node_name(one.tensor)}_{place}"
        tensors.append(b.placeholder(own, one.dtype, (None, *part.dims)))
        parts.append(Side(part.side, tensors[-1], one.dtype, part.dims))
        b.anchors.setdefault(part.side, (tensors[-1], one.dtype))
    widths = [part.dims[0] for part in one.parts]
    whole = None if None in widths else sum(width or 0 for width in widths)
    dims = (whole, *one.parts[0].dims[1:])
    walk.values[name] = Concat(1, tuple(parts), one.dtype, dims)
    return tuple(tensors)


@define
class _Walk:
    """The graph from the inputs down to the scores, a form a tensor.

    `obstacles` says what could not be taken apart. The walk goes on behind it: whether rows are
    treated apart is told by all of the graph.
    """

    b: Builder
    nodes: Mapping[str, Any]
    infos: Mapping[str, Info]
    load: Callable[[str], Array]
    values: dict[str, Value] = Factory(dict)
    obstacles: list[str] = Factory(list)

    def value(self, name: str) -> Value:
        """Return the form of a tensor, and of all above it."""
        todo = [name]
        while todo:
            top = todo[-1]
            if top in self.values:
                todo.pop()
                continue
            node = self.nodes[node_name(top)]
            above = [tensor_name(one) for one in node.input if not one.startswith("^")]
            missing = [one for one in above if one not in self.values]
            if missing:
                todo += missing
                continue
            self._compute(node, [self.values[one] for one in above])
            todo.pop()
        return self.values[name]

    def _compute(self, node: Any, inputs: Sequence[Value]) -> None:
        if all(isinstance(one, Const) for one in inputs) and node.op not in _RANDOM:
            if any(one.tensor.startswith(PREFIX) for one in inputs):  # type: ignore[union-attr]
                self._folded(node, inputs)
            else:
                self._constant(node)
            return
        try:
            outputs = self._outputs(node, inputs)
        except NotRowWise as reason:
            raise NotRowWise(f'{node.op} "{node.name}": {reason}') from None
        except NotSplit as reason:
            self.obstacles.append(f'{node.op} "{node.name}": {reason}')
            outputs = self._as_it_is(node)
        if len(outputs) < len(self._known_of(node)):
            raise NotRowWise(f'{node.op} "{node.name}": nothing is known of its other results')
        for place, value in enumerate(outputs):
            if isinstance(value, Sizes) and is_static(value):
                value = self.b.constant(value.values.tolist(), value.dtype)
            self.values[f"{node.name}:{place}"] = value

    def _outputs(self, node: Any, inputs: Sequence[Value]) -> Sequence[Value]:
        if node.op in SIZE_OPS and all(isinstance(one, Sizes | Const) for one in inputs):
            return [computed(node, inputs, self.infos[f"{node.name}:0"][0])]
        if node.op in _RANDOM:
            return [drawn(node)]
        if any(isinstance(one, Between) for one in inputs):
            return [decided(self.b, node, inputs)]
        rule = RULES.get(node.op)
        if rule is None:
            raise NotRowWise("this op isn't known to treat rows apart")
        for place, value in enumerate(inputs):
            if isinstance(value, Sizes) and place not in _TAKES_SIZES.get(node.op, ()):
                raise NotRowWise("the number of rows goes into it")
        if any(isinstance(one, Beside) for one in inputs) and node.op not in TAKES_BESIDE:
            raise NotRowWise("it takes rows for columns")
        call = Call(self.b, node, tuple(inputs), tuple(self._known_of(node)))
        merged = any(isinstance(one, Merged) for one in inputs)
        if merged and rule is not elementwise and node.op not in TAKES_MERGED:
            return on_merged(call, rule)
        found = rule(call)
        return found if isinstance(found, list) else [found]  # type: ignore[list-item]

    def _known_of(self, node: Any) -> list[Info]:
        infos: list[Info] = []
        while (info := self.infos.get(f"{node.name}:{len(infos)}")) is not None:
            infos.append(info)
        return infos

    def _as_it_is(self, node: Any) -> Sequence[Value]:
        """Return a node's results as values of the pairs, which are never computed."""
        found = []
        for place, (dtype, shape) in enumerate(self._known_of(node)):
            if not shape:
                raise NotRowWise(f'{node.op} "{node.name}": the rank of its result isn\'t known')
            found.append(Pair(f"{node.name}:{place}", dtype, shape[1:]))
        return found

    def _folded(self, node: Any, inputs: Sequence[Value]) -> None:
        """Compute what only our knowledge of shapes makes constant."""
        names = [f"{node.name}:{place}" for place in range(len(self._known_of(node)))]
        constants = [one for one in inputs if isinstance(one, Const)]
        for name, tensor in zip(names, folded(node, constants, len(names)), strict=True):
            self.values[name] = self.b.constant(as_array(tensor), tensor.dtype)

    def _constant(self, node: Any) -> None:
        if node.op in ("Placeholder", "PlaceholderV2") and f"{node.name}:0" not in self.values:
            value = self.load(f"{node.name}:0")
            self.values[f"{node.name}:0"] = Const(
                f"{node.name}:0", self.infos[f"{node.name}:0"][0], value.shape, lambda: value
            )
            return
        place = 0
        while (info := self.infos.get(name := f"{node.name}:{place}")) is not None:
            dtype, shape = info
            self.values[name] = self._loaded(name, dtype, shape)
            place += 1

    def _loaded(self, name: str, dtype: DType, shape: Dims | None) -> Const:
        def load() -> Array:
            return self.load(name)

        if dtype.numpy is not None and (shape is None or None in shape):
            shape = load().shape
        return Const(name, dtype, shape or (), load)


# Where the number of rows may go into an op that isn't shape arithmetic itself.
_TAKES_SIZES: Mapping[str, Sequence[int]] = {
    "BroadcastTo": (1,),
    "Fill": (0,),
    "IdentityN": range(1 << 10),
    "Reshape": (1,),
    "Slice": (2,),
    "StridedSlice": (1, 2, 3),
    "Tile": (1,),
}
_DRAWING = """
Multinomial RandomGamma RandomPoissonV2 RandomShuffle RandomStandardNormal RandomUniform
RandomUniformInt StatelessMultinomial StatelessRandomNormal StatelessRandomNormalV2
StatelessRandomUniform StatelessRandomUniformInt StatelessRandomUniformV2 StatelessTruncatedNormal
TruncatedNormal
"""
_RANDOM = frozenset(_DRAWING.split())


def _one_a_pair(b: Builder, value: Value, column: int | None) -> Value:
    if isinstance(value, Const | Sizes):
        raise NotSplit("the score depends on neither users nor items")
    dims = dims_of(value)
    if column is not None:
        value = taken(b, value, 1, column, 1)
        dims = dims_of(value)
    if any(size != 1 for size in dims):
        raise NotSplit(f"the score isn't one number a row but {dims}")
    return reshaped(b, value, ())


def score_dtype(dtype: DType) -> DType:
    """Return the dtype of scores: float32 where the model computes in that or less."""
    return FLOAT32 if dtype.name in ("float32", "half", "bfloat16") else FLOAT64


def _scores(b: Builder, value: Value) -> tuple[str, DType]:
    """Return the scores as a tensor [users, items] of float32 or float64."""
    pair = flat(b, value)
    shape = b.node("Pack", [f"{USERS}:0", f"{ITEMS}:0"], T=INT32, N=2, axis=0)
    tensor = b.reshaped(pair.tensor, shape, pair.dtype)
    dtype = score_dtype(pair.dtype)
    if pair.dtype is not dtype:
        tensor = b.node("Cast", [tensor], SrcT=pair.dtype, DstT=dtype, Truncate=False)
    return tensor, dtype
