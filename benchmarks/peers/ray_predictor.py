"""The function for Ray's workers, in its own module because Ray sends `__main__` by value."""

from __future__ import annotations

from functools import cache
from typing import Any


def predict(batch: Any, model: str, column: str) -> Any:
    """Score a batch with this process's model, which takes this column."""
    import pyarrow as pa
    import tensorflow as tf

    score = _load(model).signatures["serving_default"]
    values = batch.column(column).combine_chunks()
    if pa.types.is_list(values.type):
        values = values.flatten().to_numpy().reshape(batch.num_rows, -1)
    else:
        values = values.to_numpy(zero_copy_only=False)
    scores = score(**{column: tf.constant(values)})["output_0"]
    return pa.table({"id": batch.column("id"), "score": scores.numpy().reshape(-1)})


@cache
def _load(model: str) -> Any:
    """Load the model once per process, with one thread because Ray runs a worker per core."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf.saved_model.load(model)
