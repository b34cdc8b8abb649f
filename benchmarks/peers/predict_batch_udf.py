"""``pyspark.ml.functions.predict_batch_udf`` with ``tf.saved_model.load``.

As in their documentation, the function that makes `predict` imports TensorFlow and loads the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql.types import DataType, FloatType

# As fast as the best in the case "peer-settings".
BATCH_ROWS = 4096


def dense_udf(path: str, width: int, *, batch_rows: int = BATCH_ROWS, threads: int = 0) -> Any:
    """Score an array column of `width` floats, which feeds the input `features`."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(features: np.ndarray) -> np.ndarray:
            return score(features=tf.constant(features))["output_0"].numpy()

        predict.model = model  # type: ignore[attr-defined] # a signature doesn't keep it alive
        return predict

    return _udf(make_predict_fn, batch_rows, [[width]])


def vector_udf(path: str, width: int, *, batch_rows: int = BATCH_ROWS) -> Any:
    """Score an array column, the dense form of a sparse vector, by the signature ``dense``."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        model = tf.saved_model.load(path)
        score = model.signatures["dense"]

        def predict(x: np.ndarray) -> np.ndarray:
            return score(x=tf.constant(x))["score"].numpy()

        predict.model = model  # type: ignore[attr-defined]
        return predict

    return _udf(make_predict_fn, batch_rows, [[width]])


def nonzero_udf(path: str, width: int, *, batch_rows: int = BATCH_ROWS) -> Any:
    """Like `vector_udf`, but search for the non-zeros, and feed ids and values."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(x: np.ndarray) -> np.ndarray:
            row, column = np.nonzero(x)
            lengths = np.bincount(row, minlength=len(x))
            position = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            ids = np.zeros((len(x), lengths.max()), np.int64)
            values = np.zeros(ids.shape, np.float32)
            ids[row, position], values[row, position] = column, x[row, column]
            return score(ids=tf.constant(ids), values=tf.constant(values))["score"].numpy()

        predict.model = model  # type: ignore[attr-defined]
        return predict

    return _udf(make_predict_fn, batch_rows, [[width]])


def pairs_udf(path: str, length: int, *, batch_rows: int = BATCH_ROWS) -> Any:
    """Score two array columns of `length` ids and values."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
            feeds = {"ids": tf.constant(ids, tf.int64), "values": tf.constant(values, tf.float32)}
            return score(**feeds)["score"].numpy()

        predict.model = model  # type: ignore[attr-defined]
        return predict

    return _udf(make_predict_fn, batch_rows, [[length], [length]])


def strings_udf(path: str, *, batch_rows: int = BATCH_ROWS, threads: int = 0) -> Any:
    """Score the three string columns of the model `strings`."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(country: np.ndarray, device: np.ndarray, item: np.ndarray) -> np.ndarray:
            feeds = {"country": country, "device": device, "item": item}
            scored = score(**{name: tf.constant(words) for name, words in feeds.items()})
            return scored["output_0"].numpy()

        predict.model = model  # type: ignore[attr-defined]
        return predict

    return _udf(make_predict_fn, batch_rows, None)


def heavy_udf(path: str, column: str, width: int | None, *, batch_rows: int) -> Any:
    """Score a column of `width` ids, or of strings where that is None, one thread per worker."""

    def make_predict_fn() -> Callable[..., Any]:
        import tensorflow as tf

        # There is a worker per core.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        model = tf.saved_model.load(path)
        score = model.signatures["serving_default"]

        def predict(values: np.ndarray) -> np.ndarray:
            return score(**{column: tf.constant(values)})["output_0"].numpy()

        predict.model = model  # type: ignore[attr-defined]
        return predict

    return _udf(make_predict_fn, batch_rows, [[width]] if width else None)


def _udf(
    make_predict_fn: Callable[[], Callable[..., Any]],
    batch_rows: int,
    shapes: Sequence[Any] | None,
    returns: DataType | None = None,
) -> Any:
    return predict_batch_udf(
        make_predict_fn,
        return_type=returns or FloatType(),
        batch_size=batch_rows,
        input_tensor_shapes=list(shapes) if shapes else None,
    )
