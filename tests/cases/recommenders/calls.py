"""`SavedModel.recommend` called for a case, and its answer as plain pairs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

import tf2spark
from cases.recommenders.case import Case
from cases.recommenders.running import path_of

K = 7
# For scores whose sums are taken in another order: absolute up to 1, relative beyond.
_TOLERANCE = 2e-5


def recommended(case: Case, users: Any, items: Any, k: int = K, **more: Any) -> Any:
    """Call `recommend` as the case's author would."""
    model = tf2spark.SavedModel(path_of(case))
    return model.recommend(users, items, k, feed=case.feed, score=case.score, **case.kwargs, **more)


def pairs_of(table: pa.Table) -> list[Any]:
    """Return the recommendations of each row as pairs."""
    return [
        None if row is None else [(best["item_id"], best["score"]) for best in row]
        for row in table["recommendations"].to_pylist()
    ]


def assert_best(got: list[tuple[Any, float]], want: list[tuple[Any, float]]) -> None:
    """Compare one user's recommendations with brute force: scores, and order up to near ties."""
    assert len(got) == len(want)
    scores = dict(want)
    for (item, score), (other, best) in zip(got, want, strict=True):
        near = _TOLERANCE * max(1.0, abs(best))
        assert score == pytest.approx(best, abs=near)
        assert item == other or scores.get(item, best) == pytest.approx(best, abs=2 * near)
    assert [score for _, score in got] == sorted((score for _, score in got), reverse=True)
