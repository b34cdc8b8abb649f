"""What is forecast from finished users, and when nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from tf2spark.worker.ranking.forecast import Forecast


def learned(k: int, counts: float, ratio: float, users: int = 500) -> Forecast:
    random = np.random.default_rng(1)
    forecast = Forecast(k)
    norms = random.uniform(1, 5, users)
    scores = norms * random.normal(ratio, 0.01, users)
    forecast.learn(np.round(random.normal(counts, 2, users)).astype(np.int64), scores, norms)
    return forecast


def test_nothing_is_forecast_from_few_users() -> None:
    """Nor before any user is finished."""
    for forecast in (Forecast(100), learned(100, 20, 2, users=63)):
        assert (forecast.rank(), forecast.ratio()) == (None, None)
        assert forecast.kind(norms=True) == "none"


def test_nearly_all_users_reach_what_is_forecast() -> None:
    """Three and a half standard deviations beyond the mean."""
    forecast = learned(100, 20, 2)
    assert forecast.rank() == pytest.approx(28, abs=1)
    assert forecast.ratio() == pytest.approx(1.965, abs=0.005)


def test_a_rank_of_about_k_is_none() -> None:
    """Nearly all of the best are among the first items: the first bound is as good."""
    assert learned(100, 80, 2).rank() is None


def test_the_cheapest_kind_is_chosen_once_all_were_tried() -> None:
    """Work that was done again makes a kind expensive."""
    forecast = learned(100, 20, 2)
    forecast.learn_cost("none", 380, failed=False)
    assert forecast.kind(norms=True) == "norm"
    assert forecast.kind(norms=False) == "rank"
    forecast.learn_cost("norm", 140, failed=False)
    assert forecast.kind(norms=True) == "rank"
    forecast.learn_cost("rank", 180, failed=False)
    assert forecast.kind(norms=True) == "norm"
    for _ in range(3):
        forecast.learn_cost("norm", 140, failed=True)
    assert forecast.kind(norms=True) == "rank"
    for _ in range(9):
        forecast.learn_cost("rank", 900, failed=True)
        forecast.learn_cost("norm", 900, failed=True)
    assert forecast.kind(norms=True) == "none"


def test_norms_that_are_zero_or_not_finite_are_left_out() -> None:
    """They teach nothing of other users."""
    forecast = learned(10, 2, 2)
    ratio = forecast.ratio()
    forecast.learn(np.array([1, 2]), np.array([0.0, 1.0]), np.array([0.0, np.nan]))
    assert forecast.ratio() == pytest.approx(ratio)
