from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tf2spark.conversion.rows import Ints
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.worker.row_probe import rows_depend, runs_differ

VALUES = np.random.default_rng(0).uniform(-1, 1, 200).astype(np.float32)
Floats = np.ndarray[Any, Any]


def outputs_of(model: Callable[[Floats], Floats]) -> Callable[[Ints], list[list[Any]]]:
    return lambda rows: [model(VALUES[rows]).tolist()]


@pytest.mark.parametrize(
    "model",
    [
        lambda x: x * 2,
        lambda x: np.stack([x, -x], 1),
        lambda x: np.full(len(x), np.nan),
        lambda x: x > 0,
        lambda x: x * (1 + 1e-6 * len(x)),
    ],
    ids=["scaled", "two columns", "NaN", "discrete", "rounded otherwise"],
)
def test_rows_that_stand_alone_are_independent(model: Callable[[Floats], Floats]) -> None:
    """Whatever a row's outputs are, they stay, but for rounding."""
    assert not runs_differ(outputs_of(model), 64, max_rows=100)


@pytest.mark.parametrize(
    "model",
    [
        lambda x: np.exp(x) / np.exp(x).sum(),
        lambda x: x - x.mean(),
        lambda x: np.argsort(np.argsort(x)),
        lambda x: np.cumsum(x),
        lambda x: x + np.arange(len(x)),
        lambda x: np.concatenate([x[1:], x[:1]]),
        lambda x: np.stack([x, np.full_like(x, len(x))], 1),
    ],
    ids=["softmax", "centered", "rank", "running sum", "position", "neighbor", "count"],
)
@pytest.mark.parametrize("rows", [3, 8, 64])
def test_rows_that_depend_on_their_batch_are_found(
    model: Callable[[Floats], Floats], rows: int
) -> None:
    """By their order or by their number, whichever changes an output."""
    assert runs_differ(outputs_of(model), rows, max_rows=100)


@pytest.mark.parametrize("model", [np.cumsum, lambda x: x / x.sum()])
def test_a_fixed_number_of_rows_is_kept(model: Callable[[Floats], Floats]) -> None:
    """Where only one size can run, rows get another order, and other neighbors."""
    sizes = []

    def run(rows: Ints) -> list[list[Any]]:
        sizes.append(len(rows))
        return [model(VALUES[rows]).tolist()]

    assert runs_differ(run, 32, min_rows=32, max_rows=32)
    assert set(sizes) == {32}


def test_rows_that_are_padded_to_the_longest_keep_it() -> None:
    """Where no row may be left out, only their order and their number change."""
    runs = []

    def run(rows: Ints) -> list[list[Any]]:
        runs.append(rows)
        return [VALUES[rows].tolist()]

    assert not runs_differ(run, 20, max_rows=100, keep_all=True)
    assert all(set(rows) == set(range(20)) for rows in runs)


def test_randomness_is_not_dependence() -> None:
    """A model whose outputs change from run to run says nothing about its rows."""
    draw = np.random.default_rng(1)
    assert not runs_differ(outputs_of(lambda x: x + draw.uniform(size=len(x))), 64, max_rows=100)


def test_a_number_of_rows_that_is_refused_is_dependence() -> None:
    """If TensorFlow refuses rows only for their number, they depend on each other."""

    def even_only(x: Floats) -> Floats:
        if len(x) % 2:
            raise TensorFlowFailure(3, "an even number of rows, please")
        return x

    assert runs_differ(outputs_of(even_only), 10, max_rows=100)


def test_other_failures_are_raised() -> None:
    """A failure that no row explains is the job's to report."""

    def fails_later(x: Floats) -> Floats:
        if len(x) != 10:
            raise TensorFlowFailure(8, "out of memory")
        return x

    with pytest.raises(TensorFlowFailure, match="out of memory"):
        runs_differ(outputs_of(fails_later), 10, max_rows=100)


@pytest.mark.parametrize("rows", [1, 2, 5, 300])
def test_arrow_rows_are_probed_within_the_size_of_a_run(rows: int) -> None:
    """No run has more rows than the plan allows, and lists and texts are compared, too."""
    batch = pa.RecordBatch.from_arrays([pa.array(range(rows))], names=["x"])
    largest = 0

    def run(part: pa.RecordBatch) -> list[pa.Array]:
        nonlocal largest
        largest = max(largest, part.num_rows)
        texts = [f"{value} of {part.num_rows}" for value in part["x"].to_pylist()]
        return [part["x"], pa.array([[text] for text in texts])]

    assert rows_depend(run, batch, 32)
    assert largest <= 32
