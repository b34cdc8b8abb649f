"""A driver program for models and packages on another file system: what works, what must fail.

Run as ``python storage_job.py MASTER MODEL BASES PYTHON [KEY=VALUE ...]``: BASES are folders for
all files, or their URIs, with commas between them. With the setting ``scan=MODEL``, workers also
read tables below a URI, to score them with that model. The last line on stdout is JSON: for each
base, the results by name.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import SparkSession

import tf2spark
from cases.comparing import same_but_for_rounding
from cases.models import case
from cases.models.custom_ops import text_library, write_word_model
from services.scan_job import scan
from services.shipping_job import parse_settings, start_session
from tf2spark.errors import Tf2SparkError, from_text
from tf2spark.ml import SavedModelTransformer
from tf2spark.package.manifest import FILES, MANIFEST
from tf2spark.package.run_id import new_run_id
from tf2spark.package.staging import staging_folder
from tf2spark.spark import hadoop
from tf2spark.spark.output import table_writer
from tf2spark.spark.output.target import SaveMode
from tf2spark.spark.tfrecord.register import has_python_sources

_ROWS = 2_000


def upload_folder(spark: SparkSession, folder: Path, uri: str, *, without: str = "") -> None:
    """Upload a folder, except for one file."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != without:
            hadoop.upload(spark, path, f"{uri}/{name}")


def error_of(call: Any) -> str:
    """Return the class and message of the error that a call raises."""
    try:
        call()
    except Tf2SparkError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def rows_of(scored: Any) -> Any:
    return scored.toArrow().sort_by("id").to_pydict()


def main(master: str, model_path: str, bases: str, python: str, *settings: str) -> None:
    os.environ["PYSPARK_PYTHON"] = python
    conf = parse_settings(settings)
    scan_model = conf.pop("scan", None)
    spark = start_session(master, conf)
    reports = {}
    for base in bases.split(","):
        report = work_in(spark, base, model_path)
        if scan_model is not None and hadoop.scheme_of(base) is not None:
            report["scan"] = scan(spark, scan_model, base, conf)
        # The last, as it changes the settings.
        reports[base] = report | failures(spark, base, model_path)
    spark.stop()
    print(json.dumps(reports))


def work_in(spark: SparkSession, base: str, model_path: str) -> dict[str, Any]:
    """Put a table and models into a folder, and do everything there that has to work."""
    table = case("mlp_128").table(_ROWS).append_column("id", pa.array(np.arange(_ROWS)))
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(table, f"{folder}/table.parquet")
        hadoop.upload(spark, Path(folder, "table.parquet"), f"{base}/table.parquet")
    for version in (3, 12):
        upload_folder(spark, Path(model_path), f"{base}/ctr/{version}")
    scored = tf2spark.SavedModel(model_path).score(table, keep=["id"], reproducible=True)
    report = successes(spark, base, table, scored.sort_by("id").to_pydict())
    report |= stages(spark, base, scored.sort_by("id").to_pydict())
    report |= killed(spark, base) | merged(spark, f"{base}/days")
    report |= with_op_library(spark, f"{base}/words") | keras_files(spark, f"{base}/keras")
    report |= other_formats(spark, f"{base}/others", f"{base}/ctr/3")
    if hadoop.scheme_of(base) is not None and has_python_sources(spark):
        report |= records(spark, f"{base}/records")
    return report


def successes(spark: SparkSession, base: str, table: pa.Table, expected: Any) -> dict[str, Any]:
    """Score with a SavedModel and a package on the storage, and read and write tables there."""
    model = tf2spark.SavedModel(f"{base}/ctr")
    frame = spark.read.parquet(f"{base}/table.parquet").repartition(4)
    scored = model.score(frame, keep=["id"], reproducible=True)
    table_writer.write(spark.range(3), f"{base}/scored")
    table_writer.write(scored, f"{base}/scored", mode="overwrite")
    package = model.compile(f"{base}/ctr.tf2spark")
    reopened = tf2spark.SavedModel(f"{base}/ctr.tf2spark")
    by_package = reopened.score(frame, keep=["id"], reproducible=True)
    if hadoop.scheme_of(base) is None:
        # On a local disk a new package replaces the old one's files at once, so a job goes on only
        # if its workers have opened the old one.
        by_package.count()
    overwritten = model.compile(f"{base}/ctr.tf2spark", fetch={"s": "output_0"}, overwrite=True)
    return {
        "version": model.contract.version,
        "path": model.contract.path,
        "scored": rows_of(spark.read.parquet(f"{base}/scored")) == expected,
        "same_digest": package.contract.package == reopened.contract.package,
        "by_package_that_was_overwritten": same_but_for_rounding(rows_of(by_package), expected),
        "overwritten": [output.name for output in overwritten.contract.signatures[0].outputs],
        "in_this_process": same_but_for_rounding(
            score_here(overwritten, table)["s"], expected["output_0"]
        ),
        "files": [file.path for file in hadoop.files(spark, f"{base}/ctr.tf2spark")],
    }


def stages(spark: SparkSession, base: str, expected: Any) -> dict[str, Any]:
    """Save a pipeline with its model and by reference, and load what was moved or damaged."""
    frame = spark.read.parquet(f"{base}/table.parquet")
    stage = SavedModelTransformer(model=f"{base}/ctr", keep=["id"], reproducible=True)
    pipeline = Pipeline(stages=[stage]).fit(frame)

    def scores(path: str) -> bool:
        return bool(rows_of(PipelineModel.load(path).transform(frame)) == expected)

    pipeline.save(f"{base}/stages/new")
    hadoop.rename_new(spark, f"{base}/stages/new", f"{base}/stages/moved")
    moved = f"{base}/stages/moved"
    if hadoop.scheme_of(base) != "s3a":
        # The tests' S3 server keeps folders without files, and Spark's writer refuses those.
        PipelineModel.load(moved).write().overwrite().save(moved)
    stage.copy({stage.save_model: "reference"}).save(f"{base}/stages/reference")
    referring = SavedModelTransformer.load(f"{base}/stages/reference")
    by_reference = hadoop.files(spark, f"{base}/stages/reference")
    report = {
        "stage_exists": error_of(lambda: stage.save(f"{base}/stages/reference")),
        "stage_moved_and_saved_over_itself": scores(moved),
        "referring_to": referring.getModel(),
        "stage_by_reference": rows_of(referring.transform(frame)) == expected,
        "stage_folders": sorted({file.path.partition("/")[0] for file in by_reference}),
    }
    (index,) = (
        file.path for file in hadoop.files(spark, moved) if file.path.endswith("variables.index")
    )
    hadoop.delete(spark, f"{moved}/{index}")
    return report | {"stage_damaged": error_of(lambda: PipelineModel.load(moved))}


def killed(spark: SparkSession, base: str) -> dict[str, Any]:
    """Leave what a run does that is killed between its renames; return what the next run finds."""
    machine, pid, start, random = new_run_id().split("-")
    ended_run = f"{machine}-{pid}-{int(start) - 1}-{random}"
    folder, out = f"{base}/outputs", f"{base}/outputs/out"
    table_writer.write(spark.range(3), f"{folder}/.out.old-{ended_run}")
    table_writer.write(spark.range(5), f"{folder}/.out.tf2spark-{ended_run}")
    table_writer.prepare_output(spark, out, mode="overwrite")
    try:
        hadoop.rename_new(spark, f"{base}/scored", f"{base}/ctr")
        renamed = "onto or into another"
    except FileExistsError:
        renamed = "no"
    # Some object stores keep an empty folder where a table was.
    left = [
        name for name in hadoop.folders(spark, folder) if hadoop.files(spark, f"{folder}/{name}")
    ]
    return {
        "rows_after_kill": spark.read.parquet(out).count() if hadoop.exists(spark, out) else None,
        "left_after_kill": len(left),
        "renamed": renamed,
    }


def merged(spark: SparkSession, out: str) -> dict[str, Any]:
    """Add rows to a partitioned folder, replace a partition, and name a bucket that isn't there."""

    def put(start: int, days: str, mode: SaveMode) -> list[int]:
        rows = [(start + number, day) for number, day in enumerate(days)]
        df = spark.createDataFrame(rows, "id BIGINT, dt STRING")
        table_writer.write(df, out, mode=mode, partition_by=["dt"])
        return sorted(row.id for row in spark.read.parquet(out).collect())

    bucket = "s3a://no-such-bucket/out" if out.startswith("s3a:") else ""
    return {
        "appended": [put(0, "ab", "append"), put(10, "bc", "append")],
        "replaced": put(20, "b", "overwrite_partitions"),
        "no_bucket": error_of(lambda: table_writer.prepare_output(spark, bucket)) if bucket else "",
    }


def with_op_library(spark: SparkSession, base: str) -> dict[str, Any]:
    """Score with a model and an op library that are both on the storage."""
    with tempfile.TemporaryDirectory() as folder:
        write_word_model(Path(folder))
        upload_folder(spark, Path(folder), base)
    library = f"{base}-library/our_ops.so"
    hadoop.upload(spark, text_library(), library)
    texts = spark.createDataFrame([("a b",), ("a b c",)], "text string")
    scored = tf2spark.SavedModel(base, op_libraries=[library]).score(texts)
    package = tf2spark.SavedModel(base, op_libraries=[library]).compile(f"{base}.tf2spark")
    here = package.score(pa.table({"text": ["a b c d"]}))
    return {
        "words": sorted(row.words for row in scored.collect()) + here["words"].to_pylist(),
        "no_library": error_of(lambda: tf2spark.SavedModel(base).score(texts)),
        "library_missing": error_of(lambda: tf2spark.SavedModel(base, op_libraries=["x.so"])),
        "library_not_there": error_of(
            lambda: tf2spark.SavedModel(base, op_libraries=[f"{base}/none.so"])
        ),
        "library_is_folder": error_of(
            lambda: tf2spark.SavedModel(base, op_libraries=[f"{base}-library"])
        ),
    }


def keras_files(spark: SparkSession, base: str) -> dict[str, Any]:
    """Compile Keras files of both formats from the storage; name them where one is opened."""
    import keras

    layer = keras.layers.Dense(1, kernel_initializer="ones")
    model, found = keras.Sequential([keras.Input((2,), name="x"), layer]), {}
    for ending in ("keras", "h5"):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras advises against .h5
            model.save(f"{folder}/model.{ending}")
            hadoop.upload(spark, Path(folder, f"model.{ending}"), f"{base}/model.{ending}")
        uri = f"{base}/model.{ending}"
        package = tf2spark.compile_model(uri, f"{base}-{ending}.tf2spark")
        (output,) = package.contract.signatures[0].outputs
        scored = package.score(pa.table({"x": [[1.0, 2.0]]}))
        found[f"{ending}_scored"] = scored[output.name].to_pylist()
        found[f"{ending}_opened"] = error_of(lambda uri=uri: tf2spark.SavedModel(uri))
    found["keras_folder"] = error_of(lambda: tf2spark.SavedModel(base))
    return found


def other_formats(spark: SparkSession, base: str, model: str) -> dict[str, str]:
    """Return the errors of files that are of other formats, by name or by content."""
    contents = {
        "model.tflite": b"\x1c\0\0\0TFL3",
        "model.onnx": b"\x08\x07",
        "weights": b"\x89HDF\r\n\x1a\n",
        "model.tar.gz": b"\x1f\x8b",
        "pointer.keras": b"version https://git-lfs.github.com/spec/v1",
        "step/step-1.index": b"",
        "notes.txt": b"no model",
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            path = Path(folder, "file")
            path.write_bytes(content)
            hadoop.upload(spark, path, f"{base}/{name}")
    paths = [*(f"{base}/{name}" for name in contents), f"{base}/step/step-1", f"{base}/step"]
    paths += [f"{model}/variables", f"{model}/variables/variables.index", f"{model}/saved_model.pb"]
    return {f"other:{path.rpartition('/')[2]}": error_of(open_later(path)) for path in paths}


def open_later(path: str) -> Any:
    return lambda: tf2spark.SavedModel(path)


def records(spark: SparkSession, base: str) -> dict[str, Any]:
    """Write TFRecord files to the storage in all ways, and read them."""
    tf2spark.register_tfrecord(spark)
    rows = spark.range(6).selectExpr("id as n", "concat('w', id) as word").repartition(2)

    def save(df: Any, mode: str) -> list[int]:
        df.write.format("tfrecord").mode(mode).save(base)
        reader = spark.read.format("tfrecord").schema("n long, word string")
        return sorted(row.n for row in reader.load(base).collect())

    saved = [
        save(rows, "append"),
        save(rows.where("n > 3"), "append"),
        save(rows.where("n < 2"), "overwrite"),
    ]
    table_writer.write(rows, f"{base}-cli", format="tfrecord")
    table_writer.write(rows, f"{base}-cli", format="tfrecord", mode="append")
    read = spark.read.format("tfrecord")
    parent, _, name = base.rpartition("/")
    hidden = [folder for folder in hadoop.folders(spark, parent) if folder.startswith(f".{name}")]
    return {
        "records": saved,
        "records_cli": read.load(f"{base}-cli").count(),
        "records_glob": read.load(f"{base}-c*/*.tfrecord").count(),
        "records_hidden": [each for each in hidden if hadoop.files(spark, f"{parent}/{each}")],
        "records_missing": error_of_job(lambda: read.load(f"{base}/nowhere").count()),
    }


def error_of_job(call: Any) -> str:
    """Return the error of ours that a job's exception names."""
    try:
        call()
    except Exception as error:
        return str(from_text(str(error)) or error)
    return "no error"


def score_here(package: tf2spark.SavedModel, table: pa.Table) -> Any:
    """Score in this process."""
    return package.score(table, keep=["id"], reproducible=True).sort_by("id").to_pydict()


def wrong_key_error(spark: SparkSession, base: str) -> str:
    """Return S3's error for a wrong secret; another bucket makes Hadoop open a new connection."""
    if not base.startswith("s3a:"):
        return ""
    spark.conf.set("fs.s3a.secret.key", "wrong")
    return error_of(lambda: tf2spark.SavedModel("s3a://another/models/ctr"))


def failures(spark: SparkSession, base: str, model_path: str) -> dict[str, str]:
    """Return the errors of models that are missing, partial or damaged."""
    upload_folder(spark, Path(model_path), f"{base}/half", without="variables/variables.index")
    model = tf2spark.SavedModel(f"{base}/ctr/3")
    for name in ("unwritten", "partial", "flipped"):
        model.compile(f"{base}/{name}")
    (stored,) = [file.path for file in hadoop.files(spark, f"{base}/partial/{FILES}")]
    hadoop.delete(spark, f"{base}/unwritten/{MANIFEST}")
    hadoop.delete(spark, f"{base}/partial/{FILES}/{stored}")
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / stored
        hadoop.download(spark, f"{base}/flipped/{FILES}/{stored}", local)
        content = bytearray(local.read_bytes())
        content[len(content) // 2] ^= 1
        local.write_bytes(content)
        hadoop.upload(spark, local, f"{base}/flipped/{FILES}/{stored}")
    # This process has a good copy, which would be used instead.
    (staging_folder() / FILES / stored).unlink(missing_ok=True)
    return {
        "missing": error_of(lambda: tf2spark.SavedModel(f"{base}/nowhere")),
        "no_version": error_of(lambda: tf2spark.SavedModel(f"{base}/ctr", version=4)),
        "half": error_of(lambda: tf2spark.SavedModel(f"{base}/half")),
        "unwritten": error_of(lambda: tf2spark.SavedModel(f"{base}/unwritten")),
        "partial": error_of(lambda: tf2spark.SavedModel(f"{base}/partial")),
        "flipped": error_of(lambda: tf2spark.SavedModel(f"{base}/flipped")),
        "exists": error_of(lambda: model.compile(f"{base}/ctr.tf2spark")),
        "no_package": error_of(lambda: model.compile(f"{base}/ctr", overwrite=True)),
        "unknown_scheme": error_of(lambda: tf2spark.SavedModel("swift://c/models/ctr")),
        "wrong_key": wrong_key_error(spark, base),
        "missing_jar": error_of(lambda: tf2spark.SavedModel("oss://bucket/models/ctr")),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
