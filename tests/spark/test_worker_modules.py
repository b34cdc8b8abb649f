"""What Spark's Python workers load of tf2spark: the worker's side, and nothing of the driver's."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases import recommenders
from cases.frames import frame
from cases.recommenders.calls import recommended
from cases.tiny_models import save_graph_model

# What ARCHITECTURE.md lets an executor load.
_HOMES = {"worker", "conversion", "tensorflow_c", "plan", "package"}
_HOMES |= {"dtypes", "errors", "shown_text", "_vendored"}
_NOT_IN_WORKERS = ("google.protobuf", "tensorflow", "keras", "click", "rich")
# Only a worker that has scored has it.
_SCORED = "tf2spark.worker.model_session"


@pytest.fixture(autouse=True)
def fresh_workers(spark: SparkSession) -> Iterator[None]:
    """New Python workers for each test: Spark reuses only those with the same environment."""
    environment = spark.sparkContext.environment
    environment["TF2SPARK_TEST_WORKERS"] = uuid.uuid4().hex
    yield
    del environment["TF2SPARK_TEST_WORKERS"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tf2spark.SavedModel:
    path = tmp_path_factory.mktemp("model") / "graph"
    save_graph_model(path)
    return tf2spark.SavedModel(path)


@pytest.fixture
def table(spark: SparkSession, tmp_path: Path) -> DataFrame:
    """Rows for the model, in a Parquet file."""
    x = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": [1, 2], "name": ["a", "b"], "x": x}), tmp_path / "x.parquet")
    return spark.read.parquet(str(tmp_path / "x.parquet"))


def modules_of_workers(spark: SparkSession) -> set[str]:
    """Return what is loaded by the workers that have scored."""

    def list_modules(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow

        for _ in batches:
            names = sorted(sys.modules) if _SCORED in sys.modules else []
            yield pyarrow.RecordBatch.from_pydict({"name": pyarrow.array(names, pyarrow.string())})

    # More tasks than slots, so that every idle worker is asked.
    names = spark.range(0, 8, 1, 8).mapInArrow(list_modules, "name string").distinct().collect()
    return {row["name"] for row in names}


def check_modules(spark: SparkSession) -> None:
    names = modules_of_workers(spark)
    assert _SCORED in names, "no worker has scored"
    ours = sorted(name for name in names if name.startswith("tf2spark."))
    assert [name for name in ours if name.split(".")[1] not in _HOMES] == []
    assert [name for name in _NOT_IN_WORKERS if name in names] == []


SCORES: dict[str, tuple[str, Callable[[tf2spark.SavedModel, DataFrame], DataFrame]]] = {
    "rows to mapInArrow": (
        "MapInArrow",
        lambda model, table: model.score(table, keep=["id"], read="spark"),
    ),
    "files read by workers": (
        "Range",
        lambda model, table: model.score(table, keep=["id"], read="worker"),
    ),
    "columns to an arrow_udf": (
        "ArrowEvalPython",
        lambda model, table: model.score(table, read="spark"),
    ),
}


@pytest.mark.parametrize("carrier", SCORES)
def test_score_loads_only_the_worker_s_side(
    spark: SparkSession,
    model: tf2spark.SavedModel,
    table: DataFrame,
    carrier: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However rows get to the workers: through the JVM, from files or as columns."""
    operator, score = SCORES[carrier]
    if operator == "ArrowEvalPython" and not hasattr(F, "arrow_udf"):
        pytest.skip("this PySpark has no arrow_udf")
    scored = score(model, table)
    scored.explain()
    assert operator in capsys.readouterr().out
    assert scored.count() == len(scored.collect()) == 2
    check_modules(spark)


@pytest.mark.parametrize("name", ["deepfm_keras", "softmax_over_batch"], ids=["split", "whole"])
def test_recommend_loads_only_the_worker_s_side(spark: SparkSession, name: str) -> None:
    """Workers of a split graph and of a whole one: no protobuf, no algebra, no binding."""
    case = recommenders.case(name)
    users, items = frame(spark, case.users(4)), frame(spark, case.items(6))
    recommendations = recommended(case, users, items, 3)
    assert len(recommendations.collect()) == 4
    check_modules(spark)
