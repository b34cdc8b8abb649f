"""MLflow's ``pyfunc.spark_udf`` on a model of its TensorFlow flavor, in its own Spark session.

``mlflow.tensorflow.save_model`` accepts a `tf.Module` or a Keras model, and
`tf.saved_model.load` returns neither. So this saves a module that calls the SavedModel's signature.
MLflow passes a single array to such a module: a struct of several string columns becomes an array
[rows, columns]. MLflow's Keras models take columns by name, but they are scored by
`keras.Model.predict`, 32 rows at a time.

Arrow batches have Spark's default of 10,000 rows: 30,000 and 100,000 were no faster on either
table, and 2,500 were slower on dense rows.
"""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.peer_server import serve
from benchmarks.peers.session_job import SessionJob, scored_rows
from benchmarks.pools import start_session

WIDTH = 128
WORDS = ("country", "device", "item")


def make(
    model: str,
    table: str,
    kind: str,
    column: str = "features",
    width: int = 0,
    cores: int = 2,
    **_: Any,
) -> SessionJob:
    """Save the model in MLflow's format, and score a table by its UDF.

    For the kind "heavy", `column` has `width` ids, or strings where that is 0.
    """
    import mlflow
    from pyspark.sql import functions as F

    folder = tempfile.TemporaryDirectory(prefix="tf2spark-mlflow-")
    saved = f"{folder.name}/model"
    if kind == "heavy":
        _save_heavy(model, saved, column, width)
    else:
        {"dense": _save_dense, "strings": _save_strings}[kind](model, saved)
    spark = start_session(cores)
    if kind == "heavy":
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "64")
    score = mlflow.pyfunc.spark_udf(spark, saved, result_type="float", env_manager="local")
    feed = F.struct(*WORDS) if kind == "strings" else F.col(column)

    def scored() -> Any:
        return spark.read.parquet(table).select("id", score(feed).alias("score"))

    return SessionJob(scored, scored_rows, resources=folder)


def _save_dense(model: str, path: str) -> None:
    import numpy as np
    import tensorflow as tf
    from mlflow.types.schema import TensorSpec

    loaded = tf.saved_model.load(model)
    score = loaded.signatures["serving_default"]

    class Module(tf.Module):
        def __init__(self) -> None:
            self.loaded = loaded

        @tf.function(input_signature=[tf.TensorSpec([None, WIDTH])])
        def __call__(self, features: tf.Tensor) -> tf.Tensor:
            return score(features=features)["output_0"]

    _save(Module(), path, TensorSpec(np.dtype(np.float32), (-1, WIDTH)))


def _save_strings(model: str, path: str) -> None:
    import numpy as np
    import tensorflow as tf
    from mlflow.types.schema import TensorSpec

    loaded = tf.saved_model.load(model)
    score = loaded.signatures["serving_default"]

    class Module(tf.Module):
        def __init__(self) -> None:
            self.loaded = loaded

        @tf.function(input_signature=[tf.TensorSpec([None, len(WORDS)], tf.string)])
        def __call__(self, words: tf.Tensor) -> tf.Tensor:
            feeds = dict(zip(WORDS, tf.unstack(words, axis=1), strict=True))
            return score(**feeds)["output_0"]

    _save(Module(), path, TensorSpec(np.dtype(object), (-1, len(WORDS))))


def _save_heavy(model: str, path: str, column: str, width: int) -> None:
    import numpy as np
    import tensorflow as tf
    from mlflow.types.schema import TensorSpec

    loaded = tf.saved_model.load(model)
    score = loaded.signatures["serving_default"]
    shape = [None, width] if width else [None]
    dtype = tf.int64 if width else tf.string

    class Module(tf.Module):
        def __init__(self) -> None:
            self.loaded = loaded

        @tf.function(input_signature=[tf.TensorSpec(shape, dtype)])
        def __call__(self, values: tf.Tensor) -> tf.Tensor:
            return score(**{column: values})["output_0"]

    sizes = (-1, width) if width else (-1,)
    _save(Module(), path, TensorSpec(np.dtype(np.int64 if width else object), sizes))


def _save(module: Any, path: str, input_spec: Any) -> None:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema

    signature = ModelSignature(inputs=Schema([input_spec]))
    # Given, or MLflow would run the model in a separate process to infer its requirements.
    mlflow.tensorflow.save_model(
        module, path, signature=signature, pip_requirements=["tensorflow-cpu"]
    )


if __name__ == "__main__":
    serve(make)
