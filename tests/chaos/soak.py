"""Hours of jobs in one session, and what they leave: memory, descriptors, threads, files.

``make soak`` runs ``python -m chaos.soak --minutes 120``: tables are scored, with both ways of
reading, users get recommendations, a stream runs, models are new, and thousands of tiny tasks run
on workers that are reused. Driver, Spark's JVMs and Python workers are sampled; the slopes are
printed, and the exit status is 1 if something grows.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import keras
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from cases import recommenders
from cases.models import case, path_of
from cases.recommenders.running import path_of as recommender_path
from cases.streams import finish, start, stream_of, write_files
from chaos.samples import Sample, growing, sample, slopes
from chaos.sessions import start_session
from chaos.workers_job import write_tables
from tf2spark.binding.options import Read

_MASTER = "local-cluster[2,1,900]"
_TINY_TASKS = 250
_ROUND_MIN_SECONDS = 5.0
_MODELS = 12

_READS: tuple[Read, ...] = ("spark", "worker")


def write_models(folder: Path) -> list[Path]:
    """Write models that differ in their weights, and so in their digests."""
    paths = []
    for number in range(_MODELS):
        keras.utils.set_random_seed(number)
        inputs = keras.Input((8,), name="features")
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(64)(inputs)))
        paths.append(folder / f"model-{number}")
        model.export(str(paths[-1]), verbose=False)
    return paths


class Round:
    """What a round of the soak does, each part with the rows that it must give.

    Args:
        spark: The session.
        folder: Tables and models, as `write_tables` and `write_models` have written them.
        models: The folders of the models, which are taken in turn.
    """

    def __init__(self, spark: SparkSession, folder: Path, models: list[Path]) -> None:
        self.spark, self.folder = spark, folder
        self.models: Iterator[Path] = itertools.cycle(models)
        self.model = tf2spark.SavedModel(path_of(case("keras_mlp")))
        self.pairs = recommenders.case("deepfm_keras")
        self.recommender = tf2spark.SavedModel(recommender_path(self.pairs))
        self.tasks = 0
        self.rounds = 0

    def table(self, name: str) -> DataFrame:
        return self.spark.read.parquet(str(self.folder / name))

    def score(self) -> None:
        for read in _READS:
            scored = self.model.score(self.table("rows"), keep=["id"], read=read)
            assert scored.count() == 16_000
            self.tasks += 4

    def score_with_new_model(self) -> None:
        """Copy a model, as a new version is published, score with it, and remove it."""
        version = self.folder / f"version-{self.rounds}"
        shutil.copytree(next(self.models), version)
        scored = tf2spark.SavedModel(version).score(self.table("rows"), keep=["id"])
        assert scored.count() == 16_000
        shutil.rmtree(version)
        self.tasks += 4

    def recommend(self) -> None:
        best = self.recommender.recommend(
            self.table("users"), self.table("items.parquet"), 5,
            feed=self.pairs.feed, score=self.pairs.score,
        )  # fmt: skip
        assert best.count() == 1_600
        self.tasks += 5

    def stream(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            source = write_files(Path(name) / "source", 4)
            finish(start(self.model.score(stream_of(self.spark, source), keep=["id"]), name))
            assert self.spark.read.parquet(f"{name}/scored").count() == 80
        self.tasks += 4

    def run_tiny_tasks(self) -> None:
        rows = self.table("rows").limit(4 * _TINY_TASKS).repartition(_TINY_TASKS)
        assert self.model.score(rows, keep=["id"]).count() == 4 * _TINY_TASKS
        self.tasks += _TINY_TASKS

    def run(self) -> None:
        for step in (
            self.score, self.score_with_new_model, self.recommend, self.stream,
            self.run_tiny_tasks,
        ):  # fmt: skip
            step()
        self.rounds += 1


def soak(minutes: float, folder: Path) -> tuple[list[Sample], Round]:
    """Run rounds for this long; return a sample after each round, and what ran."""
    write_tables(folder)
    models = write_models(folder)
    settings = {
        "spark.sql.files.openCostInBytes": "128m",
        "spark.local.dir": str(folder / "local"),
        "spark.driver.memory": "800m",
        # A JVM fills its heap before it collects. Here it has all of it at once, so that what grows
        # is beside it.
        "spark.executor.extraJavaOptions": " ".join(
            (os.environ.get("SPARK_SUBMIT_OPTS", ""), "-Xms600m -XX:+AlwaysPreTouch")
        ).strip(),
        # What Spark keeps of ended jobs for its UI: the figures are to show what isn't bounded.
        "spark.ui.retainedJobs": "20", "spark.ui.retainedStages": "20",
        "spark.ui.retainedTasks": "1000", "spark.sql.ui.retainedExecutions": "20",
        "spark.sql.streaming.ui.retainedQueries": "5",
    }  # fmt: skip
    rounds = Round(start_session(_MASTER, settings), folder, models)
    samples, ends = [], time.monotonic() + 60 * minutes
    while time.monotonic() < ends:
        started = time.monotonic()
        rounds.run()
        samples.append(sample(rounds.spark, folder))
        print(json.dumps({"round": rounds.rounds, "tasks": rounds.tasks, **samples[-1]}))
        sys.stdout.flush()
        time.sleep(max(0.0, _ROUND_MIN_SECONDS - (time.monotonic() - started)))
    rounds.spark.stop()
    return samples, rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="tf2spark-soak-") as name:
        os.environ["TMPDIR"] = name
        tempfile.tempdir = None  # read anew
        for each in ("cache", "zoo"):
            (Path(name) / each).mkdir()
        os.environ["TF2SPARK_CACHE"] = f"{name}/cache/models"
        os.environ.setdefault("TF2SPARK_TEST_MODELS", f"{name}/zoo")
        samples, rounds = soak(minutes, Path(name))
    print(f"{rounds.rounds:,} rounds, {rounds.tasks:,} tasks, {minutes:g} minutes")
    for line in slopes(samples):
        print(line)
    grown = growing(samples)
    print(f"growing: {', '.join(grown)}" if grown else "nothing grows")
    sys.exit(1 if grown else 0)


if __name__ == "__main__":
    main()
