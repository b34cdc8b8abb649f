from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.worker.reading.filters import (
    AllOf,
    Always,
    AnyOf,
    Comparison,
    Filter,
    IsNull,
    Not,
    OneOf,
    Operator,
    evaluate,
    may_pass,
)
from tf2spark.worker.reading.statistics import leaf_statistics

_NAN = math.nan
_NUMBERS = pa.array([-0.0, 1.5, _NAN, math.inf, None], pa.float32())
_OPERATORS: list[Operator] = ["=", "<", "<=", ">", ">="]


def results(where: Filter, column: pa.Array) -> list[Any]:
    return list(evaluate(where, [column], len(column)).to_pylist())


@pytest.mark.parametrize(
    ("operator", "value", "passed"),
    [
        ("=", 0.0, [True, False, False, False, None]),
        ("<", 0.0, [False, False, False, False, None]),
        (">", 1.5, [False, False, True, True, None]),
        (">=", 1.5, [False, True, True, True, None]),
        ("<=", math.inf, [True, True, False, True, None]),
        ("=", _NAN, [False, False, True, False, None]),
        ("<", _NAN, [True, True, False, True, None]),
        ("<=", _NAN, [True, True, True, True, None]),
        (">", _NAN, [False, False, False, False, None]),
        (">=", _NAN, [False, False, True, False, None]),
    ],
)
def test_floats_are_ordered_as_in_spark(operator: Operator, value: float, passed: Any) -> None:
    """NaN is equal to itself and larger than any other number; both zeros are equal."""
    assert results(Comparison(operator, 0, pa.array([value], pa.float32())), _NUMBERS) == passed


def test_unknown_is_neither_true_nor_false() -> None:
    """AND, OR, NOT and IN have SQL's three values."""
    numbers = pa.array([1, 2, None])
    one = Comparison("=", 0, pa.array([1]))
    assert results(AllOf((one, Always(None))), numbers) == [None, False, None]
    assert results(AnyOf((one, Always(None))), numbers) == [True, None, None]
    assert results(Not(one), numbers) == [False, True, None]
    assert results(OneOf(0, pa.array([1, 5]), False), numbers) == [True, False, None]
    assert results(Not(OneOf(0, pa.array([1, 5]), True)), numbers) == [False, None, None]
    assert results(IsNull(0), numbers) == [False, False, True]


def as_column(values: list[float | None], kind: pa.DataType) -> pa.Array:
    if kind == pa.float64():
        return pa.array(values, kind)
    whole = [None if value is None or math.isnan(value) else int(value) for value in values]
    return pa.array(whole, pa.int64() if kind.bit_width == 64 else pa.int32()).cast(kind)


@given(
    st.lists(st.none() | st.sampled_from([-2.0, -0.0, 0.0, 1.0, _NAN]), max_size=6),
    st.sampled_from([-2.0, -0.0, 0.0, 1.0, _NAN]),
    st.sampled_from(_OPERATORS),
    st.sampled_from([pa.float64(), pa.int32(), pa.date32(), pa.timestamp("us", "UTC")]),
    st.booleans(),
)
def test_row_groups_that_may_pass_are_not_left_out(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[float | None],
    value: float,
    operator: Operator,
    kind: pa.DataType,
    negated: bool,
) -> None:
    """Whatever the statistics say: if a row passes, its row group is read."""
    column, compared = as_column(values, kind), as_column([value], kind)
    if compared.null_count:
        return
    path = tmp_path_factory.mktemp("groups") / "f"
    pq.write_table(pa.table({"a": column}), path)
    footer = pq.ParquetFile(path).metadata
    condition: Filter = Comparison(operator, 0, compared)
    for where in (condition, Not(IsNull(0)), AnyOf((condition, IsNull(0)))):
        where = Not(where) if negated else where
        passes = True in results(where, column)
        if footer.num_row_groups and passes:
            assert may_pass(where, lambda index: leaf_statistics(footer.row_group(0), "a"))


def test_statistics_leave_row_groups_out(tmp_path: Any) -> None:
    """A row group is skipped by the bounds of its numbers and by its nulls."""
    pq.write_table(pa.table({"a": [5, 6, 7], "n": pa.nulls(3, pa.int64())}), tmp_path / "f")
    group = pq.ParquetFile(tmp_path / "f").metadata.row_group(0)

    def passes(where: Filter, name: str = "a") -> bool:
        return may_pass(where, lambda index: leaf_statistics(group, name))

    five = pa.array([5])
    assert [passes(Comparison(operator, 0, five)) for operator in _OPERATORS] == [
        True, False, True, True, True,
    ]  # fmt: skip
    assert not passes(IsNull(0))
    assert not passes(Not(IsNull(0)), "n")
    assert not passes(AllOf((Comparison(">", 0, pa.array([7])), Always(True))))
    assert passes(AnyOf((Comparison(">", 0, pa.array([7])), Always(True))))
