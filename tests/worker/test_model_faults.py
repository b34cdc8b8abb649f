from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cases.arrow_columns import plan as input_plan
from cases.arrow_columns import source
from tf2spark.dtypes import FLOAT32, STRING, DType
from tf2spark.errors import ModelError, RowError
from tf2spark.plan.score import InputPlan, Mode, ModelRef, OutputPlan, Plan
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.testing import FakeSession, fed_strings
from tf2spark.worker.model_faults import generated_values
from tf2spark.worker.score_loop import score_batches

OUTPUT = OutputPlan("y", "y", ("y:0",), FLOAT32, (), pa.float32())
MODES: list[Mode] = ["failfast", "permissive", "dropmalformed"]
Check = Callable[[list[Any]], None]
"""Raises what TensorFlow raises for some of the fed values."""


def refuse(code: int, text: Callable[[Any], str], is_bad: Callable[[Any], bool]) -> Check:
    """Refuse the first bad value, and say so by code and text."""

    def check(values: list[Any]) -> None:
        for value in filter(is_bad, values):
            raise TensorFlowFailure(code, text(value))

    return check


def always(code: int, message: str) -> Check:
    return refuse(code, lambda value: message, lambda value: True)


def session_of(check: Check, dtype: DType) -> FakeSession:
    def model(feeds: dict[str, Tensor]) -> dict[str, Any]:
        fed = feeds["x:0"]
        check(fed_strings(fed) if dtype is STRING else fed.data.tolist())
        return {"y:0": Tensor(FLOAT32, fed.shape, np.zeros(fed.shape, np.float32))}

    return FakeSession(model)


def score(check: Check, values: list[Any], mode: Mode) -> tuple[list[str | None], int]:
    """Score a column; returns the reason for each row that is left, and the number of runs."""
    is_text = isinstance(values[0], str)
    column = pa.array(values, pa.string() if is_text else pa.float32())
    dtype = STRING if is_text else FLOAT32
    fed = input_plan(source(column.type, column=0), dtype=dtype, dims=())
    plan = Plan(
        ModelRef("/model", ("serve",), "digest"),
        (InputPlan("x", ("x:0",), fed.form, dtype, (), fed.sources),),
        (OUTPUT,),
        mode=mode,
        error_column="_error" if mode == "permissive" else None,
    )
    session = session_of(check, dtype)
    batch = pa.RecordBatch.from_arrays([column], names=["x"])
    (scored,) = score_batches(plan, session, [batch])
    reasons = scored.column("_error") if mode == "permissive" else pa.nulls(scored.num_rows)
    return reasons.to_pylist(), len(session.runs)


FAULTS_OF_THE_MODEL = [
    (always(3, "Matrix size-incompatible: In[0]: [1,3], In[1]: [4,2]"), [1.0]),
    (always(3, "Matrix size-incompatible: In[0]: [1,3], In[1]: [4,2]"), ["a"]),
    (always(5, "/gone/words.txt; No such file or directory"), [1.0]),
    (always(5, "/gone/words.txt; No such file or directory"), ["a"]),
    (always(9, "Table not initialized."), ["a"]),
    (always(12, "no kernel for this padding"), [1.0]),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rows", [1, 20_000])
@pytest.mark.parametrize(("check", "values"), FAULTS_OF_THE_MODEL)
def test_a_model_that_can_t_run_is_not_blamed_on_rows(
    check: Check, values: list[Any], rows: int, mode: Mode
) -> None:
    """The job fails in every mode, whatever the number of rows, after a few runs."""
    runs = 0

    def counted(fed: list[Any]) -> None:
        nonlocal runs
        runs += 1
        check(fed)

    with pytest.raises(ModelError, match=r"^the model can't run"):
        score(counted, values * rows, mode)
    assert runs < 50


FAULTS_OF_ROWS = [
    # An id out of range; the generated id 0 is in range.
    (refuse(3, lambda v: f"indices[0] = {v:g} is not in [0, 5)", lambda v: v > 4), 7.0),
    (refuse(11, lambda v: "past the end", lambda v: v > 4), 7.0),
    # Zero is refused in the same words, one isn't.
    (refuse(3, lambda v: "ids start at 1", lambda v: v != 1), 7.0),
    (always(3, "assertion failed: [x must be more than 100]"), 7.0),
    # No generated string is an image.
    (always(3, "Unknown image file format. One of JPEG, PNG, GIF, BMP required."), "rubbish"),
    (always(3, "Could not parse example input, value: 'x'"), "rubbish"),
    # The message has the path that the row names.
    (refuse(5, lambda v: f"{v.decode()}; No such file or directory", lambda v: True), "/a"),
]


@pytest.mark.parametrize("rows", [1, 20])
@pytest.mark.parametrize(("check", "value"), FAULTS_OF_ROWS)
def test_rows_are_blamed_if_values_matter_even_if_all_are_bad(
    check: Check, value: Any, rows: int
) -> None:
    """Each gets its reason in permissive mode, and the first ends the job in failfast mode."""
    reasons, _ = score(check, [value] * rows, "permissive")
    assert all(str(reason).startswith('TensorFlow refused input "x": ') for reason in reasons)
    assert len(reasons) == rows
    assert score(check, [value] * rows, "dropmalformed")[0] == []
    with pytest.raises(RowError, match=re.escape("can't be scored: TensorFlow refused input")):
        score(check, [value] * rows, "failfast")


def test_no_values_are_generated_once_a_row_has_passed() -> None:
    """A model that keeps state sees no values that no row has."""
    seen: list[Any] = []

    def check(values: list[Any]) -> None:
        seen.extend(values)
        refuse(5, lambda v: "/gone; No such file or directory", lambda v: v == 13)(values)

    reasons, _ = score(check, [7.0] + [13.0] * 40, "permissive")
    assert [reason is None for reason in reasons] == [True] + [False] * 40
    assert set(seen) == {7.0, 13.0}


def test_generated_values_keep_shapes_and_places() -> None:
    """Indices, row splits and constants stay; values are replaced, strings by digits."""

    def tensor(values: list[float], shape: tuple[int, ...]) -> Tensor:
        return Tensor(FLOAT32, shape, np.array(values, np.float32))

    indices, values, shape = tensor([5, 6], (1, 2)), tensor([9], (1,)), tensor([7, 8], (2,))
    flat, splits = tensor([3, 4], (2,)), tensor([2, 6], (2,))
    plans = [
        InputPlan("s", ("a", "b", "c"), "sparse", FLOAT32),
        InputPlan("r", ("d", "e"), "ragged", FLOAT32),
        InputPlan("k", ("f",), "constant", FLOAT32),
        InputPlan("x", ("g",), "dense", FLOAT32),
    ]
    fed = [indices, values, shape, flat, splits, tensor([5], (1,)), tensor([5, 6], (1, 2))]
    got = generated_values(plans, fed, 1)
    assert [one.data.tolist() for one in got] == [[5, 6], [1], [7, 8], [1, 1], [2, 6], [5], [1, 1]]
    assert [one.shape for one in got] == [one.shape for one in fed]
