"""Graphs of a few ops, taken apart and run by sides and pairs, and run whole by TensorFlow.

A graph is a function over placeholders, each fed by users, by items, or by parts of both side by
side. It is built in graph mode, without tracing, so that hundreds of them take seconds.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from attrs import Factory, frozen
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig

from tf2spark.dtypes import INT32, STRING, from_code
from tf2spark.graph_split.control_edges import remove_control_edges
from tf2spark.graph_split.forms import Array
from tf2spark.graph_split.splitter import SidePart, SplitGraph, SplitInput, split_graph
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.upstream import node_name
from tf2spark.tensorflow_c.session import CApiSession, open_session
from tf2spark.tensorflow_c.strings import views
from tf2spark.tensorflow_c.tensor import Tensor

SideName = Literal["user", "item"]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
tf1 = tf.compat.v1
_TAG, _INIT = "serve", "__saved_model_init_op"
_MOVES = ["Const", "Placeholder", "Reshape", "ExpandDims", "Pack", "BroadcastTo", "Identity"]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.uniform(0.2, 0.9, shape).astype(np.float32)


def numbers(below: int, dtype: Any = np.int64) -> Draw:
    return lambda rng, shape: rng.integers(0, below, shape).astype(dtype)


def booleans(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.integers(0, 2, shape).astype(bool)


def words(*among: str) -> Draw:
    return lambda rng, shape: np.array(among, object)[rng.integers(0, len(among), shape)]


@frozen
class Fed:
    """An input: the parts that feed it (a side and the dimensions of a row), and their values.

    `known` says whether the graph has the sizes of a row, `sized` whether `split` is told them.
    """

    parts: tuple[tuple[SideName, tuple[int, ...]], ...]
    draw: Draw = normal
    dtype: Any = tf.float32
    known: bool = True
    sized: bool = True

    @property
    def dims(self) -> tuple[int | None, ...]:
        first = self.parts[0][1]
        if not first:
            return ()
        whole = first[0] if len(self.parts) == 1 else sum(dims[0] for _, dims in self.parts)
        return (whole, *first[1:]) if self.known else (None,) * len(first)

    def told(self, dims: tuple[int, ...]) -> tuple[int | None, ...]:
        return dims if self.sized else (None,) * len(dims)


def user(*dims: int, **kwargs: Any) -> Fed:
    """An input that users feed, rows of these dimensions."""
    return Fed((("user", dims),), **kwargs)


def item(*dims: int, **kwargs: Any) -> Fed:
    """An input that items feed, rows of these dimensions."""
    return Fed((("item", dims),), **kwargs)


def both(parts: str, *rest: int, **kwargs: Any) -> Fed:
    """An input that both feed side by side: ``"u2 i3"`` is two of a user, then three of an item."""
    names: dict[str, SideName] = {"u": "user", "i": "item"}
    made = tuple((names[one[0]], (int(one[1:]), *rest)) for one in parts.split())
    return Fed(made, **kwargs)


@frozen(eq=False)
class Scored:
    """Scores [users, items] of a graph that was taken apart, and of the whole one."""

    got: Array
    want: Array
    split: SplitGraph

    @property
    def pair_ops(self) -> dict[str, int]:
        """How often each op runs for the pairs, what only lays values out left aside."""
        found = Counter(node.op for node in self._pair_nodes())
        return {op: times for op, times in sorted(found.items()) if op not in _MOVES}

    @property
    def pair_layers(self) -> list[tuple[int, ...]]:
        """The shapes of the constant matrices that values of pairs are multiplied by."""
        nodes = {node.name: node for node in self.split.graph.node}
        found = []
        for node in self._pair_nodes():
            if node.op in ("MatMul", "BatchMatMulV2") and not node.attr["transpose_b"].b:
                matrix = nodes[node_name(node.input[1])]
                found.append(tuple(tf.make_ndarray(matrix.attr["value"].tensor).shape))
        return sorted(found)

    def _pair_nodes(self) -> Iterator[Any]:
        nodes = {node.name: node for node in self.split.graph.node}
        todo = [node_name(self.split.score)]
        seen = {node_name(name) for _, name in (*self.split.users, *self.split.items)}
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += map(node_name, nodes[name].input)
                yield nodes[name]

    @property
    def crossing(self) -> tuple[list[tuple[int | None, ...]], list[tuple[int | None, ...]]]:
        """Dimensions of what a user's row hands over to the pairs, and of what an item's does."""
        ours, theirs = self.split.users, self.split.items
        return [one.dims for one, _ in ours], [one.dims for one, _ in theirs]

    def check(self, tolerance: float = 1e-5) -> Scored:
        """Assert that the scores are the same, not-a-numbers included."""
        np.testing.assert_allclose(self.got, self.want, rtol=tolerance, atol=tolerance)
        return self


@frozen(eq=False, slots=False)
class Whole:
    """A graph as it was built: its inputs by placeholder, its score, and TensorFlow's session."""

    graph: Any
    inputs: Sequence[Fed]
    placeholders: list[Any]
    score: Any
    session: Any
    constants: Mapping[str, Any] = Factory(dict)

    def value(self, name: str) -> Array:
        """Return a tensor that depends on no input."""
        node = self.graph_nodes[node_name(name)]
        if node.op == "Const":
            return np.asarray(tf.make_ndarray(node.attr["value"].tensor))
        return np.asarray(self.session.run(name, {f"{k}:0": v for k, v in self.constants.items()}))

    @cached_property
    def graph_nodes(self) -> dict[str, Any]:
        return {node.name: node for node in self.graph.node}


def scored(
    build: Callable[..., Any],
    *inputs: Fed,
    users: int = 4,
    items: int = 5,
    column: int | None = None,
    constants: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Scored:
    """Take a graph apart, run it, and run the whole graph on all pairs.

    Args:
        build: Gets a placeholder an input, returns the tensor of scores.
        inputs: What feeds each of them.
        users: How many users.
        items: How many items.
        column: Which entry of a row is the score; None where there is one.
        constants: Values of other placeholders that `build` makes, by name.
        seed: Of the values that are fed.

    Raises:
        NotRowWise: As `split` does.
        NotSplit: As `split` does.
    """
    rng, counts = np.random.default_rng(seed), {"user": users, "item": items}
    graph = tf.Graph()
    with graph.as_default(), tf1.Session(graph=graph, config=_plain()) as session:
        placeholders = [tf1.placeholder(one.dtype, [None, *one.dims]) for one in inputs]
        score = build(*placeholders)
        init = tf1.tables_initializer()
        session.run(init)
        made = graph.as_graph_def()
        whole = Whole(made, inputs, placeholders, score, session, constants or {})
        values = [[one.draw(rng, (counts[s], *dims)) for s, dims in one.parts] for one in inputs]
        taken = _taken_apart(whole, column, init.name)
        want = _by_whole(whole, values, counts, column)
    with tempfile.TemporaryDirectory(prefix="tf2spark-graph-") as folder:
        got = _by_parts(taken, whole, values, counts, init.name, Path(folder))
    return Scored(got, want, taken)


def _plain() -> Any:
    """Options of a session that runs a graph as it is: nothing is optimised."""
    rewriting = RewriterConfig(disable_meta_optimizer=True)
    options = tf1.GraphOptions(
        rewrite_options=rewriting,
        optimizer_options=tf1.OptimizerOptions(opt_level=tf1.OptimizerOptions.L0),
    )
    return tf1.ConfigProto(
        graph_options=options, intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )


def _taken_apart(whole: Whole, column: int | None, init: str) -> SplitGraph:
    graph = SavedModel().meta_graphs.add().graph_def
    graph.ParseFromString(whole.graph.SerializeToString())
    score = whole.score.name
    remove_control_edges(graph, score, [init])
    inputs = [
        SplitInput(
            placeholder.name,
            from_code(placeholder.dtype.as_datatype_enum),
            tuple(SidePart(side, one.told(dims)) for side, dims in one.parts),
        )
        for one, placeholder in zip(whole.inputs, whole.placeholders, strict=True)
    ]
    return split_graph(graph, inputs, score, column, whole.value)


def _by_whole(
    whole: Whole, values: list[list[Array]], counts: dict[str, int], column: int | None
) -> Array:
    """Run the whole graph on every pair, users in the outer loop."""
    users, items = counts["user"], counts["item"]
    fed = {f"{name}:0": value for name, value in whole.constants.items()}
    for one, parts, placeholder in zip(whole.inputs, values, whole.placeholders, strict=True):
        rows = [
            np.repeat(value, items, 0) if side == "user" else np.concatenate([value] * users)
            for (side, _), value in zip(one.parts, parts, strict=True)
        ]
        fed[placeholder.name] = rows[0] if len(rows) == 1 else np.concatenate(rows, 1)
    found = np.asarray(whole.session.run(whole.score, fed))
    found = found if column is None else found[:, column]
    return found.reshape(users, items).astype(np.float64)


def _by_parts(
    taken: SplitGraph,
    whole: Whole,
    values: list[list[Array]],
    counts: dict[str, int],
    init: str,
    folder: Path,
) -> Array:
    message = SavedModel(saved_model_schema_version=1)
    meta_graph = message.meta_graphs.add()
    meta_graph.meta_info_def.tags.append(_TAG)
    meta_graph.graph_def.CopyFrom(taken.graph)
    meta_graph.signature_def[_INIT].outputs[_INIT].name = f"{init}:0"
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    session = open_session(str(folder), [_TAG], threads=1)
    try:
        for name, value in whole.constants.items():
            session.feed_always(f"{name}:0", _tensor(np.asarray(value)))
        return _run(session, taken, whole.inputs, values, counts)
    finally:
        session.close()


def _run(
    session: CApiSession,
    taken: SplitGraph,
    inputs: Sequence[Fed],
    values: list[list[Array]],
    counts: dict[str, int],
) -> Array:
    names = ["tf2spark/users:0", "tf2spark/items:0"]
    tensors = [_tensor(np.array(counts[side], np.int32)) for side in ("user", "item")]
    for side, crossing in (("user", taken.users), ("item", taken.items)):
        feeds = [
            (name, _tensor(value))
            for one, fed, own in zip(inputs, taken.feeds, values, strict=True)
            for (whose, _), name, value in zip(one.parts, fed, own, strict=True)
            if whose == side
        ]
        run = session.prepare([name for name, _ in feeds], [one.tensor for one, _ in crossing])
        tensors += run([tensor for _, tensor in feeds])  # type: ignore[arg-type]
        names += [name for _, name in crossing]
    (found,) = session.prepare(names, [taken.score])(tensors)
    assert isinstance(found, Tensor)
    assert found.dtype is taken.score_dtype
    return found.data.reshape(counts["user"], counts["item"]).astype(np.float64)


def _tensor(value: Array) -> Tensor:
    if value.dtype != object:
        code = tf.as_dtype(value.dtype).as_datatype_enum
        dtype = INT32 if value.dtype == np.int32 else from_code(code)
        return Tensor(dtype, value.shape, np.ascontiguousarray(value))
    texts = [one.encode() for one in value.reshape(-1)]
    data = np.frombuffer(b"".join(texts) or b"\0", np.uint8)
    offsets = np.cumsum([0, *map(len, texts)])
    return Tensor(STRING, value.shape, views(offsets, data.ctypes.data), data)


def weighted(*outputs: Any, seed: int = 1) -> Any:
    """Return one number a row that tells every value of these tensors apart: a weighted sum."""
    rng, total = np.random.default_rng(seed), None
    for one in outputs:
        dims = one.shape.as_list()[1:]
        weight = rng.uniform(0.5, 1.5, dims) * rng.choice([-1, 1], dims)
        number = tf.cast(one, tf.float64) if one.dtype is not tf.float32 else one
        product = number * tf.constant(weight, number.dtype)
        score = tf.cast(tf.reduce_sum(product, list(range(1, len(dims) + 1))), tf.float64)
        total = score if total is None else total + score
    return total


def each_value(*outputs: Any, seed: int = 1) -> Any:
    """The same of tensors that are computed for the pairs first: no form survives a reverse."""
    turned = [tf.reverse(one, [len(one.shape) - 1]) if len(one.shape) > 1 else one
              for one in outputs]  # fmt: skip
    return weighted(*turned, seed=seed)
