"""`pandas_refusals`: columns of pandas that feed nothing say what to write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tf2spark.errors import ContractError
from tf2spark.local.pandas_columns import frame_to_arrow
from tf2spark.local.pandas_refusals import check_index


def refused(values: Any) -> str:
    """Return what is said of a column."""
    with pytest.raises(ContractError) as error:
        frame_to_arrow(pd.DataFrame({"x": values}), ["x"])
    return str(error.value)


def corrected(values: Any, code: str) -> Any:
    """Run code of a message that sets a column, and return what it feeds then."""
    df = pd.DataFrame({"x": values})
    exec(code, {"df": df, "np": np, "pd": pd})
    return frame_to_arrow(df, ["x"])["x"].to_pylist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", None, 1, 2.5], "str in row 0 ('a'), int in row 2 (1), float in row 3 (2.5)"),
        ([1, "2"], "int in row 0 (1), str in row 1 ('2')"),
        ([1, [1]], "int in row 0 (1), list in row 1 ([1])"),
    ],
)
def test_values_of_several_types_are_shown_with_their_rows(values: Any, expected: str) -> None:
    """One value of each type, where it is, and how the column gets one type."""
    message = refused(values)
    assert f'column "x" are not of one type: {expected}; make them one type first' in message
    assert 'df["x"] = df["x"].astype("string") for text' in message


def test_the_code_for_mixed_values_runs() -> None:
    """As text and as numbers."""
    message = refused(["2", 1])
    text, numbers = message.partition("first: ")[2].split(" or ")
    assert corrected(["2", 1], text.removesuffix(" for text")) == ["2", "1"]
    numbers = f'df["x"] = {numbers.removesuffix(" for numbers")}'
    assert corrected(["2", 1], numbers) == [2, 1]


@pytest.mark.parametrize("values", [[1, 2**70], [-(2**63) - 1]])
def test_integers_of_more_than_64_bits_are_named(values: list[int]) -> None:
    """Python's integers have no end, tensors' have."""
    message = refused(pd.Series(values, dtype=object))
    row = len(values) - 1
    assert f'column "x" has {values[-1]} in row {row}, and integers have 64 bits' in message
    code = message.partition("write ")[2].split(", or ")[0]
    assert corrected(pd.Series(values, dtype=object), code) == [float(value) for value in values]


def test_objects_without_a_type_are_named() -> None:
    """What Arrow doesn't know is said in Arrow's words."""
    assert 'the values of column "x" (object) can\'t become a tensor' in refused([object()])


def test_periods_are_not_fed_as_their_numbers() -> None:
    """A month would be the number of months since 1970; the user says whether that is meant."""
    months = pd.period_range("2020-01", periods=2, freq="M")
    message = refused(months)
    assert 'column "x" (period[M]) has periods' in message
    text, numbers = message.partition("write ")[2].split(", or ")
    assert corrected(months, text.removesuffix(" to feed text")) == ["2020-01", "2020-02"]
    numbers = f'df["x"] = {numbers.removesuffix(" to feed the number of each period")}'
    assert corrected(months, numbers) == [600, 601]


def test_complex_numbers_are_split() -> None:
    """They have two parts, each of which can feed an input."""
    message = refused(np.array([1 + 2j]))
    assert 'column "x" (complex128) has complex numbers' in message
    df = pd.DataFrame({"x": np.array([1 + 2j])})
    exec(message.partition("parts: ")[2], {"df": df, "np": np})
    assert df[["real", "imag"]].to_numpy().tolist() == [[1.0, 2.0]]


def test_a_column_in_the_index_is_found() -> None:
    """After ``groupby(...).agg(...)``, the keys are no columns; other names don't matter."""
    frame = pd.DataFrame({"y": [1.0]}, index=pd.Index([1], name="x"))
    check_index(frame, ["y"])
    check_index(frame.assign(x=2.0), ["x"])
    with pytest.raises(ContractError, match=r'no column "x": it is in the index; write df\.reset_'):
        check_index(frame, ["y", "x"])


def test_columns_that_nothing_reads_are_not_looked_at() -> None:
    """They are kept as they are."""
    frame = pd.DataFrame({"x": [1.0], "p": pd.period_range("2020", periods=1), "c": [1j]})
    assert frame_to_arrow(frame, ["x"])["p"].null_count == 1
