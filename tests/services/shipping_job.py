"""A driver program: scores where executors have neither the model's folder nor tf2spark.

Run as ``python shipping_job.py MASTER MODEL TABLE PYTHON [KEY=VALUE ...]``: MODEL is copied, and
the copy is opened and removed before Spark scores anything; PYTHON is the workers' Python. With the
setting ``words=FOLDER``, the model and the op library in that folder are used in the same way. The
master ``connect:local[2]`` is a Spark Connect server with the master ``local[2]``. The last line on
stdout is JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from tf2spark.spark.broadcast import files

_INSTRUCTION_SETS = ("ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS")


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Read ``KEY=VALUE`` arguments."""
    return dict(setting.split("=", 1) for setting in settings)


def start_session(master: str, settings: dict[str, str]) -> SparkSession:
    builder = SparkSession.builder.appName("tf2spark shipping test")
    server = master.removeprefix("connect:")
    builder = builder.master(master) if server == master else builder.remote(server)
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "600m",
        "spark.executor.extraJavaOptions": os.environ["SPARK_SUBMIT_OPTS"],
        "spark.cores.max": "2",
        "spark.sql.files.maxPartitionBytes": "400k",
        # YARN's containers don't inherit the environment, and bits depend on the instruction set.
        **{
            f"spark.executorEnv.{name}": os.environ[name]
            for name in _INSTRUCTION_SETS
            if name in os.environ
        },
        **settings,
    }.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def module_paths(spark: SparkSession) -> list[str]:
    """Return where the workers imported tf2spark and attrs from."""

    def list_paths(batches: Any) -> Any:
        import attrs
        import pyarrow as pa

        import tf2spark

        for batch in batches:
            paths = f"{tf2spark.__file__} {attrs.__file__}"
            yield pa.RecordBatch.from_pydict({"paths": [paths] * batch.num_rows})

    rows = (
        spark.range(200).repartition(2).mapInArrow(list_paths, "paths string").distinct().collect()
    )
    return sorted({row.paths for row in rows})


def has_rows(scored: DataFrame, expected: Any) -> bool:
    return bool(scored.toArrow().sort_by("id").to_pydict() == expected.to_pydict())


def recommend_halves(model: Any, table: Any) -> Any:
    """Recommend items to users, where each has half of the features of a table's row."""
    if isinstance(table, DataFrame):
        halves = table.selectExpr("id", "slice(features, 1, 64) a", "slice(features, 65, 64) b")
        users, items = halves.select("id", "a"), halves.where("id < 90").select("id", "b")
    else:
        features = table.column("features").to_pylist()
        ids = table.column("id").to_pylist()
        users = pa.table({"id": ids, "a": [row[:64] for row in features]})
        items = pa.table({"id": ids[:90], "b": [row[64:] for row in features[:90]]})
    feed = {model.contract.signatures[0].inputs[0].name: ["a", "b"]}
    return model.recommend(users, items, 5, user_id="id", item_id="id", feed=feed)


def has_recommendations(recommended: Any, expected: Any) -> bool:
    """Say whether two tables of recommendations have the same items, and scores within 1e-5."""
    if isinstance(recommended, DataFrame):
        recommended = recommended.toArrow()
    user_pairs = zip(lists_by_id(recommended), lists_by_id(expected), strict=True)
    return recommended.num_rows == expected.num_rows and all(
        [item["id"] for item in got] == [item["id"] for item in want]
        and all(abs(a["score"] - b["score"]) < 1e-5 for a, b in zip(got, want, strict=True))
        for got, want in user_pairs
    )


def lists_by_id(table: Any) -> list[Any]:
    """Return the recommendations of all users, in the order of the users' ids."""
    return list(table.sort_by("id").column("recommendations").to_pylist())


def score_words(spark: SparkSession, folder: Path) -> dict[str, DataFrame]:
    """Count words with an op of a library that is a file, and of one that is a module."""
    texts = spark.createDataFrame([(text,) for text in ("a b", "", "a b c")], "text string")
    file = str(folder / "our_ops.so")
    libraries = {"op_library_file": file, "op_library_module": "tensorflow_text"}
    return {
        name: tf2spark.SavedModel(folder / "words", op_libraries=[library]).score(texts)
        for name, library in libraries.items()
    }


def records(spark: SparkSession) -> list[str]:
    """Write TFRecord files on executors, and read them there."""
    tf2spark.register_tfrecord(spark)
    with tempfile.TemporaryDirectory() as folder:
        rows = spark.range(5).selectExpr("id", "concat('w', id) as word").repartition(2)
        rows.write.format("tfrecord").mode("append").save(f"{folder}/out")
        read = spark.read.format("tfrecord").schema("word string").load(f"{folder}/out")
        return sorted(row.word for row in read.collect())


def saved_stage(frame: DataFrame, model: Any, folder: Path) -> tuple[DataFrame, str]:
    """Score with a stage that was saved and loaded; return why it isn't saved with its model."""
    from pyspark.ml import Pipeline, PipelineModel

    from tf2spark.ml import SavedModelTransformer

    stage = SavedModelTransformer(model=model, keep=["id"], reproducible=True)
    path, problem = str(folder / "pipeline"), ""
    try:
        stage.save(path)
    except tf2spark.errors.OutputError as error:
        problem = str(error)
    pipeline = Pipeline(stages=[stage.setSaveModel("reference")]).fit(frame)
    for _ in range(2):
        pipeline.write().overwrite().save(path)
    return PipelineModel.load(path).transform(frame), problem


def main(master: str, model_path: str, table: str, python: str, *settings: str) -> None:
    os.environ["PYSPARK_PYTHON"] = python
    # On clusters, some files are broadcast and others aren't, whatever the number of executors.
    files.LEAST_BYTES, files.expected_executors = 1000, lambda spark: float("inf")
    spark_settings = parse_settings(settings)
    words_folder = spark_settings.pop("words", None)
    spark = start_session(master, spark_settings)
    folder = Path(tempfile.mkdtemp(prefix="tf2spark-original-"))
    shutil.copytree(model_path, folder / "model")
    model = tf2spark.SavedModel(folder / "model")
    rows = pq.read_table(table)
    expected = model.score(rows, keep=["id"], reproducible=True).sort_by("id")
    package = model.compile(folder / "package")
    expected_of_package = package.score(rows, keep=["id"], reproducible=True).sort_by("id")
    frame = spark.read.parquet(table)
    jobs = {
        "savedmodel": (model.score(frame, keep=["id"], reproducible=True), expected),
        "package": (package.score(frame, keep=["id"], reproducible=True), expected_of_package),
        # By default, workers would read this table themselves.
        "by_map_in_arrow": (
            model.score(frame, keep=["id"], reproducible=True, read="spark"),
            expected,
        ),
    }
    expected_recommendations = recommend_halves(model, rows.slice(0, 300))
    recommended = recommend_halves(model, frame.where("id < 300"))
    scored_by_udf = frame.select("id", package.udf()("features").alias("output_0"))
    words: dict[str, DataFrame] = {}
    copied_stage = ""
    if master.startswith("connect:"):
        by_stage, copied_stage = saved_stage(frame, model, folder)
        jobs["stage"] = by_stage, expected
    if words_folder is not None:
        shutil.copytree(words_folder, folder / "with_library")
        words = score_words(spark, folder / "with_library")
    shutil.rmtree(folder)
    report: dict[str, Any] = {name: has_rows(*job) for name, job in jobs.items()}
    for name, scored in words.items():
        report[name] = sorted(scored.toArrow().to_pydict()["words"]) == [0, 2, 3]
    report["recommends"] = has_recommendations(recommended, expected_recommendations)
    report["rows_by_udf"] = scored_by_udf.where("output_0 is not null").count()
    report["module_paths"] = module_paths(spark)
    report["records"] = records(spark)
    report["copied_stage"] = copied_stage
    spark.stop()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
