"""Spark's observed metrics: what docs/logs_and_reports.md shows for tables and streams."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import tf2spark

_PAGE = Path(__file__).parents[2] / "docs" / "logs_and_reports.md"


def digest_of(model: tf2spark.SavedModel) -> str:
    """Return a model's digest as a column has it."""
    return model.digest.removeprefix("sha256:")


def test_the_example_of_the_page_counts(
    spark: SparkSession,
    mlp: tf2spark.SavedModel,
    tmp_path: Path,
) -> None:
    """Rows, refused rows and the model's digest come with the one action."""
    rows = [(list(map(float, range(8))),), (None,)]
    df = spark.createDataFrame(rows, "features array<double>")
    (code,) = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    code = code.replace('"scored"', repr(str(tmp_path / "scored")))
    names: dict[str, Any] = {"model": mlp, "df": df}
    exec(compile(code, _PAGE.name, "exec"), names)
    assert names["metrics"].get == {"rows": 2, "refused": 1, "model": digest_of(mlp)}


def test_a_stream_reports_metrics_with_its_progress(
    spark: SparkSession, mlp: tf2spark.SavedModel, tmp_path: Path
) -> None:
    """Each batch has its own counts."""
    rows = [(list(map(float, range(8))),)] * 3
    source = str(tmp_path / "in")
    spark.createDataFrame(rows, "features array<double>").write.parquet(source)
    stream = spark.readStream.schema("features array<double>").parquet(source)
    scored = mlp.score(stream, model_column="model").observe(
        "price", F.count(F.lit(1)).alias("rows"), F.max("model").alias("model")
    )
    writer = scored.writeStream.option("checkpointLocation", str(tmp_path / "checkpoint"))
    query = writer.trigger(availableNow=True).start(str(tmp_path / "out"), format="parquet")
    query.awaitTermination()
    observed = [each["observedMetrics"]["price"].asDict() for each in query.recentProgress]
    assert observed == [{"rows": 3, "model": digest_of(mlp)}]
