"""Every model of the zoo, scored by TensorFlow directly, in this process, and on Spark."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

import tf2spark
from cases.comparing import assert_same
from cases.frames import frame
from cases.models import ALL, REFUSING, Case, expected_of, path_of

pytestmark = pytest.mark.slow

_ROWS = 23


def scored(case: Case, table: Any, **more: Any) -> Any:
    """Score a table of any kind with the model and arguments of a case."""
    model = tf2spark.SavedModel(path_of(case))
    return model.score(table, feed=case.feed, fetch=case.fetch, **{**case.kwargs, **more})


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_scores_in_this_process_equal_those_of_tensorflow(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch scored in this process has the bits of TensorFlow run directly on it."""
    # One thread, as TensorFlow itself runs here: more may add a long sum in other parts.
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    table = case.table(_ROWS)
    out = scored(case, table, keep=[])
    expected = expected_of(case, table)
    assert set(out.column_names) == set(expected)
    assert_same(out, expected)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_scores_on_spark_equal_those_of_tensorflow(spark: SparkSession, case: Case) -> None:
    """A partition scored on Spark has the bits of TensorFlow run directly on it."""
    table = case.table(_ROWS)
    assert_same(scored(case, frame(spark, table), keep=[]).toArrow(), expected_of(case, table))


@pytest.mark.parametrize("case", REFUSING, ids=lambda case: case.name)
def test_refused_rows_do_not_affect_other_rows(case: Case) -> None:
    """Rows that can't be scored are null and have a reason; every other row has its score."""
    assert case.refused is not None
    table = case.table(_ROWS)
    refused = case.refused(table)
    assert 0 < refused.sum() < _ROWS
    out = scored(case, table, mode="permissive", keep=[])
    reasons = out["_error"].to_pylist()
    assert [reason is not None for reason in reasons] == refused.tolist()
    assert all(case.reason in reason for reason in reasons if reason)
    good = pa.array(~refused)
    expected = expected_of(case, table.filter(good))
    kept = out.filter(good)
    for name, values in expected.items():
        scores = np.array(kept[name].to_pylist(), np.asarray(values).dtype)
        # Isolated rows ran in smaller batches, in which TensorFlow rounds differently.
        np.testing.assert_allclose(scores, np.asarray(values).reshape(scores.shape), rtol=1e-5)
        assert out.filter(pa.array(refused))[name].null_count == refused.sum()
