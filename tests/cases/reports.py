"""Facts of jobs, as a report shows them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve

from cases.models import case, path_of
from tf2spark.report.facts import JobFacts, WrittenTable
from tf2spark.runnable.model import RunnableModel
from tf2spark.worker.statistics.task import OutputStatistics, StatisticsPlan

HOSTILE = "<script>alert(1)</script>\"'&{{ 1234*5678 }}"


def statistics_of(
    outputs: Mapping[str, pa.Array],
    reasons: Sequence[str | None] | None = None,
    groups: pa.Array | None = None,
) -> OutputStatistics:
    """Statistics of columns as one task computes them."""
    plan = StatisticsPlan(len(outputs), reasons is not None, groups is not None)
    arrays = list(outputs.values())
    arrays += [] if reasons is None else [pa.array(reasons, pa.string())]
    arrays += [] if groups is None else [groups]
    names = [f"c{index}" for index in range(len(arrays))]
    statistics = OutputStatistics.empty(len(outputs))
    statistics.add(plan, pa.RecordBatch.from_arrays(arrays, names))
    statistics.settle()
    return statistics


def facts_of(written: WrittenTable, **changes: Any) -> JobFacts:
    """A job that scored with a small model and wrote this."""
    statistics = written.statistics
    rows = statistics.rows if statistics else 0
    model = RunnableModel(str(path_of(case("keras_lookups"))))
    facts = JobFacts(
        command="score",
        unit="rows",
        model="models/price",
        digest="sha256:" + 16 * "0c46",
        contract=model.contract,
        started=datetime.datetime(2026, 11, 29, 2, 0, 1, tzinfo=datetime.UTC),
        phases={"opening": 6.2, "scoring": 175.4},
        rows_in=rows,
        rows_out=rows,
        refused=statistics.refused if statistics else 0,
        tables=[("input", "houses"), ("output", "scored")],
        feed=[("city (string, [?])", "column city"), ("year (int64, [?])", "column year")],
        plan=["workers read 96 Parquet files", "batches of 4096 rows"],
        options=[("--mode", "permissive")],
        settings=[("spark.master", "local[2]"), ("spark.hadoop.fs.s3a.secret.key", "hunter2-long")],
        versions=[("tf2spark", "0.1.0"), ("Spark", "4.3.0"), ("TensorFlow", "2.20.0")],
        written=written,
        driver_peak_bytes=402_653_184,
        jvm_peaks=[("executors' heap, peak, the largest of 2", 3 << 30)],
    )
    return evolve(facts, **changes)


def nightly_job(rows: int = 20_000) -> JobFacts:
    """Outputs of many types over thirty days, with rows that were refused."""
    random = np.random.default_rng(7)
    day = random.integers(0, 30, rows)
    start = datetime.date(2026, 11, 1)
    dates = pa.array([start + datetime.timedelta(days=int(each)) for each in day])
    price = np.exp(random.normal(12.2 + 0.01 * day, 0.5))
    refused = random.random(rows) < 0.004
    reasons = [
        f'column "city" is null (row {row})' if bad else None for row, bad in enumerate(refused)
    ]
    probability = random.beta(2, 5, rows)
    probability[:3] = [np.nan, np.inf, -np.inf]
    outputs = {
        "price": pa.array(price, mask=refused),
        "probability": pa.array(probability, mask=refused),
        "class": pa.array(random.integers(0, 7, rows), mask=refused),
        "segment": pa.array(random.choice(["urban", "rural", "coast <b>"], rows), mask=refused),
        "is_outlier": pa.array(random.random(rows) < 0.02, mask=refused),
        "embedding": pa.array([list(row) for row in random.normal(size=(rows, 8))]),
    }
    statistics = statistics_of(outputs, reasons, dates)
    statistics.peak_bytes = {("host", 7): 1 << 30}
    rows_refused = [
        {"id": str(row), "city": "null", "year": "2001", "_error": str(reasons[row])}
        for row in np.flatnonzero(refused)[:6]
    ]
    return facts_of(
        WrittenTable(
            outputs=list(outputs),
            statistics=statistics,
            group_column="dt",
            refused_rows=rows_refused,
            seconds=3.1,
        )
    )
