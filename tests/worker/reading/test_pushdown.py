"""Filters of floats for which Spark may skip rows that pass, as a file's footer shows."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tf2spark.worker.reading.filters import AllOf, AnyOf, Comparison, Filter, Not, Operator
from tf2spark.worker.reading.pushdown import pushdown_problem


def compared(operator: Operator, value: Any, kind: pa.DataType | None = None) -> Comparison:
    return Comparison(operator, 0, pa.array([value], kind or pa.float64()))


def problem(folder: Path, values: pa.Array, where: Filter, **options: Any) -> str | None:
    pq.write_table(pa.table({"x": values}), folder / "t.parquet", **options)
    with pq.ParquetFile(folder / "t.parquet") as file:
        return pushdown_problem(file, where, pa.schema([("x", values.type)]))


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (compared(">", 5.0), "NaN"),
        (Not(compared("=", 5.0)), "NaN"),
        (AnyOf((compared("<", 5.0), compared("=", math.nan))), "NaN"),
        (compared("=", -0.0), "-0.0"),
        (compared("<=", 5.0), None),
        (Not(compared(">", 5.0)), None),
        (AllOf((compared("=", 5.0), compared("<", 0.0), compared("<=", 0.0))), None),
    ],
)
def test_filters_that_nan_and_zeros_pass(tmp_path: Path, where: Filter, reason: str | None) -> None:
    """NaN is left out of statistics, and -0.0 isn't 0.0 in dictionaries."""
    found = problem(tmp_path, pa.array([-0.0, 1.0, math.nan]), where)
    assert (reason is None) == (found is None)
    assert reason is None or f'"x" where it is {reason}' in str(found)


def test_statistics_show_where_there_are_no_zeros(tmp_path: Path) -> None:
    """Or that a row group has other values that pass; without statistics nothing is known."""
    at_least_zero, zero = compared(">=", -0.0), compared("=", 0.0)
    assert problem(tmp_path, pa.array([1.0, 2.0]), zero) is None
    assert problem(tmp_path, pa.array([-1.0, 2.0]), zero) is not None
    assert problem(tmp_path, pa.array([None, None], pa.float64()), zero) is None
    without = {"write_statistics": False}
    assert problem(tmp_path, pa.array([1.0, 2.0]), zero, **without) is not None
    assert problem(tmp_path, pa.array([math.nan, 1.0]), at_least_zero, **without) is None


def test_milliseconds_are_left_to_spark(tmp_path: Path) -> None:
    """Spark compares them with the whole milliseconds of a value."""
    times = pa.array([dt.datetime(2026, 1, 1)], pa.timestamp("ms"))
    where = compared("<", dt.datetime(2026, 1, 1, 0, 0, 0, 1), pa.timestamp("us"))
    assert "milliseconds" in str(problem(tmp_path, times, where))
    assert problem(tmp_path, times.cast(pa.timestamp("us")), where) is None
