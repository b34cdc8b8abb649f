from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.worker.statistics.value_sketch import ValueSketch

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
FRACTIONS = (0.01, 0.1, 0.5, 0.9, 0.99)


def sketch_of(values: np.ndarray, max_buckets: int = 8192) -> ValueSketch:
    sketch = ValueSketch(max_buckets)
    sketch.add(values)
    return sketch


def exact_quantile(values: np.ndarray, fraction: float) -> float:
    return float(np.sort(values)[max(1, math.ceil(fraction * len(values) - 1e-9)) - 1])


@given(st.lists(FINITE, min_size=1, max_size=200))
def test_few_values_are_exact(values: list[float]) -> None:
    """Up to the number of buckets, every quantile is a value of the data, and the right one."""
    array = np.array(values)
    sketch = sketch_of(array)
    assert sketch.relative_error == 0
    assert sketch.distinct == len(set(array + 0.0))
    for fraction in FRACTIONS:
        assert sketch.quantile(fraction) == exact_quantile(array, fraction)


@given(st.lists(FINITE, min_size=1, max_size=300), st.integers(1, 299))
def test_merging_parts_is_the_whole(values: list[float], cut: int) -> None:
    """However the values are distributed among tasks, the result is the same."""
    array = np.array(values)
    whole, parts = sketch_of(array, 16), sketch_of(array[:cut], 16)
    parts.merge(sketch_of(array[cut:], 16))
    assert parts.values() == whole.values()
    assert (parts.count, parts.minimum, parts.maximum) == (
        whole.count,
        whole.minimum,
        whole.maximum,
    )
    assert parts.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-30)


@pytest.mark.parametrize("name", ["normal", "lognormal", "offset", "probability"])
def test_many_values_are_within_the_stated_error(name: str) -> None:
    """With more different values than buckets, quantiles are as close as the sketch says."""
    random = np.random.default_rng(3)
    values = {
        "normal": random.normal(size=100_000),
        "lognormal": random.lognormal(sigma=4, size=100_000),
        "offset": 1e6 + random.normal(size=100_000),
        "probability": random.beta(0.2, 5, size=100_000),
    }[name]
    sketch = sketch_of(values)
    assert sketch.distinct is None
    assert 0 < sketch.relative_error < 0.005
    for fraction in FRACTIONS:
        exact = exact_quantile(values, fraction)
        assert abs(sketch.quantile(fraction) - exact) <= 2 * sketch.relative_error * abs(exact)
    assert sketch.mean == pytest.approx(values.mean())
    assert sketch.deviation == pytest.approx(values.std())


def test_numbers_far_from_zero_are_told_apart() -> None:
    """Prices around a million that differ by cents don't end in one bucket."""
    values = 1e6 + np.random.default_rng(0).random(50_000)
    counts = sketch_of(values).histogram(np.linspace(1e6, 1e6 + 1, 11))
    assert np.abs(counts - 5000).max() < 300


@given(st.lists(FINITE, min_size=1, max_size=300))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    """Bins from the smallest to the largest value have all values, exact or not."""
    array = np.array(values)
    for max_buckets in (8, 8192):
        sketch = sketch_of(array, max_buckets)
        edges = np.linspace(sketch.minimum, sketch.maximum, 7)
        assert sketch.histogram(edges).sum() == pytest.approx(len(values))


def test_a_histogram_of_exact_values_is_numpys() -> None:
    """Values on an edge belong to the bin that begins there, and the last edge to the last bin."""
    values = np.array([0.0, 1, 1, 2, 3, 4, 4, 4])
    edges = np.array([0.0, 1, 2, 4])
    assert sketch_of(values).histogram(edges).tolist() == np.histogram(values, edges)[0].tolist()


def test_nothing_has_no_quantiles() -> None:
    """A sketch without values says NaN instead of a number."""
    assert math.isnan(ValueSketch().quantile(0.5))
    assert math.isnan(ValueSketch().deviation)


def test_zeros_of_both_signs_are_one_value() -> None:
    """-0.0 is 0.0."""
    assert sketch_of(np.array([-0.0, 0.0])).values() == [(0.0, 2)]


def test_the_largest_doubles_stay_finite() -> None:
    """A bucket at the end of the range of doubles reaches no infinity."""
    values = np.concatenate([1.79e308 * np.linspace(-1, 1, 500), [np.finfo(float).max]])
    sketch = sketch_of(values, 8)
    assert np.isfinite([value for value, _ in sketch.values()]).all()
