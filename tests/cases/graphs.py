"""Graphs of a few ops: split and run by users, items and pairs, and run whole by TensorFlow.

A graph is a function of placeholders, each fed by users, by items, or by parts of both side by
side. It is built in graph mode, without tracing, so hundreds of graphs take seconds.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import Factory, frozen
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import INT32, STRING, Dims, from_code
from tf2spark.graph_split.control_edges import remove_control_edges
from tf2spark.graph_split.forms import SideName
from tf2spark.graph_split.one_side import RowDims, nothing_is_run
from tf2spark.graph_split.splitter import SidePart, SplitGraph, SplitInput, split_graph
from tf2spark.saved_model.graph.upstream import node_name, upstream
from tf2spark.saved_model.protos import NodeMessage, SavedModel
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.strings import views
from tf2spark.tensorflow_c.tensor import Tensor

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
tf1 = tf.compat.v1
_TAG, _INIT = "serve", "__saved_model_init_op"
_LAYOUT_OPS = ["Const", "Placeholder", "Reshape", "ExpandDims", "Pack", "BroadcastTo", "Identity"]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.uniform(0.2, 0.9, shape).astype(np.float32)


def numbers(below: int, dtype: Any = np.int64) -> Draw:
    return lambda rng, shape: rng.integers(0, below, shape).astype(dtype)


def booleans(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.integers(0, 2, shape).astype(bool)


def words(*vocabulary: str) -> Draw:
    return lambda rng, shape: np.array(vocabulary, object)[rng.integers(0, len(vocabulary), shape)]


@frozen
class GraphInput:
    """An input: the parts that feed it (a side and the dimensions of a row each), and its values.

    Attributes:
        parts: Each part's side and dimensions, side by side along the first axis of a row.
        draw: Draws the values of a part.
        dtype: TensorFlow's dtype.
        in_graph: Whether the placeholder has the sizes of a row.
        in_tables: Whether the splitter gets the sizes of a row.
    """

    parts: tuple[tuple[SideName, tuple[int, ...]], ...]
    draw: Draw = normal
    dtype: Any = tf.float32
    in_graph: bool = True
    in_tables: bool = True

    @property
    def placeholder_dims(self) -> Dims:
        first = self.parts[0][1]
        if not first:
            return ()
        width = first[0] if len(self.parts) == 1 else sum(dims[0] for _, dims in self.parts)
        return (width, *first[1:]) if self.in_graph else (None,) * len(first)

    @property
    def side_parts(self) -> tuple[SidePart, ...]:
        return tuple(
            SidePart(side, dims if self.in_tables else (None,) * len(dims))
            for side, dims in self.parts
        )


def user(*dims: int, **kwargs: Any) -> GraphInput:
    """An input that users feed, with rows of these dimensions."""
    return GraphInput((("user", dims),), **kwargs)


def item(*dims: int, **kwargs: Any) -> GraphInput:
    """An input that items feed, with rows of these dimensions."""
    return GraphInput((("item", dims),), **kwargs)


def both(parts: str, *rest: int, **kwargs: Any) -> GraphInput:
    """An input that both feed: ``"u2 i3"`` is two columns of a user, then three of an item."""
    sides: dict[str, SideName] = {"u": "user", "i": "item"}
    split = tuple((sides[part[0]], (int(part[1:]), *rest)) for part in parts.split())
    return GraphInput(split, **kwargs)


@frozen(eq=False)
class SplitAndWhole:
    """Scores [users, items] of a split graph, and of the whole graph."""

    split_scores: Array
    whole_scores: Array
    split: SplitGraph

    @property
    def pair_ops(self) -> dict[str, int]:
        """How often each op runs in the pair graph; ops that only lay values out don't count."""
        counts = Counter(node.op for node in self._pair_nodes())
        return {op: count for op, count in sorted(counts.items()) if op not in _LAYOUT_OPS}

    @property
    def pair_layers(self) -> list[tuple[int, ...]]:
        """The shapes of the constant matrices that values of pairs are multiplied by."""
        nodes = {node.name: node for node in self.split.graph.node}
        shapes = []
        for node in self._pair_nodes():
            if node.op in ("MatMul", "BatchMatMulV2") and not node.attr["transpose_b"].b:
                matrix = nodes[node_name(node.input[1])]
                shapes.append(tuple(tf.make_ndarray(matrix.attr["value"].tensor).shape))
        return sorted(shapes)

    def _pair_nodes(self) -> list[NodeMessage]:
        nodes = {node.name: node for node in self.split.graph.node}
        frontier = {placeholder for _, placeholder in (*self.split.users, *self.split.items)}
        return list(upstream(nodes, [self.split.score], fed=frontier).values())

    @property
    def crossing(self) -> tuple[list[Dims], list[Dims]]:
        """Dimensions of the values that cross to the pairs: a user's row's, and an item's."""
        users, items = self.split.users, self.split.items
        return [value.dims for value, _ in users], [value.dims for value, _ in items]

    def check(self, tolerance: float = 1e-5) -> SplitAndWhole:
        """Assert that the scores are the same, NaNs included."""
        np.testing.assert_allclose(
            self.split_scores, self.whole_scores, rtol=tolerance, atol=tolerance
        )
        return self


@frozen(eq=False, slots=False)
class BuiltGraph:
    """A graph as it was built: its inputs by placeholder, its score, and TensorFlow's session."""

    graph: Any
    inputs: Sequence[GraphInput]
    placeholders: list[Any]
    score: Any
    session: Any
    constants: Mapping[str, Any] = Factory(dict)

    def load(self, name: str) -> Array:
        """Return the value of a tensor that depends on no input."""
        node = self._nodes[node_name(name)]
        if node.op == "Const":
            return np.asarray(tf.make_ndarray(node.attr["value"].tensor))
        feeds = {f"{name}:0": value for name, value in self.constants.items()}
        return np.asarray(self.session.run(name, feeds))

    @cached_property
    def _nodes(self) -> dict[str, NodeMessage]:
        return {node.name: node for node in self.graph.node}


def scored(
    build: Callable[..., Any],
    *inputs: GraphInput,
    users: int = 4,
    items: int = 5,
    column: int | None = None,
    constants: Mapping[str, Any] | None = None,
    seed: int = 0,
    row_dims: RowDims = nothing_is_run,
) -> SplitAndWhole:
    """Split a graph and run it, and run the whole graph on all pairs.

    Args:
        build: Takes a placeholder per input, returns the tensor of scores.
        inputs: What feeds each of them.
        users: The number of users.
        items: The number of items.
        column: Which entry of a row is the score; None where there is one.
        constants: Values of other placeholders that `build` creates, by name.
        seed: Seed of the values that are fed.
        row_dims: What is known of rows that no rule describes.

    Raises:
        NotRowWise: As `split_graph` does.
        NotSplit: As `split_graph` does.
    """
    rng, counts = np.random.default_rng(seed), {"user": users, "item": items}
    graph = tf.Graph()
    with graph.as_default(), tf1.Session(graph=graph, config=_unoptimized()) as session:
        placeholders = [tf1.placeholder(fed.dtype, [None, *fed.placeholder_dims]) for fed in inputs]
        score = build(*placeholders)
        init = tf1.tables_initializer()
        session.run(init)
        whole = BuiltGraph(
            graph.as_graph_def(), inputs, placeholders, score, session, constants or {}
        )
        values = [
            [fed.draw(rng, (counts[side], *dims)) for side, dims in fed.parts] for fed in inputs
        ]
        split = _split(whole, column, init.name, row_dims)
        whole_scores = _run_whole(whole, values, counts, column)
    with tempfile.TemporaryDirectory(prefix="tf2spark-graph-") as folder:
        split_scores = _run_split(split, whole, values, counts, init.name, Path(folder))
    return SplitAndWhole(split_scores, whole_scores, split)


def _unoptimized() -> Any:
    """Options of a session that runs a graph as it is."""
    options = tf1.GraphOptions(
        rewrite_options=RewriterConfig(disable_meta_optimizer=True),
        optimizer_options=tf1.OptimizerOptions(opt_level=tf1.OptimizerOptions.L0),
    )
    return tf1.ConfigProto(
        graph_options=options, intra_op_parallelism_threads=1, inter_op_parallelism_threads=1
    )


def _split(whole: BuiltGraph, column: int | None, init: str, row_dims: RowDims) -> SplitGraph:
    graph = SavedModel().meta_graphs.add().graph_def
    graph.ParseFromString(whole.graph.SerializeToString())
    remove_control_edges(graph, whole.score.name, [init])
    inputs = [
        SplitInput(placeholder.name, from_code(placeholder.dtype.as_datatype_enum), fed.side_parts)
        for fed, placeholder in zip(whole.inputs, whole.placeholders, strict=True)
    ]
    return split_graph(graph, inputs, whole.score.name, column, whole.load, row_dims)


def _run_whole(
    whole: BuiltGraph, values: list[list[Array]], counts: dict[str, int], column: int | None
) -> Array:
    """Run the whole graph on every pair, users in the outer loop."""
    users, items = counts["user"], counts["item"]
    feeds = {f"{name}:0": value for name, value in whole.constants.items()}
    for fed, part_values, placeholder in zip(whole.inputs, values, whole.placeholders, strict=True):
        rows = [
            np.repeat(value, items, 0) if side == "user" else np.concatenate([value] * users)
            for (side, _), value in zip(fed.parts, part_values, strict=True)
        ]
        feeds[placeholder.name] = rows[0] if len(rows) == 1 else np.concatenate(rows, 1)
    scores = np.asarray(whole.session.run(whole.score, feeds))
    scores = scores if column is None else scores[:, column]
    return scores.reshape(users, items).astype(np.float64)


def _run_split(
    split: SplitGraph,
    whole: BuiltGraph,
    values: list[list[Array]],
    counts: dict[str, int],
    init: str,
    folder: Path,
) -> Array:
    message = SavedModel(saved_model_schema_version=1)
    meta_graph = message.meta_graphs.add()
    meta_graph.meta_info_def.tags.append(_TAG)
    meta_graph.graph_def.CopyFrom(split.graph)
    meta_graph.signature_def[_INIT].outputs[_INIT].name = f"{init}:0"
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    session = open_session(str(folder), [_TAG], threads=1)
    try:
        for name, value in whole.constants.items():
            session.feed_always(f"{name}:0", _tensor(np.asarray(value)))
        return _run_sides_and_pairs(session, split, whole.inputs, values, counts)
    finally:
        session.close()


def _run_sides_and_pairs(
    session: CApiSession,
    split: SplitGraph,
    inputs: Sequence[GraphInput],
    values: list[list[Array]],
    counts: dict[str, int],
) -> Array:
    names = ["tf2spark/users:0", "tf2spark/items:0"]
    tensors = [_tensor(np.array(counts[side], np.int32)) for side in ("user", "item")]
    for side, crossing in (("user", split.users), ("item", split.items)):
        feeds = [
            (name, _tensor(value))
            for fed, part_names, part_values in zip(inputs, split.feeds, values, strict=True)
            for (part_side, _), (name,), value in zip(
                fed.parts, part_names, part_values, strict=True
            )
            if part_side == side
        ]
        run = session.prepare([name for name, _ in feeds], [value.tensor for value, _ in crossing])
        tensors += run([tensor for _, tensor in feeds])  # type: ignore[arg-type]
        names += [placeholder for _, placeholder in crossing]
    (scores,) = session.prepare(names, [split.score])(tensors)
    assert isinstance(scores, Tensor)
    assert scores.dtype is split.score_dtype
    return scores.data.reshape(counts["user"], counts["item"]).astype(np.float64)


def _tensor(value: Array) -> Tensor:
    if value.dtype != object:
        code = tf.as_dtype(value.dtype).as_datatype_enum
        dtype = INT32 if value.dtype == np.int32 else from_code(code)
        return Tensor(dtype, value.shape, np.ascontiguousarray(value))
    texts = [text.encode() for text in value.reshape(-1)]
    data = np.frombuffer(b"".join(texts) or b"\0", np.uint8)
    offsets = np.cumsum([0, *map(len, texts)])
    return Tensor(STRING, value.shape, views(offsets, data.ctypes.data), data)


def weighted_sum(*outputs: Any, seed: int = 1) -> Any:
    """Return one number per row to which every value of these tensors adds a weight of its own."""
    rng, total = np.random.default_rng(seed), None
    for output in outputs:
        dims = output.shape.as_list()[1:]
        weight = rng.uniform(0.5, 1.5, dims) * rng.choice([-1, 1], dims)
        values = output if output.dtype is tf.float32 else tf.cast(output, tf.float64)
        product = values * tf.constant(weight, values.dtype)
        score = tf.cast(tf.reduce_sum(product, list(range(1, len(dims) + 1))), tf.float64)
        total = score if total is None else total + score
    return total


def weighted_pairs(*outputs: Any, seed: int = 1) -> Any:
    """Return the `weighted_sum` of tensors for pairs: no other form survives a reverse."""
    reversed_outputs = [
        tf.reverse(output, [len(output.shape) - 1]) if len(output.shape) > 1 else output
        for output in outputs
    ]
    return weighted_sum(*reversed_outputs, seed=seed)
