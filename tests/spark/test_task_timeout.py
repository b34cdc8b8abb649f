"""`task_timeout`: tasks of Spark whose model hangs end, and the job with one error."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.hanging_models import (
    write_deadlock,
    write_endless_loop,
    write_pairs,
    write_slow,
)
from tf2spark.errors import ContractError, RunError, from_spark

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tf2spark.SavedModel]:
    folder = tmp_path_factory.mktemp("hanging")
    return {
        "endless": tf2spark.SavedModel(write_endless_loop(folder / "endless")),
        "deadlock": tf2spark.SavedModel(write_deadlock(folder / "deadlock"), allow_ops=["Unstage"]),
        "slow": tf2spark.SavedModel(write_slow(folder / "slow")),
    }


def rows(spark: SparkSession, *values: float) -> DataFrame:
    table = [(number, float(value)) for number, value in enumerate(values)]
    return spark.createDataFrame(table, "id BIGINT, x FLOAT").coalesce(1)


def message(run: Callable[[], Any]) -> str:
    with pytest.raises(RunError) as raised, from_spark():
        run()
    return str(raised.value)


@pytest.mark.parametrize("name", ["endless", "deadlock"])
@pytest.mark.parametrize("mode", ["failfast", "permissive"])
def test_a_run_that_hangs_ends_the_job(
    spark: SparkSession, models: dict[str, tf2spark.SavedModel], name: str, mode: Any
) -> None:
    """In every mode, with model, rows, limit and stack in one message."""
    model = models[name]
    scored = model.score(
        rows(spark, 1, 2, 3, 666), keep=["id"], batch_rows=2, mode=mode, task_timeout=2
    )
    said = message(scored.collect)
    lines = said.splitlines()
    assert lines[0] == (
        f"{model.contract.path} made no progress for 2 s in a run of 2 rows from row 2 of "
        "partition 0 (id=2) on"
    )
    assert any("session.py" in line and "in execute" in line for line in lines)
    assert "raise task_timeout=..." in lines[-1]


def test_what_is_slow_and_alive_is_not_ended(
    spark: SparkSession, models: dict[str, tf2spark.SavedModel]
) -> None:
    """A batch of many runs takes longer than the limit, each run less."""
    scored = models["slow"].score(rows(spark, *range(1, 9)), batch_rows=1, task_timeout=2)
    started = time.monotonic()
    assert [row.y for row in scored.orderBy("id").collect()] == [value + 1 for value in range(1, 9)]
    assert time.monotonic() - started > 2, "nothing was slow"


def test_waiting_for_rows_is_no_hang(
    spark: SparkSession, models: dict[str, tf2spark.SavedModel]
) -> None:
    """A table whose own rows take longer than the limit."""

    def slow(batches: Any) -> Any:
        for batch in batches:
            time.sleep(3)
            yield batch

    table = rows(spark, 1, 2).mapInArrow(slow, "id BIGINT, x FLOAT")
    assert models["endless"].score(table, task_timeout=1).count() == 2


def test_a_column_function_has_a_limit_too(
    spark: SparkSession, models: dict[str, tf2spark.SavedModel]
) -> None:
    """As an expression and in SQL."""
    model = models["endless"]
    scored = rows(spark, 666).select(model.udf(task_timeout=2)(F.col("x")))
    assert "made no progress for 2 s" in message(scored.collect)
    model.register(spark, "hangs", task_timeout=2)
    said = message(lambda: spark.sql("SELECT hangs(666.0F)").collect())
    assert "made no progress for 2 s" in said


@pytest.mark.parametrize(
    ("position", "computes"), [(1, False), (500, True)], ids=["on the driver", "in a task"]
)
def test_recommend_has_a_limit(
    spark: SparkSession, tmp_path: Path, position: int, computes: bool
) -> None:
    """The first users run on the driver, which checks the plan, and then all in tasks."""
    # On the driver, what computes would go on until this process ends.
    pairs = write_pairs(tmp_path / "pairs", computes=computes)
    model = tf2spark.SavedModel(pairs, allow_ops=["Unstage"])
    tastes = [666.0 if number == position else 1.0 for number in range(600)]
    users = rows(spark, *tastes).select(F.col("id").alias("user_id"), F.col("x").alias("u"))
    items = rows(spark, 1, 2).select(F.col("id").alias("item_id"), F.col("x").alias("i"))
    said = message(lambda: model.recommend(users, items, 1, task_timeout=2).collect())
    assert "made no progress for 2 s" in said


@pytest.mark.parametrize("wrong", [0, -1, "60", True, float("inf"), float("nan")])
def test_a_limit_is_a_number_of_seconds(
    spark: SparkSession, models: dict[str, tf2spark.SavedModel], wrong: Any
) -> None:
    """At least one, as tasks are watched by the second."""
    with pytest.raises(ContractError, match="task_timeout must be at least 1 second, as a number"):
        models["slow"].score(rows(spark, 1), task_timeout=wrong)


def test_tables_of_this_process_have_no_limit(models: dict[str, tf2spark.SavedModel]) -> None:
    """The argument may stay in a call that is tried before it goes to Spark."""
    table = pa.table({"x": pa.array([1.0], pa.float32())})
    assert models["slow"].score(table, task_timeout=1).column("y").to_pylist() == [2.0]
