"""`resources`: what Spark gives the tasks that score; refused where it can't."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cases.frames import frame
from cases.models import case, path_of
from tf2spark import SavedModel
from tf2spark.errors import ContractError
from tf2spark.spark import resources
from tf2spark.spark.resources import task_cpus


def profile(cpus: int) -> ResourceProfile:
    return ResourceProfileBuilder().require(TaskResourceRequests().cpus(cpus)).build


@pytest.fixture(scope="module")
def model() -> SavedModel:
    return SavedModel(path_of(case("keras_mlp")))


def test_threads_follow_the_task(spark: SparkSession) -> None:
    """TensorFlow gets as many as the profile gives CPUs to a task, or else the session."""
    assert task_cpus(spark) == 1
    assert task_cpus(spark, profile(4)) == 4
    assert task_cpus(spark, ResourceProfileBuilder().build) == 1


def test_they_need_executors(spark: SparkSession, model: SavedModel) -> None:
    """A local master has none."""
    rows = frame(spark, case("keras_mlp").table(3))
    with pytest.raises(ContractError, match=r"resources need executors, .* on local\[2\]"):
        model.score(rows, resources=profile(2))


def test_they_are_a_profile(spark: SparkSession, model: SavedModel) -> None:
    """The message has what to write."""
    rows, wrong = frame(spark, case("keras_mlp").table(3)), {"cpus": 2}
    given: Any = wrong
    with pytest.raises(ContractError, match=r"not dict.*cpus\(2\)\)\.build"):
        model.score(rows, resources=given)


def test_a_table_in_this_process_has_no_tasks(model: SavedModel) -> None:
    """Tables of pandas and pyarrow are scored here."""
    with pytest.raises(ContractError, match="in this process"):
        model.score(case("keras_mlp").table(3), resources=profile(2))


def test_an_older_spark_has_no_such_stages(
    spark: SparkSession, model: SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark 3.5's `mapInArrow` takes no profile."""
    rows = frame(spark, case("keras_mlp").table(3))

    def map_in_arrow(function: Any, schema: Any, barrier: bool = False) -> None:
        raise AssertionError

    monkeypatch.setattr(rows, "mapInArrow", map_in_arrow)
    with pytest.raises(ContractError, match=r"Spark 4\.0 or later"):
        model.score(rows, resources=profile(2))


def test_kept_columns_must_reach_python(
    spark: SparkSession, model: SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that can't is named with the way out."""
    monkeypatch.setattr(resources, "runs_here", lambda master: False)
    rows = frame(spark, case("keras_mlp").table(3)).withColumn("c", F.expr("make_interval(1)"))
    with pytest.raises(ContractError, match=r'"c" \(interval\).* can\'t'):
        model.score(rows, resources=profile(2))


def test_recommend_takes_them(spark: SparkSession) -> None:
    """They are checked like those of `score`, before anything is computed."""
    recommender = SavedModel(path_of(case("mlp_128")))
    users, items = spark.range(2), spark.range(3)
    arguments: Any = {"user_id": "id", "item_id": "id"}
    with pytest.raises(ContractError, match=r"resources need executors, .* on local\[2\]"):
        recommender.recommend(users, items, resources=profile(2), **arguments)
    with pytest.raises(ContractError, match="in this process"):
        recommender.recommend(users.toPandas(), items, resources=profile(2), **arguments)
