"""The function for Ray's workers, in its own module because Ray sends `__main__` by value."""

from __future__ import annotations

from functools import cache
from typing import Any


def predict(batch: Any, model: str) -> Any:
    """Score a batch with this process's model."""
    import pyarrow as pa
    import tensorflow as tf

    score = _load(model).signatures["serving_default"]
    features = batch.column("features").combine_chunks().flatten().to_numpy()
    scores = score(features=tf.constant(features.reshape(batch.num_rows, -1)))["output_0"]
    return pa.table({"id": batch.column("id"), "score": scores.numpy().reshape(-1)})


@cache
def _load(model: str) -> Any:
    """Load the model once per process, with one thread because Ray runs a worker per core."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf.saved_model.load(model)
