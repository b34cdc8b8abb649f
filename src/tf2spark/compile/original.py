"""The original model, loaded by TensorFlow: its graph, and the values of its variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import frozen

from tf2spark.errors import ModelError, first_line

tf1 = tf.compat.v1
_HANDLE = "VarHandleOp"


class NotCompilable(Exception):
    """The model can't be compiled; the message says why. It runs as it is."""


@frozen
class Original:
    """A model as TensorFlow restored it.

    Attributes:
        meta_graph: TensorFlow's MetaGraphDef.
        session: The session that holds its variables and tables.
    """

    meta_graph: Any
    session: Any

    def run(self, fetches: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        """Fetch tensors by name, as arrays; strings come as objects (bytes)."""
        found = self.session.run(list(fetches), dict(feeds))
        return [_as_array(one) for one in found]


@contextmanager
def loaded(folder: Path, tags: tuple[str, ...], signature: str) -> Iterator[Original]:
    """Load a SavedModel as TF Serving does; what that leaves unfilled, the object loader fills.

    Raises:
        ModelError: TensorFlow can't load it.
    """
    graph = tf.Graph()
    # Not as a context: the object loader below needs eager execution.
    session = tf1.Session(graph=graph, config=tf1.ConfigProto(allow_soft_placement=True))
    try:
        original = Original(_load(session, folder, tags), session)
        if signature in original.meta_graph.signature_def and _unfilled(original):
            _assign(original, _values_of_objects(folder, tags, original.meta_graph, signature))
        yield original
    finally:
        session.close()


def _load(session: Any, folder: Path, tags: tuple[str, ...]) -> Any:
    try:
        with session.graph.as_default(), _not_deprecated():
            return tf1.saved_model.loader.load(session, list(tags), str(folder))
    except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
        raise ModelError(f'TensorFlow can\'t load "{folder}": {first_line(error)}') from error


@contextmanager
def _not_deprecated() -> Iterator[None]:
    """Hold back that the loader, the one that TF Serving's way of loading needs, is deprecated."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def variable_values(original: Original, nodes: Iterable[Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the values of variables, given by their nodes.

    Raises:
        ModelError: One has no value.
    """
    reads = {node.name: _read(original.session, node) for node in nodes}
    try:
        found = original.session.run(reads)
    except (tf.errors.FailedPreconditionError, tf.errors.NotFoundError) as error:
        raise ModelError(
            "a variable of the model has no value, neither from its restore op nor from "
            f"TensorFlow's object loader: {first_line(error)}. Export the model again with "
            "model.export(path)"
        ) from error
    return {name: _as_array(value) for name, value in found.items()}


def _as_array(value: Any) -> np.ndarray[Any, Any]:
    """Return what a session gave: a scalar comes as a Python or NumPy value, a string as bytes."""
    if isinstance(value, np.ndarray):
        return value
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def _read(session: Any, node: Any) -> Any:
    tensor = session.graph.get_tensor_by_name(f"{node.name}:0")
    if node.op != _HANDLE:
        return tensor
    with session.graph.as_default():
        return tf.raw_ops.ReadVariableOp(
            resource=tensor, dtype=tf.as_dtype(node.attr["dtype"].type)
        )


def _assign(original: Original, values: Mapping[str, np.ndarray[Any, Any]]) -> None:
    graph = original.session.graph
    with graph.as_default():
        for name, value in values.items():
            fed = tf1.placeholder(value.dtype, value.shape)
            assign = tf.raw_ops.AssignVariableOp(
                resource=graph.get_tensor_by_name(f"{name}:0"), value=fed
            )
            original.session.run(assign, {fed: value})


def _unfilled(original: Original) -> bool:
    session = original.session
    with session.graph.as_default():
        checks = [
            tf.raw_ops.VarIsInitializedOp(
                resource=session.graph.get_tensor_by_name(f"{node.name}:0")
            )
            for node in original.meta_graph.graph_def.node
            if node.op == _HANDLE
        ]
    return not all(session.run(checks)) if checks else False


def _values_of_objects(
    folder: Path, tags: tuple[str, ...], meta_graph: Any, signature: str
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the values of the variables that a signature's function captures.

    The graph calls that function with the arguments first and the captures behind them, in the
    order in which the loaded function has them (``saved_model/save.py``, ``_map_captures``).
    """
    loaded = tf.saved_model.load(str(folder), tags=list(tags))
    function = loaded.signatures[signature]
    captures = list(function.captured_inputs)
    outputs = meta_graph.signature_def[signature].outputs
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    calls = {info.name.partition(":")[0] for info in outputs.values()}
    values: dict[str, np.ndarray[Any, Any]] = {}
    for call in calls:
        inputs = [name for name in nodes[call].input if not name.startswith("^")]
        for name, capture in zip(inputs[len(inputs) - len(captures) :], captures, strict=True):
            node = nodes[name.partition(":")[0]]
            if node.op == _HANDLE:
                dtype = tf.as_dtype(node.attr["dtype"].type)
                values[node.name] = tf.raw_ops.ReadVariableOp(resource=capture, dtype=dtype).numpy()
    return values
