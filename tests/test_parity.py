"""Every model of the zoo, scored three ways: TensorFlow run directly, this process, Spark."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

import tf2spark
from cases.comparing import assert_same
from cases.frames import frame
from cases.models import ALL, REFUSING, Case, expected_of, path_of

_ROWS = 23


def scored(case: Case, table: Any, **more: Any) -> Any:
    """Score a table of any kind with a case's model and arguments."""
    model = tf2spark.SavedModel(path_of(case))
    return model.score(table, feed=case.feed, fetch=case.fetch, **{**case.kwargs, **more})


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_scores_here_are_tensorflows_own(case: Case) -> None:
    """One batch scored in this process has the bits of TensorFlow run directly on it."""
    table = case.table(_ROWS)
    out = scored(case, table, keep=[])
    expected = expected_of(case, table)
    assert set(out.column_names) == set(expected)
    assert_same(out, expected)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_scores_on_spark_are_tensorflows_own(spark: SparkSession, case: Case) -> None:
    """One partition scored on Spark has the bits of TensorFlow run directly on it."""
    table = case.table(_ROWS)
    assert_same(scored(case, frame(spark, table), keep=[]).toArrow(), expected_of(case, table))


@pytest.mark.parametrize("case", REFUSING, ids=lambda case: case.name)
def test_rows_that_tensorflow_refuses_cost_no_other_row(case: Case) -> None:
    """Rows that can't be scored are null with a reason, every other row has its own score."""
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
    for name, want in expected.items():
        got = np.array(kept[name].to_pylist(), np.asarray(want).dtype)
        # Isolated rows ran in smaller batches, in which TensorFlow rounds otherwise.
        np.testing.assert_allclose(got, np.asarray(want).reshape(got.shape), rtol=1e-5)
        assert out.filter(pa.array(refused))[name].null_count == refused.sum()
