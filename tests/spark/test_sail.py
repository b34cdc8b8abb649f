"""Sail, a server of Spark Connect without a JVM, by the package pyspark-client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import save_function
from cases.tiny_models import save_graph_model

pytestmark = pytest.mark.cluster

_JOB = Path(__file__).parents[1] / "services" / "sail_job.py"
# `make unit` installs Sail and its client here: it doesn't know the PySpark of the environment.
_SAIL = Path(sys.prefix) / "sail"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of rows, and one of pairs."""
    folder = tmp_path_factory.mktemp("sail")
    save_graph_model(folder / "model")
    specs = [tf.TensorSpec([None, 2], name="u"), tf.TensorSpec([None, 2], name="i")]
    save_function(folder / "pairs", lambda u, i: tf.reduce_sum(u * i, 1, keepdims=True), *specs)
    return folder


@pytest.fixture(scope="module")
def report(models: Path) -> dict[str, Any]:
    """What a program saw that scores on a server of Sail."""
    if not (_SAIL / "pysail").is_dir():
        pytest.skip("Sail isn't installed: `make unit` does that")
    (models / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, _JOB, models / "model", models / "pairs", models / "empty"],
        env={**os.environ, "PYTHONPATH": str(_SAIL)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("way", ["score", "score_with_features", "udf", "sql", "function"])
def test_scores_are_those_of_this_process(way: str, report: dict[str, Any], models: Path) -> None:
    """Whoever carries the rows, bit by bit."""
    frame = pd.DataFrame({"id": range(500), "x": [[float(row), 1.5] for row in range(500)]})
    scored = tf2spark.SavedModel(models / "model").score(frame, fetch=["score"])
    assert report[way] == scored[["id", "score"]].to_numpy().tolist()


def test_users_get_their_items(report: dict[str, Any]) -> None:
    """The item side is computed there, too."""
    assert report["recommend"] == [[1, 7, 1.0], [1, 8, 2.0], [2, 7, 3.0], [2, 8, 1.0]]


def test_a_worker_s_error_is_ours(report: dict[str, Any]) -> None:
    """A bad row, and a model that isn't at its path."""
    assert report["bad_row"].startswith('RowError: row 0 (id=1) can\'t be scored: column "x" has 1')
    assert report["gone"].startswith("ModelError: ")
    assert "model" in report["gone"]
