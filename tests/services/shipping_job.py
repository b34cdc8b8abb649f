"""A driver program: scores where executors have neither the model's folder nor tf2spark.

Run as ``python shipping_job.py MASTER MODEL TABLE PYTHON [KEY=VALUE ...]``: MODEL is copied, opened
and removed again before anything is scored; PYTHON is the workers'. ``connect:local[2]`` is a Spark
Connect server with that master. The last line on stdout is JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

import tf2spark


def session(master: str, settings: dict[str, str]) -> SparkSession:
    builder = SparkSession.builder.appName("tf2spark shipping test")
    server = master.removeprefix("connect:")
    builder = builder.master(master) if server == master else builder.remote(server)
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "600m",
        "spark.cores.max": "2",
        "spark.sql.files.maxPartitionBytes": "400k",
        **settings,
    }.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def where_it_came_from(spark: SparkSession) -> list[str]:
    """Return where the workers found tf2spark and attrs."""

    def look(batches: Any) -> Any:
        import attrs
        import pyarrow as pa

        import tf2spark

        for batch in batches:
            found = f"{tf2spark.__file__} {attrs.__file__}"
            yield pa.RecordBatch.from_pydict({"m": [found] * batch.num_rows})

    rows = spark.range(200).repartition(2).mapInArrow(look, "m string").distinct().collect()
    return sorted({row.m for row in rows})


def same(scored: DataFrame, wants: Any) -> bool:
    return bool(scored.toArrow().sort_by("id").to_pydict() == wants.to_pydict())


def recommends(model: Any, table: Any) -> Any:
    """Return users and the model's best items for them: halves of the rows' features."""
    if isinstance(table, DataFrame):
        halves = table.selectExpr("id", "slice(features, 1, 64) a", "slice(features, 65, 64) b")
        users, items = halves.select("id", "a"), halves.where("id < 90").select("id", "b")
    else:
        features = table.column("features").to_pylist()
        ids = table.column("id").to_pylist()
        users = pa.table({"id": ids, "a": [one[:64] for one in features]})
        items = pa.table({"id": ids[:90], "b": [one[64:] for one in features[:90]]})
    feed = {model.contract.signatures[0].inputs[0].name: ["a", "b"]}
    return model.recommend(users, items, 5, user_id="id", item_id="id", feed=feed)


def close(found: Any, wants: Any) -> bool:
    """Say whether two tables of recommendations have the same items, and scores within 1e-5."""
    if isinstance(found, DataFrame):
        found = found.toArrow()
    pairs = zip(*(lists(one.sort_by("id")) for one in (found, wants)), strict=True)
    return found.num_rows == wants.num_rows and all(
        [one["id"] for one in got] == [one["id"] for one in want]
        and all(abs(a["score"] - b["score"]) < 1e-5 for a, b in zip(got, want, strict=True))
        for got, want in pairs
    )


def lists(table: Any) -> list[Any]:
    return list(table.column("recommendations").to_pylist())


def main(master: str, model_path: str, table: str, python: str, *settings: str) -> None:
    os.environ["PYSPARK_PYTHON"] = python
    spark = session(master, dict(one.split("=", 1) for one in settings))
    folder = Path(tempfile.mkdtemp(prefix="tf2spark-original-"))
    shutil.copytree(model_path, folder / "model")
    model = tf2spark.SavedModel(folder / "model")
    rows = pq.read_table(table)
    wants = model.score(rows, keep=["id"], reproducible=True).sort_by("id")
    package = model.compile(folder / "package")
    wants_of_package = package.score(rows, keep=["id"], reproducible=True).sort_by("id")
    frame = spark.read.parquet(table)
    jobs = {
        "savedmodel": (model.score(frame, keep=["id"], reproducible=True), wants),
        "package": (package.score(frame, keep=["id"], reproducible=True), wants_of_package),
        # The table is one that workers read by themselves.
        "by_map_in_arrow": (
            model.score(frame, keep=["id"], reproducible=True, read="spark"),
            wants,
        ),
    }
    few = rows.slice(0, 300)
    wants_of_recommend = recommends(model, few)
    recommended = recommends(model, frame.where("id < 300"))
    scored_by_udf = frame.select("id", package.udf()("features").alias("output_0"))
    if not master.startswith("local["):  # a local master opens the model where it is
        shutil.rmtree(folder)
    report: dict[str, Any] = {name: same(*job) for name, job in jobs.items()}
    report["recommends"] = close(recommended, wants_of_recommend)
    report["rows_by_udf"] = scored_by_udf.where("output_0 is not null").count()
    report["came_from"] = where_it_came_from(spark)
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
