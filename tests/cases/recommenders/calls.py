"""`SavedModel.recommend` called for a case, and its answer as plain pairs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

import tf2spark
from cases.recommenders.case import Case
from cases.recommenders.running import path_of

K = 7


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
