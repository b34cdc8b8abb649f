"""What runs in Ray's workers; a module of its own, because Ray sends `__main__`'s code by value."""

from __future__ import annotations

from functools import cache
from typing import Any


def predict(batch: Any, model: str) -> Any:
    """Score a batch by the model of this process."""
    import pyarrow as pa
    import tensorflow as tf

    score = _loaded(model).signatures["serving_default"]
    features = batch.column("features").combine_chunks().flatten().to_numpy()
    scores = score(features=tf.constant(features.reshape(batch.num_rows, -1)))["output_0"]
    return pa.table({"id": batch.column("id"), "score": scores.numpy().reshape(-1)})


@cache
def _loaded(model: str) -> Any:
    """Load the model once a process. One thread: Ray runs a worker for each core."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf.saved_model.load(model)
