"""What a call of `recommend` leaves behind: nothing that grows."""

from __future__ import annotations

import gc
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from pyspark.sql import SparkSession

import tf2spark
from cases.models.saving import save_function
from tf2spark.errors import ModelError
from tf2spark.package.staging import staging_folder
from tf2spark.plan.score import ModelRef
from tf2spark.recommend import job_folder
from tf2spark.recommend.job_folder import keep_job_folder, new_job_folder
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.spark_tasks import open_session

USERS = pa.table({"user_id": [1, 2], "user": [1.0, 2.0]})


def items(seed: int = 0) -> pa.Table:
    numbers = np.random.default_rng(seed).uniform(0, 1, 5).astype(np.float32)
    return pa.table({"item_id": range(5), "item": numbers})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that scores ``user * item * weight``, with a weight of its own for each item."""
    folder = tmp_path_factory.mktemp("job") / "model"
    save_function(
        folder,
        lambda user, item, weights: {"score": tf.gather(weights, tf.cast(item * 1999, tf.int32))},
        tf.TensorSpec([None], tf.float32, "user"),
        tf.TensorSpec([None], tf.float32, "item"),
        tf.TensorSpec([2000], tf.float32, "weights"),
    )
    return folder


def open_sessions() -> int:
    gc.collect()
    return sum(
        isinstance(value, CApiSession) and value._session is not None for value in gc.get_objects()
    )


def left_behind() -> set[Path]:
    gc.collect()
    return {path for path in staging_folder().iterdir() if path.name != "files"}


WEIGHTS = np.linspace(0, 1, 2000).astype(np.float32)


def test_calls_leave_neither_sessions_nor_folders(path: Path) -> None:
    """Twelve catalogs later, the process has the sessions and folders that it began with."""
    feed = {"weights": tf2spark.literal(WEIGHTS)}
    before = open_sessions(), left_behind()
    for seed in range(12):
        model = tf2spark.SavedModel(path)
        assert model.recommend(USERS, items(seed), 2, feed=feed).num_rows == 2
        model.plan(USERS, items(seed), 2, feed=feed)
        del model
    assert (open_sessions(), left_behind()) == before


def test_a_call_that_fails_leaves_nothing(path: Path) -> None:
    """A wrong item id is found after the graph was split and written."""
    model = tf2spark.SavedModel(path)
    before = left_behind()
    with pytest.raises(tf2spark.errors.ContractError):
        model.recommend(
            USERS, pa.concat_tables([items(), items()]), feed={"weights": tf2spark.literal(WEIGHTS)}
        )
    new = left_behind() - before
    assert all(folder.name.startswith("unpacked-") for folder in new), new


@pytest.mark.parametrize("kind", [np.asarray, list], ids=["array", "list"])
def test_constants_that_look_alike_are_told_apart(path: Path, kind: Any) -> None:
    """Two long arrays that differ in the middle, where NumPy prints dots, rank differently."""
    model = tf2spark.SavedModel(path)
    table = pa.table({"item_id": [10, 20, 30], "item": pa.array([0, 0.5, 1], pa.float32())})
    second = WEIGHTS.copy()
    second[999] = 9.0
    best = [
        model.recommend(USERS, table, 1, feed={"weights": tf2spark.literal(kind(weights))})
        for weights in (WEIGHTS, second, WEIGHTS)
    ]
    assert [rows["recommendations"][0][0]["item_id"].as_py() for rows in best] == [30, 20, 30]


def test_models_compiled_for_other_constants_are_dropped(path: Path) -> None:
    """One model keeps the last few that it compiled, and their folders go with them."""
    model, before = tf2spark.SavedModel(path), left_behind()
    for value in range(7):
        feed = {"weights": tf2spark.literal(WEIGHTS + value)}
        model.recommend(USERS, items(), 1, feed=feed)
    assert len(left_behind() - before) == 4


def test_folders_of_spark_jobs_are_kept_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lazy job's folder outlives the call, until so many others have been kept."""
    monkeypatch.setattr(job_folder, "_kept", deque())
    monkeypatch.setattr(job_folder, "KEPT_JOBS", 2)
    folders = []
    for _ in range(3):
        with new_job_folder(tmp_path) as folder:
            folders.append(folder)
        keep_job_folder(folder)
        keep_job_folder(folder)
    assert [folder.exists() for folder in folders] == [False, True, True]


def test_a_job_whose_folder_is_gone_says_so(tmp_path: Path) -> None:
    """An evicted job is one message, whatever file a worker looks for first."""
    gone = ModelRef(str(tmp_path / "gone"), ("serve",), "digest", storage="own")
    with pytest.raises(ModelError, match="the files of this recommend job are gone"):
        open_session(gone)


def test_equal_spark_jobs_find_their_files(
    path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the worker opened the model in the folder of a job that is gone by now.

    A loop over micro-batches is such a series of calls.
    """
    monkeypatch.setattr(job_folder, "_kept", deque())
    monkeypatch.setattr(job_folder, "KEPT_JOBS", 1)
    model, feed = tf2spark.SavedModel(path), {"weights": tf2spark.literal(WEIGHTS)}
    users, table = (spark.createDataFrame(part.to_pandas()) for part in (USERS, items(4)))
    for _ in range(2):
        assert model.recommend(users.coalesce(1), table, 2, feed=feed).count() == 2


def test_a_spark_job_may_run_long_after_its_call(path: Path, spark: SparkSession) -> None:
    """Other calls in between don't take its files away."""
    model, feed = tf2spark.SavedModel(path), {"weights": tf2spark.literal(WEIGHTS)}
    users, table = (spark.createDataFrame(part.to_pandas()) for part in (USERS, items(3)))
    lazy = model.recommend(users, table, 2, feed=feed)
    for seed in range(3):
        model.recommend(USERS, items(seed), 2, feed=feed)
    assert lazy.count() == 2
