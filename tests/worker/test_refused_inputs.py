"""`worker.refused_inputs`: the input that TensorFlow refuses, found by running its row again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from attrs import evolve

from cases.arrow_columns import plan as input_plan
from cases.arrow_columns import source
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.worker.refused_inputs import RefusedInputs

FAILURE = TensorFlowFailure(3, "indices[0] = 99 is not in [0, 10) (node model/GatherV2_86)")
Row = dict[str, Any]


def batch(row: Row) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([row])


def inputs_of(row: Row, names: dict[str, str] | None = None) -> list[InputPlan]:
    """Return an input for each column, of the column's name or the one in `names`."""
    return [
        evolve(
            input_plan(evolve(source(field.type, column=index), label=field.name)),
            name=(names or {}).get(field.name, field.name),
        )
        for index, field in enumerate(batch(row).schema)
    ]


def reason(
    row: Row,
    is_bad: Callable[[Row], bool],
    passed: Row | None = None,
    names: dict[str, str] | None = None,
) -> tuple[str, int]:
    """Return the reason for a row that a model refuses, and the number of runs that it took."""
    runs = 0

    def run(rows: pa.RecordBatch) -> None:
        nonlocal runs
        runs += 1
        if is_bad(rows.to_pylist()[0]):
            raise FAILURE

    refused = RefusedInputs(inputs_of(row, names), run)
    return refused.reason(batch(row), FAILURE, None if passed is None else batch(passed)), runs


def test_the_only_input_is_named_without_a_run() -> None:
    """There is nothing to find out."""
    assert reason({"ids": 99}, lambda row: True) == (
        'TensorFlow refused input "ids": indices[0] = 99 is not in [0, 10)',
        0,
    )


@pytest.mark.parametrize("bad", range(40))
def test_one_of_many_inputs_is_found_in_a_few_runs(bad: int) -> None:
    """Whichever it is, with the values of a row that passed."""
    row = {f"f{number}": 99 if number == bad else 3 for number in range(40)}
    text, runs = reason(row, lambda row: 99 in row.values(), dict.fromkeys(row, 3))
    assert text.startswith(f'TensorFlow refused input "f{bad}": indices')
    assert runs <= 13


def test_a_column_of_another_name_is_named_as_well() -> None:
    """A user knows columns better than inputs."""
    text, _ = reason({"a": 1, "b": 99}, lambda row: row["b"] > 9, {"a": 1, "b": 2}, {"b": "item"})
    assert text.startswith('TensorFlow refused input "item" (column "b"): ')


def test_columns_side_by_side_are_told_apart() -> None:
    """They feed one input, and one of them is the cause."""
    names = {"a": "features", "b": "features"}
    text, _ = reason({"a": 1, "b": 99}, lambda row: row["b"] > 9, {"a": 1, "b": 2}, names)
    assert 'input "features" (column "b"): ' in text


def test_generated_values_do_where_no_row_has_passed() -> None:
    """Shapes, nulls and the places of values in vectors stay as they are."""
    row = {
        "a": [1, None],
        "b": [99],
        "c": {"size": 5, "values": [1.5]},
        "d": "x",
        "e": b"x",
        "f": True,
    }
    text, _ = reason(row, lambda row: row["b"][0] > 9 or row["c"]["size"] != 5)
    assert text.startswith('TensorFlow refused input "b": ')


def test_two_bad_inputs_are_both_named() -> None:
    """Neither row passes unless both are replaced."""
    row, good = {"a": 99, "b": 1, "c": 1, "d": 99}, {"a": 1, "b": 1, "c": 1, "d": 1}
    text, _ = reason(row, lambda row: 99 in row.values(), good)
    assert text.startswith('TensorFlow refused at least one of the inputs "a", "d": ')


def test_the_candidates_are_listed_where_nothing_passes() -> None:
    """Five of them, and how many more there are."""
    row = {f"f{number}": number for number in range(8)}
    text, _ = reason(row, lambda row: True, row)
    assert text.startswith(
        'TensorFlow refused at least one of the inputs "f0", "f1", "f2", "f3", "f4" and 3 more: '
    )


def test_what_was_found_is_tried_first_for_the_next_row() -> None:
    """One run confirms that the same node fails for the same input; if not, the search goes on."""
    runs = 0

    def run(rows: pa.RecordBatch) -> None:
        nonlocal runs
        runs += 1
        if 99 in rows.to_pylist()[0].values():
            raise FAILURE

    good = batch({"a": 1, "b": 1, "c": 1, "d": 1})
    refused = RefusedInputs(inputs_of({"a": 1, "b": 1, "c": 1, "d": 1}), run)
    first = refused.reason(batch({"a": 1, "b": 99, "c": 1, "d": 1}), FAILURE, good)
    before = runs
    assert refused.reason(batch({"a": 2, "b": 99, "c": 1, "d": 1}), FAILURE, good) == first
    assert runs == before + 1
    other = refused.reason(batch({"a": 99, "b": 1, "c": 1, "d": 1}), FAILURE, good)
    assert 'input "a"' in other
