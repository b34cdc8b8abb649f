"""Our own contenders, and the carrier of their batches where a case wants to choose it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

from pyspark.sql import DataFrame

import tf2spark
from tf2spark.spark import score


def scored(
    path: str, df: DataFrame, keep: Sequence[str] | None, *, carrier: str | None = None, **how: Any
) -> DataFrame:
    """Return `model.score(df)`, by the carrier that is said, or as `score` chooses."""
    model = tf2spark.SavedModel(path)
    if carrier is None:
        return model.score(df, keep=keep, **how)
    with mock.patch.object(score, "choose_carrier", return_value=carrier):
        return model.score(df, keep=keep, read="spark", **how)


def chosen_carrier(table: DataFrame) -> str:
    """Tell how a scored table's rows get to the worker, from its physical plan."""
    text = table._jdf.queryExecution().executedPlan().toString()
    if "MapInArrow" not in text:
        return "arrow_udf"
    return "mapInArrow" if "FileScan" in text else "the worker, which reads the files itself"
