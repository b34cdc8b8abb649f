"""MLflow's ``pyfunc.spark_udf`` on a model of its TensorFlow flavour, in its own Spark session.

``mlflow.tensorflow.save_model`` takes a `tf.Module` or a Keras model, and what
`tf.saved_model.load` returns is neither. So a module that calls the SavedModel's signature is
saved. MLflow hands such a module one array: of several string columns, as a struct, it makes one of
[rows, columns]. MLflow's Keras models take columns by name, but are scored by
`keras.Model.predict`, 32 rows at a time.

Arrow batches have Spark's 10,000 rows: 30,000 and 100,000 were no faster on either table, 2,500
slower on dense rows.
"""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.peers.own_session import SessionJob, scored_rows
from benchmarks.pools import start_session
from benchmarks.served import serve

WIDTH = 128
WORDS = ("country", "device", "item")


def make(model: str, table: str, kind: str, cores: int = 2, **_: Any) -> SessionJob:
    """Save the model MLflow's way, and score a table by its UDF."""
    import mlflow
    from pyspark.sql import functions as F

    folder = tempfile.TemporaryDirectory(prefix="tf2spark-mlflow-")
    saved = f"{folder.name}/model"
    {"dense": _save_dense, "strings": _save_strings}[kind](model, saved)
    spark = start_session(cores)
    score = mlflow.pyfunc.spark_udf(spark, saved, result_type="float", env_manager="local")
    column = F.col("features") if kind == "dense" else F.struct(*WORDS)

    def scored() -> Any:
        return spark.read.parquet(table).select("id", score(column).alias("score"))

    return SessionJob(scored, scored_rows, kept=folder)


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
            fed = dict(zip(WORDS, tf.unstack(words, axis=1), strict=True))
            return score(**fed)["output_0"]

    _save(Module(), path, TensorSpec(np.dtype(object), (-1, len(WORDS))))


def _save(module: Any, path: str, taken: Any) -> None:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema

    signature = ModelSignature(inputs=Schema([taken]))
    # Named, or MLflow would score in a process of its own to find out what the model needs.
    mlflow.tensorflow.save_model(
        module, path, signature=signature, pip_requirements=["tensorflow-cpu"]
    )


if __name__ == "__main__":
    serve(make)
