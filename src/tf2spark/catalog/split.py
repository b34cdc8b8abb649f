"""A frozen graph taken apart: what is computed a user, what an item, and what is left for pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, frozen

from tf2spark.catalog.calls import Call
from tf2spark.catalog.compute import flat
from tf2spark.catalog.dropout import decided, drawn
from tf2spark.catalog.emit import ITEMS, PREFIX, USERS, Builder
from tf2spark.catalog.folding import as_array, folded
from tf2spark.catalog.forms import (
    Array,
    Between,
    Concat,
    Const,
    Dims,
    NotRowWise,
    NotSplit,
    Side,
    SideName,
    Sizes,
    Value,
    dims_of,
)
from tf2spark.catalog.moves import reshaped, taken
from tf2spark.catalog.rules import RULES
from tf2spark.catalog.sizes import OPS as SIZE_OPS
from tf2spark.catalog.sizes import computed, is_static
from tf2spark.dtypes import FLOAT32, FLOAT64, INT32, DType
from tf2spark.reachability import node_name, tensor_name
from tf2spark.runtime.graph import graph_tensor_info

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
    infos = _infos(graph)
    b = Builder(graph)
    walk = _Walk(b, {node.name: node for node in graph.node}, infos, load)
    feeds = tuple(_fed(walk, one) for one in inputs)
    value = _one_a_pair(b, walk.value(tensor_name(score)), column)
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


def _infos(graph: Any) -> dict[str, Info]:
    """Return dtype and shape of every tensor that a node reads, and of each first output."""
    names = {f"{node.name}:0" for node in graph.node}
    for node in graph.node:
        names |= {tensor_name(name) for name in node.input if not name.startswith("^")}
    found = graph_tensor_info(graph.SerializeToString(), sorted(names))
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
    """The graph from the inputs down to the scores, a form a tensor."""

    b: Builder
    nodes: Mapping[str, Any]
    infos: Mapping[str, Info]
    load: Callable[[str], Array]
    values: dict[str, Value] = Factory(dict)

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
        except (NotRowWise, NotSplit) as reason:
            if str(reason).startswith(node.op + " "):
                raise
            raise type(reason)(f'{node.op} "{node.name}": {reason}') from None
        for place, value in enumerate(outputs):
            if isinstance(value, Sizes) and is_static(value):
                value = self.b.constant(value.values.tolist(), value.dtype)
            self.values[f"{node.name}:{place}"] = value

    def _outputs(self, node: Any, inputs: Sequence[Value]) -> Sequence[Value]:
        if node.op in SIZE_OPS and all(isinstance(one, Sizes | Const) for one in inputs):
            return [computed(node, inputs)]
        if node.op in _RANDOM:
            return [drawn(node)]
        if any(isinstance(one, Between) for one in inputs):
            return [decided(self.b, node, inputs)]
        rule = RULES.get(node.op)
        if rule is None:
            raise NotRowWise("this op isn't known to treat rows apart")
        infos: list[Info] = []
        while (info := self.infos.get(f"{node.name}:{len(infos)}")) is not None:
            infos.append(info)
        found = rule(Call(self.b, node, tuple(inputs), tuple(infos)))
        return found if isinstance(found, list) else [found]  # type: ignore[list-item]

    def _folded(self, node: Any, inputs: Sequence[Value]) -> None:
        """Compute what only our knowledge of shapes makes constant."""
        names: list[str] = []
        while f"{node.name}:{len(names)}" in self.infos:
            names.append(f"{node.name}:{len(names)}")
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


def _scores(b: Builder, value: Value) -> tuple[str, DType]:
    """Return the scores as a tensor [users, items] of float32 or float64."""
    pair = flat(b, value)
    shape = b.node("Pack", [f"{USERS}:0", f"{ITEMS}:0"], T=INT32, N=2, axis=0)
    tensor = b.reshaped(pair.tensor, shape, pair.dtype)
    dtype = FLOAT32 if pair.dtype.name in ("float32", "half", "bfloat16") else FLOAT64
    if pair.dtype is not dtype:
        tensor = b.node("Cast", [tensor], SrcT=pair.dtype, DstT=dtype, Truncate=False)
    return tensor, dtype
