"""Saving TF1 graphs and TF2 functions, in one line per model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

tf1 = tf.compat.v1


@contextmanager
def graph_session() -> Iterator[Any]:
    """Open an empty TF1 graph with a session; its weights are the same each time."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(1)
        yield session


@contextmanager
def control_flow(version: int) -> Iterator[None]:
    """Have `tf.cond` and loops write TF1's ops (1) or functions (2), then as before."""
    was_v2 = tf1.control_flow_v2_enabled()
    switch = {True: tf1.enable_control_flow_v2, False: tf1.disable_control_flow_v2}
    switch[version == 2]()
    try:
        yield
    finally:
        switch[was_v2]()


def save_graph(
    session: Any,
    path: Path,
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    *,
    signature: str = "serving_default",
    main_op: Any = None,
    tag_sets: Sequence[Sequence[str]] = (("serve",),),
) -> None:
    """Initialize the graph and save it as TF1 programs did; without inputs, without a signature."""
    session.run([tf1.global_variables_initializer(), tf1.tables_initializer()])
    signatures = {} if inputs is None else {signature: _signature(inputs, outputs or {})}
    builder = tf1.saved_model.Builder(str(path))
    first, *others = tag_sets
    builder.add_meta_graph_and_variables(
        session,
        list(first),
        signatures,
        assets_collection=tf1.get_collection(tf1.GraphKeys.ASSET_FILEPATHS),
        main_op=main_op,
    )
    for tags in others:
        builder.add_meta_graph(list(tags), signatures)
    builder.save()


def _signature(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    info = tf1.saved_model.build_tensor_info
    return tf1.saved_model.build_signature_def(
        {key: info(tensor) for key, tensor in inputs.items()},
        {key: info(tensor) for key, tensor in outputs.items()},
        tf1.saved_model.signature_constants.PREDICT_METHOD_NAME,
    )


def save_function(
    path: Path, function: Any, *specs: Any, keep: Mapping[str, Any] | None = None
) -> None:
    """Save a TF2 function as ``serving_default``; `keep` has the variables and tables it uses."""
    traced = tf.function(function, input_signature=list(specs))
    save_module(path, {"serving_default": traced}, keep)


def save_module(
    path: Path, signatures: Mapping[str, Any], keep: Mapping[str, Any] | None = None
) -> None:
    """Save several TF2 functions as the signatures of one module."""
    module = tf.Module()
    for name, value in {**(keep or {}), **signatures}.items():
        setattr(module, name, value)
    tf.saved_model.save(module, str(path), signatures=dict(signatures))


def weights(*shape: int, seed: int) -> Any:
    """Return a TF2 variable of random values."""
    return tf.Variable(tf.random.stateless_normal(shape, [seed, 7]))


def forget_output_shapes(path: Path) -> None:
    """Write into a model's signatures that the ranks of their outputs are unknown."""
    file = path / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for signature in message.meta_graphs[0].signature_def.values():
        for info in signature.outputs.values():
            info.tensor_shape.Clear()
            info.tensor_shape.unknown_rank = True
    file.write_bytes(message.SerializeToString())
