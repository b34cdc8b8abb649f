"""Compare recommendations: the same items up to ties, with the same scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame

from benchmarks.reports import Report

_TOLERANCE = 1e-4
Recommendations = dict[int, tuple[npt.NDArray[Any], npt.NDArray[Any]]]
"""The item ids of each user, best first, and their scores."""


def read_recommendations(table: DataFrame) -> Recommendations:
    """Read a result with one row per user, or one row per user and item."""
    pairs: dict[int, list[tuple[float, int]]] = {}
    for row in table.toArrow().to_pylist():
        items = row.get("recommendations", [row])
        scored = [(_score(item), item["item_id"]) for item in items]
        pairs.setdefault(row["user_id"], []).extend(scored)
    return {user: _best_first(scored) for user, scored in pairs.items()}


def _score(item: Mapping[str, Any]) -> float:
    return float(item["score"] if "score" in item else item["rating"])


def _best_first(scored: list[tuple[float, int]]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    scored = sorted(scored, key=lambda pair: (-pair[0], pair[1]))
    return np.array([item for _, item in scored]), np.array([score for score, _ in scored])


def compare_recommendations(
    report: Report, name: str, ours: Recommendations, peer: str, theirs: Recommendations
) -> None:
    """Report whether two contenders recommend the same items, up to ties, with the same scores.

    Scores of the same position and of the same item may differ by 1e-4, relative. An item that is
    missing on one side must score as well as the last item there, within the same tolerance.
    """
    agrees, difference, moved = set(ours) == set(theirs) and bool(ours), 0.0, 0
    for user in set(ours) & set(theirs):
        (ids, scores), (peer_ids, peer_scores) = ours[user], theirs[user]
        if len(ids) != len(peer_ids) or not np.isfinite(scores).all():
            agrees = False
            continue
        by_id = dict(zip(peer_ids.tolist(), peer_scores.tolist(), strict=True))
        same_items = np.array([by_id.get(item, peer_scores[-1]) for item in ids.tolist()])
        for expected in (peer_scores, same_items):
            difference = max(difference, float(_relative(scores, expected).max(initial=0.0)))
        moved += int((ids != peer_ids).sum())
    agrees = agrees and difference <= _TOLERANCE
    report.agreed &= agrees
    report.add(
        f"Recommendations of {name} and {peer}: {'agree' if agrees else '**DIFFER**'} for "
        f"{len(ours):,} users; scores differ by at most {difference:.1e} (relative); {moved} of "
        f"{sum(len(ids) for ids, _ in ours.values()):,} positions hold a different item (ties)."
    )


def _relative(scores: npt.NDArray[Any], expected: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.abs(scores - expected) / np.maximum(np.abs(expected), 1e-3)
