"""A driver program: many jobs in one session, in each of which Python workers end or hang.

Run as ``python workers_job.py MASTER FOLDER JOBS HOW ...`` with faults of `pyspark_faulty_worker`,
which are taken in turn. The last line on stdout is JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import frozen
from pyspark.sql import SparkSession

import tf2spark
from cases import recommenders
from cases.models import case, path_of
from cases.recommenders.running import path_of as recommender_path
from chaos import faults
from chaos.compared_rows import difference
from chaos.sessions import start_session
from tf2spark.binding.options import Read

_ROWS, _USERS, _ITEMS, _FILES = 16_000, 1_600, 300, 4
_BATCH_ROWS = 500
_LIMIT_SECONDS = 10


@frozen
class Kind:
    """A kind of job: its name, what runs it, and the key of its rows."""

    name: str
    run: Callable[[], pa.Table]
    key: str


def write_tables(folder: Path) -> None:
    """Write rows to score and users, in as many files as there are to be tasks, and items."""
    rows = case("keras_mlp").table(_ROWS)
    tables = {
        "rows": rows.append_column("id", pa.array(range(_ROWS), pa.int64())),
        "users": recommenders.case("deepfm_keras").users(_USERS),
    }
    for name, table in tables.items():
        (folder / name).mkdir()
        size = table.num_rows // _FILES
        for number in range(_FILES):
            pq.write_table(table.slice(number * size, size), folder / name / f"{number}.parquet")
    pq.write_table(recommenders.case("deepfm_keras").items(_ITEMS), folder / "items.parquet")


def kinds(spark: SparkSession, folder: Path) -> list[Kind]:
    """Return the jobs: score, with both ways of reading, and recommend."""
    model = tf2spark.SavedModel(path_of(case("keras_mlp")))
    pairs = recommenders.case("deepfm_keras")
    recommender = tf2spark.SavedModel(recommender_path(pairs))

    def score(read: Read) -> pa.Table:
        rows = spark.read.parquet(str(folder / "rows"))
        return model.score(
            rows, keep=["id"], batch_rows=_BATCH_ROWS, read=read, task_timeout=_LIMIT_SECONDS
        ).toArrow()

    def recommend() -> pa.Table:
        users = spark.read.parquet(str(folder / "users"))
        items = spark.read.parquet(str(folder / "items.parquet"))
        best = recommender.recommend(
            users, items, 5, feed=pairs.feed, score=pairs.score, task_timeout=_LIMIT_SECONDS
        )
        return best.toArrow()

    return [
        Kind("score, read by Spark", lambda: score("spark"), "id"),
        Kind("score, read by workers", lambda: score("worker"), "id"),
        Kind("recommend", recommend, "user_id"),
    ]


def main(master: str, folder: Path, jobs: int, *how: str) -> None:
    orders = folder / "faults"
    orders.mkdir(parents=True)
    os.environ.update(faults.environment(orders))
    write_tables(folder)
    settings = {
        "spark.sql.files.openCostInBytes": "128m",  # each file is a task
        "spark.sql.execution.arrow.maxRecordsPerBatch": "200",
        **faults.settings(orders),
    }
    spark = start_session(master, settings)
    known = [(kind, kind.run()) for kind in kinds(spark, folder)]
    chance, counted = random.Random(7), Counter[str]()
    ends = itertools.cycle(how)
    for number in range(jobs):
        kind, expected = known[number % len(known)]
        before = len(faults.injected(orders))
        for _ in range(1 + number % 2):
            faults.order(orders, next(ends), chance.randrange(1, 4))
        wrong = difference(kind.run(), expected, kind.key)
        faults.withdraw(orders)
        happened = len(faults.injected(orders)) - before
        assert happened >= 1, f"nothing happened to job {number} ({kind.name})"
        counted += Counter(
            jobs=1, rows=expected.num_rows, lost=wrong.lost, doubled=wrong.doubled,
            changed=wrong.changed, faults=happened,
        )  # fmt: skip
    spark.stop()
    print(json.dumps({"ends": Counter(faults.injected(orders)), **counted}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
