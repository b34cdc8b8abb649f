"""Recommendations as they are compared: the same items up to ties, the same scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame

from benchmarks.reports import Report

_TOLERANCE = 1e-4
Recommended = dict[int, tuple[npt.NDArray[Any], npt.NDArray[Any]]]


def recommended(table: DataFrame) -> Recommended:
    """Return for each user the item ids, best first, and their scores.

    Both kinds of result can be read: one row a user, or one row a user and item.
    """
    rows = table.toArrow().to_pylist()
    found: dict[int, list[tuple[float, int]]] = {}
    for row in rows:
        best = row.get("recommendations", [row])
        pairs = [(_score(one), one["item_id"]) for one in best]
        found.setdefault(row["user_id"], []).extend(pairs)
    return {user: _ordered(pairs) for user, pairs in found.items()}


def _score(pair: Mapping[str, Any]) -> float:
    return float(pair["score"] if "score" in pair else pair["rating"])


def _ordered(pairs: list[tuple[float, int]]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    pairs = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
    return np.array([item for _, item in pairs]), np.array([score for score, _ in pairs])


def agree(report: Report, name: str, first: Recommended, other: str, second: Recommended) -> None:
    """Say whether two ways recommend the same items, up to ties, with the same scores.

    Scores of the same place and of the same item may be 1e-4 apart, relatively. An item that one
    of the two lacks must be as good as the other's last, up to that.
    """
    fine, apart, moved = set(first) == set(second) and bool(first), 0.0, 0
    for user in set(first) & set(second):
        (ids, scores), (other_ids, other_scores) = first[user], second[user]
        if len(ids) != len(other_ids) or not np.isfinite(scores).all():
            fine = False
            continue
        apart = max(apart, float(_relative(scores, other_scores).max(initial=0.0)))
        by_id = dict(zip(other_ids.tolist(), other_scores.tolist(), strict=True))
        theirs = np.array([by_id.get(item, other_scores[-1]) for item in ids.tolist()])
        apart = max(apart, float(_relative(scores, theirs).max(initial=0.0)))
        moved += int((ids != other_ids).sum())
    fine = fine and apart <= _TOLERANCE
    report.agreed &= fine
    report.add(
        f"Recommendations of {name} and {other}: {'agree' if fine else '**DIFFER**'} for "
        f"{len(first):,} users; scores at most {apart:.1e} apart, relatively; {moved} of "
        f"{sum(len(ids) for ids, _ in first.values()):,} places hold another item (ties)."
    )


def _relative(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.abs(one - other) / np.maximum(np.abs(other), 1e-3)
