"""ONNX Runtime in a `predict_batch_udf`, the model converted by tf2onnx, in its own Spark session.

tf2onnx's own ``python -m tf2onnx.convert --saved-model`` does the conversion, in a process of its
own: it imports TensorFlow, which Spark's workers here never do.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql.types import FloatType

from benchmarks.peers.cross_join import best_of_ids
from benchmarks.peers.own_session import SessionJob, best_items, scored_rows
from benchmarks.pools import start_session
from benchmarks.served import serve

BATCH_ROWS = 4096
WIDTH = 128
IDS = 10


def make(
    model: str,
    kind: str,
    *,
    table: str = "",
    users: str = "",
    items: str = "",
    k: int = 10,
    cores: int = 2,
    **_: Any,
) -> SessionJob:
    """Convert the model, and score a table or recommend by a cross join.

    Args:
        model: The SavedModel.
        kind: "dense", or "recommend" with the wide-and-deep model.
        table: What is scored: `id` and `features`.
        users: To whom is recommended: `user_id` and `user_ids`.
        items: What is recommended: `item_id` and `item_ids`.
        k: How many are recommended.
        cores: Tasks at once.
    """
    folder = tempfile.TemporaryDirectory(prefix="tf2spark-onnx-")
    converted = _converted(model, folder.name)
    spark = start_session(cores)

    def rows() -> Any:
        udf = _udf(converted, WIDTH, np.float32)
        return spark.read.parquet(table).select("id", udf("features").alias("score"))

    def recommended() -> Any:
        spark.conf.set("spark.sql.shuffle.partitions", "2")
        sides = spark.read.parquet(users), spark.read.parquet(items)
        return best_of_ids(*sides, _udf(converted, IDS, np.int64), k)

    if kind == "dense":
        return SessionJob(rows, scored_rows, kept=folder)
    return SessionJob(recommended, best_items, kept=folder)


def _converted(model: str, folder: str) -> str:
    path = str(Path(folder) / "model.onnx")
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", model, "--output", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not Path(path).exists():
        raise RuntimeError(f"tf2onnx: {done.stderr.strip().splitlines()[-1:]}")
    return path


def _udf(path: str, width: int, kind: Any) -> Any:
    def make_predict_fn() -> Callable[[Any], Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # A worker for each core: with ONNX Runtime's own choice of threads they'd fight for them.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (name,) = [one.name for one in session.get_inputs()]

        def predict(inputs: Any) -> Any:
            (found,) = session.run(None, {name: inputs.astype(kind, copy=False)})
            return found.reshape(-1)

        return predict

    return predict_batch_udf(
        make_predict_fn,
        return_type=FloatType(),
        batch_size=BATCH_ROWS,
        input_tensor_shapes=[[width]],
    )


if __name__ == "__main__":
    serve(make)
