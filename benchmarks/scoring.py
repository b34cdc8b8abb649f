"""Our own contenders, with the carrier of their batches where a case chooses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

from pyspark.sql import DataFrame

import tf2spark
from tf2spark.spark import score


def score_table(
    path: str,
    df: DataFrame,
    keep: Sequence[str] | None,
    *,
    carrier: str | None = None,
    **options: Any,
) -> DataFrame:
    """Return `model.score(df)`, by the given carrier or by the one that `score` chooses."""
    model = tf2spark.SavedModel(path)
    if carrier is None:
        return model.score(df, keep=keep, **options)
    with mock.patch.object(score, "choose_carrier", return_value=carrier):
        return model.score(df, keep=keep, read="spark", **options)


def describe_carrier(table: DataFrame) -> str:
    """Say how the rows of a scored table get to the worker, from its physical plan."""
    plan = table._jdf.queryExecution().executedPlan().toString()
    if "MapInArrow" not in plan:
        return "arrow_udf"
    return "mapInArrow" if "FileScan" in plan else "files read by the worker"
