"""A driver program: scores on a server of Sail, in this process, and prints what came back.

Run as ``python sail_job.py MODEL PAIR_MODEL FOLDER`` where pysail and pyspark-client are installed.
The models are those of tests/spark/test_sail.py, and FOLDER is an empty one. The last line on
stdout is JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyspark
from pysail.spark import SparkConnectServer  # type: ignore[import-not-found]
from pyspark.sql import SparkSession

import tf2spark
from tf2spark import errors


def _message(model: tf2spark.SavedModel, df: Any) -> str:
    try:
        with errors.from_spark():
            model.score(df).collect()
    except errors.Tf2SparkError as error:
        return f"{type(error).__name__}: {error}"
    return "scored"


def _rows(df: Any) -> list[list[Any]]:
    return sorted(list(row) for row in df.collect())


def main(model_path: str, pair_path: str, folder: str) -> None:
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    address = f"sc://127.0.0.1:{server.listening_address[1]}"
    spark = SparkSession.builder.remote(address).getOrCreate()
    model = tf2spark.SavedModel(model_path)
    frame = pd.DataFrame({"id": range(500), "x": [[float(row), 1.5] for row in range(500)]})
    df = spark.createDataFrame(frame)
    users = spark.createDataFrame(pd.DataFrame({"user_id": [1, 2], "u": [[1.0, 2.0], [3.0, 1.0]]}))
    items = spark.createDataFrame(pd.DataFrame({"item_id": [7, 8], "i": [[1.0, 0.0], [0.0, 1.0]]}))
    recommended = tf2spark.SavedModel(pair_path).recommend(users, items, k=2)

    def score(frames: Iterator[Any]) -> Iterator[Any]:
        for each in frames:
            yield model.score(each, fetch=["score"], keep=["id"])

    bad = spark.createDataFrame([(1, [1.0])], "id int, x array<float>")
    moved = Path(shutil.copytree(model_path, Path(folder) / "model"))
    (moved / "more").write_text("so that no host has its files")
    gone = tf2spark.SavedModel(moved)
    gone._runnable.reference()  # reads what a job asks for
    moved.rename(moved.with_name("moved"))
    model.register(spark, "scored", fetch=["score"])
    df.createOrReplaceTempView("rows")
    report = {
        "pyspark": pyspark.__version__,
        "score": _rows(model.score(df, fetch=["score"], keep=["id"])),
        "score_with_features": _rows(model.score(df, fetch=["score"]).select("id", "score")),
        "udf": _rows(df.select("id", model.udf(fetch=["score"])("x"))),
        "sql": _rows(spark.sql("SELECT id, scored(x) FROM rows")),
        "function": _rows(df.mapInPandas(score, "id long, score float")),
        "recommend": _rows(recommended.selectExpr("user_id", "inline(recommendations)")),
        "bad_row": _message(model, bad),
        "gone": _message(gone, df),
    }
    print(json.dumps(report))
    spark.stop()
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
