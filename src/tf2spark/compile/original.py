"""The original model as TensorFlow loads it: its graph, and the values of its variables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from attrs import frozen

from tf2spark.errors import ModelError, first_line
from tf2spark.saved_model.graph.loader_runs import initialization
from tf2spark.saved_model.graph.upstream import is_control
from tf2spark.saved_model.protos import MetaGraph, NodeMessage
from tf2spark.saved_model.safety.op_check import check_object_loader
from tf2spark.tensorflow_c.failure import TensorFlowFailure, model_fault, readable

tf1 = tf.compat.v1
_HANDLE = "VarHandleOp"
# Before the reason: where Python code made the node, which nobody knows of a model that was loaded.
_PREAMBLE = re.compile(
    r"Graph execution error:\s*"
    r"(?:Detected at node .*?\n(?:<stack traces unavailable>|Node: .*?)\n)?",
    re.DOTALL,
)


class NotCompilable(Exception):
    """The model can't be compiled, but runs unchanged; the message says why."""


@frozen
class Original:
    """A model as TensorFlow restored it.

    Attributes:
        meta_graph: Its MetaGraphDef.
        session: The session that holds its variables and tables.
    """

    meta_graph: MetaGraph
    session: Any

    def run(self, fetches: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        """Fetch tensors by name, as arrays; strings are object arrays of bytes."""
        return [_as_array(value) for value in self.session.run(list(fetches), dict(feeds))]


def reason(error: Exception) -> str:
    """Return what TensorFlow says of an error, without the stack of nodes."""
    if isinstance(error, tf.errors.OpError):
        return readable(_PREAMBLE.sub("", error.message, count=1))
    return first_line(error)


def fault_of(error: Exception) -> ModelError | None:
    """Return the error of a model that can't run with any values; None for any other error."""
    if not isinstance(error, tf.errors.OpError):
        return None
    return model_fault(TensorFlowFailure(error.error_code, reason(error)))


@contextmanager
def load_original(
    folder: Path,
    tags: tuple[str, ...],
    signature: str,
    *,
    name: str,
    custom_ops: Collection[str] = (),
) -> Iterator[Original]:
    """Load a SavedModel as TF Serving does; the object loader fills variables left uninitialized.

    `tf.saved_model.save` on a Keras 3 model writes a restore op that leaves variables unfilled;
    only TensorFlow's object loader restores these.

    Args:
        folder: The model's folder in the host's cache.
        tags: The tags of its MetaGraph.
        signature: The signature whose variables are needed.
        name: How messages name the model: the path that its user gave.
        custom_ops: Ops of the libraries that the user named.

    Raises:
        ModelError: TensorFlow can't load it.
    """
    graph = tf.Graph()
    # Not as a context: the object loader below needs eager execution.
    session = tf1.Session(graph=graph, config=tf1.ConfigProto(allow_soft_placement=True))
    try:
        original = Original(_load(session, folder, tags, name), session)
        _initialize(original, folder, name)
        if signature in original.meta_graph.signature_def and _has_unfilled_variables(original):
            check_object_loader(original.meta_graph, allow_ops=custom_ops)
            _assign(original, _captured_values(folder, tags, original.meta_graph, signature))
        yield original
    finally:
        session.close()


def _load(session: Any, folder: Path, tags: tuple[str, ...], name: str) -> MetaGraph:
    try:
        with session.graph.as_default(), _no_deprecation_warning():
            return tf1.saved_model.loader.load(session, list(tags), str(folder))
    except Exception as error:  # the loader trusts the model: a damaged one ends in any error
        raise _not_loaded(name, error) from error


def _initialize(original: Original, folder: Path, name: str) -> None:
    """Run what fills tables and local variables where no init op does."""
    needed = initialization(original.meta_graph)
    if not needed.ops:
        return
    graph = original.session.graph
    paths = {tensor: str(folder / "assets" / file) for tensor, file in needed.assets}
    try:
        original.session.run([graph.get_operation_by_name(name) for name in needed.ops], paths)
    except (tf.errors.OpError, KeyError, ValueError) as error:
        raise _not_loaded(name, error) from error


def _not_loaded(name: str, error: Exception) -> ModelError:
    why = f'TensorFlow can\'t load "{name}": {reason(error)}'
    if "RestoreV2" in why:
        return ModelError(f"{why}. The files under {name}/variables are damaged or incomplete")
    return ModelError(why)


@contextmanager
def _no_deprecation_warning() -> Iterator[None]:
    """Suppress the warning that this loader is deprecated: no other loads as TF Serving does."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def variable_values(
    original: Original, nodes: Iterable[NodeMessage]
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the values of the variables that these nodes make, by the node's name.

    Raises:
        ModelError: A variable has no value.
    """
    reads = {node.name: _read(original.session, node) for node in nodes}
    try:
        values = original.session.run(reads)
    except (tf.errors.FailedPreconditionError, tf.errors.NotFoundError) as error:
        raise ModelError(
            "neither the model's restore op nor TensorFlow's object loader gives a value to one of "
            f"its variables ({reason(error)})",
            "export the model again, with its variables initialized: in Keras model.export(path)",
        ) from error
    return {name: _as_array(value) for name, value in values.items()}


def _as_array(value: Any) -> np.ndarray[Any, Any]:
    """Return a fetched value as an array; sessions return scalars as Python or NumPy values."""
    if isinstance(value, np.ndarray):
        return value
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def _read(session: Any, node: NodeMessage) -> Any:
    tensor = session.graph.get_tensor_by_name(f"{node.name}:0")
    if node.op != _HANDLE:
        return tensor
    with session.graph.as_default():
        return tf.raw_ops.ReadVariableOp(
            resource=tensor, dtype=tf.as_dtype(node.attr["dtype"].type)
        )


def _assign(original: Original, values: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Give variables these values in one run: a graph that has grown is prepared again by a run."""
    graph = original.session.graph
    feeds: dict[Any, np.ndarray[Any, Any]] = {}
    with graph.as_default():
        assignments = []
        for name, value in values.items():
            # Fed, not a constant: a graph can't be larger than 2 GB.
            placeholder = tf1.placeholder(value.dtype, value.shape)
            feeds[placeholder] = value
            handle = graph.get_tensor_by_name(f"{name}:0")
            assignments.append(tf.raw_ops.AssignVariableOp(resource=handle, value=placeholder))
    original.session.run(assignments, feeds)


def _has_unfilled_variables(original: Original) -> bool:
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


def _captured_values(
    folder: Path, tags: tuple[str, ...], meta_graph: MetaGraph, signature: str
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the values of the variables that a signature's function captures, by node.

    The graph passes that function its arguments first and then its captures, in the order of the
    loaded function's captures (``saved_model/save.py``, ``_map_captures``).
    """
    function = tf.saved_model.load(str(folder), tags=list(tags)).signatures[signature]
    captures = list(function.captured_inputs)
    outputs = meta_graph.signature_def[signature].outputs
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    calls = {info.name.partition(":")[0] for info in outputs.values()}
    values: dict[str, np.ndarray[Any, Any]] = {}
    for call in calls:
        inputs = [name for name in nodes[call].input if not is_control(name)]
        for name, capture in zip(inputs[len(inputs) - len(captures) :], captures, strict=True):
            node = nodes[name.partition(":")[0]]
            if node.op == _HANDLE:
                dtype = tf.as_dtype(node.attr["dtype"].type)
                values[node.name] = tf.raw_ops.ReadVariableOp(resource=capture, dtype=dtype).numpy()
    return values
