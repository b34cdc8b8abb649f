"""ONNX Runtime in a `predict_batch_udf` in its own Spark session; tf2onnx converts the model.

``python -m tf2onnx.convert --saved-model`` does the conversion in a separate process, because it
imports TensorFlow, which Spark's workers here never do.
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

from benchmarks.peer_server import serve
from benchmarks.peers.cross_join import best_of_ids
from benchmarks.peers.session_job import SessionJob, best_items, scored_rows
from benchmarks.pools import start_session

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
    column: str = "ids",
    width: int = 0,
    cores: int = 2,
    **_: Any,
) -> SessionJob:
    """Convert the model, and score a table or recommend by a cross join.

    Args:
        model: The SavedModel.
        kind: "dense", "heavy", or "recommend" with the wide-and-deep model.
        table: The table to score: `id` and `features`, or for "heavy" `column`.
        users: The users: `user_id` and `user_ids`.
        items: The items: `item_id` and `item_ids`.
        k: Recommendations per user.
        column: The column to score, for "heavy".
        width: Its ids in a row, for "heavy"; 0 for strings.
        cores: Concurrent tasks.
    """
    folder = tempfile.TemporaryDirectory(prefix="tf2spark-onnx-")
    converted = _convert(model, folder.name)
    spark = start_session(cores)

    def scored() -> Any:
        udf = _udf(converted, WIDTH, np.float32)
        return spark.read.parquet(table).select("id", udf("features").alias("score"))

    def scored_ids() -> Any:
        udf = _udf(converted, width, np.int64 if width else object, batch_rows=64)
        return spark.read.parquet(table).select("id", udf(column).alias("score"))

    def recommended() -> Any:
        spark.conf.set("spark.sql.shuffle.partitions", "2")
        sides = spark.read.parquet(users), spark.read.parquet(items)
        return best_of_ids(*sides, _udf(converted, IDS, np.int64), k)

    if kind in ("dense", "heavy"):
        table_of = scored if kind == "dense" else scored_ids
        return SessionJob(table_of, scored_rows, resources=folder)
    return SessionJob(recommended, best_items, resources=folder)


def _convert(model: str, folder: str) -> str:
    path = str(Path(folder) / "model.onnx")
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", model, "--output", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not Path(path).exists():
        lines = done.stderr.strip().splitlines()
        # It lists the ops that it can't convert before the traceback.
        why = [line for line in lines if "not supported" in line] or lines[-1:]
        raise RuntimeError(f"tf2onnx: {why[0]}")
    # Here, because Spark's workers bury the reason: an op that ONNX Runtime doesn't have.
    import onnxruntime

    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return path


def _udf(path: str, width: int, dtype: Any, *, batch_rows: int = BATCH_ROWS) -> Any:
    def make_predict_fn() -> Callable[[Any], Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # There is a worker per core; with ONNX Runtime's default, their threads would compete.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (name,) = [spec.name for spec in session.get_inputs()]

        def predict(inputs: Any) -> Any:
            (scores,) = session.run(None, {name: inputs.astype(dtype, copy=False)})
            return scores.reshape(-1)

        return predict

    return predict_batch_udf(
        make_predict_fn,
        return_type=FloatType(),
        batch_size=batch_rows,
        input_tensor_shapes=[[width]] if width else None,
    )


if __name__ == "__main__":
    serve(make)
