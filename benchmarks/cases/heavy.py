"""Models in which nearly all of the time is TensorFlow's: as fast as in Python, on Spark too.

Each is scored on Spark by us and the peers, and in one process by us and `tf.saved_model.load`.
"""

from __future__ import annotations

from typing import Any

from benchmarks import models
from benchmarks.cases.rows import PEER, READ, US, run_rows
from benchmarks.contenders import peer_contender
from benchmarks.harness import Bench, Contender
from benchmarks.heavy_models import TOKENS
from benchmarks.heavy_tables import IMAGES, TEXT, TRANSFORMER, HeavyModel
from benchmarks.peers import predict_batch_udf as peer
from benchmarks.reports import Report
from benchmarks.scoring import score_table

PEERS = ("predict_batch_udf", "mlflow", "ray", "onnx", "tensorflow")
LOADED = "tf.saved_model.load in Python"
COMPILED = "tf2spark, compiled"
# The best of 32 to 1,024 for the peers' Transformer; ours chooses by itself.
PEER_BATCH_ROWS = 64


def run(bench: Bench) -> Report:
    report = Report("heavy: a Transformer, ResNet50 on JPEG files, and a model of texts")
    for model in (TRANSFORMER, IMAGES, TEXT):
        _run_on_spark(bench, report, model)
        if bench.peer in (None, "tensorflow"):
            _run_in_process(bench, report, model)
    return report


def _run_on_spark(bench: Bench, report: Report, model: HeavyModel) -> None:
    rows = bench.choose_rows(small=model.small, full=model.full)
    path = models.path_of(bench.folder, model.name)
    package = models.package_of(bench.folder, model.name)
    table = model.table(bench.folder, rows)
    df = bench.spark.read.parquet(table)
    width = TOKENS if model is TRANSFORMER else 0
    options: dict[str, Any] = {"feed": {model.column: model.column}, "fetch": {"score": "output_0"}}
    udf = peer.heavy_udf(path, model.column, width, batch_rows=PEER_BATCH_ROWS)
    arguments = {
        "model": path,
        "table": table,
        "kind": "heavy",
        "column": model.column,
        "width": width,
    }
    contenders = [
        Contender(US, lambda: score_table(path, df, ["id"], **options)),
        Contender(COMPILED, lambda: score_table(package, df, ["id"], **options)),
        Contender(PEER, lambda: df.select("id", udf(model.column).alias("score")), peer=PEER),
        *(peer_contender(bench, name, arguments) for name in PEERS[1:4]),
        Contender(READ, lambda: df, python=False),
    ]
    report.add(f"### {model.name}, on Spark: {model.description}, {rows:,} rows")
    run_rows(bench, report, f"{model.name} on Spark", contenders, rows, {PEER: 1})


def _run_in_process(bench: Bench, report: Report, model: HeavyModel) -> None:
    rows = bench.choose_rows(small=model.small, full=model.in_process)
    path = models.path_of(bench.folder, model.name)
    package = models.package_of(bench.folder, model.name)
    table = model.table(bench.folder, rows)

    def contender(name: str, scorer: str, scored: str, peer: str | None = None) -> Contender:
        arguments = {"scorer": scorer, "model": scored, "table": table, "column": model.column}
        process = bench.peer_process(name, "in_process", arguments)
        return Contender(name, process=process, python=False, peer=peer)

    contenders = [
        contender(US, "tf2spark", path),
        contender(COMPILED, "tf2spark", package),
        contender(LOADED, "tensorflow", path, "tensorflow"),
    ]
    job = f"{model.name} in one process"
    report.add(f"### {job}, {rows:,} rows")
    timings = run_rows(bench, report, job, contenders, rows, {LOADED: 1})
    if LOADED in timings:
        ratio = timings[LOADED].median / timings[COMPILED].median
        report.target(f"Compiled, faster than {LOADED} ({job})", 1.05, ratio)
