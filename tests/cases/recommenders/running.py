"""TensorFlow run directly: all scores of users and items, and the best items by sorting them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cases.models import running as zoo_running
from cases.models.case import Array
from cases.models.running import run_tensorflow, session_of
from cases.recommenders.case import Case

Best = list[tuple[Any, float]]


def path_of(case: Case) -> Path:
    """Return the folder of a case's SavedModel, made at the first call in this process."""
    return zoo_running.path_of(case)


def scores_of(case: Case, users: pa.Table, items: pa.Table) -> Array:
    """Return [users, items] scores in the model's dtype: one user and all items per run.

    That is also what a score means where the model isn't row-wise.
    """
    rows = [
        run_pairs(case, users.take(pa.array([user] * items.num_rows, pa.int64())), items)
        for user in range(users.num_rows)
    ]
    return np.stack(rows)


def run_pairs(case: Case, users: pa.Table, items: pa.Table) -> Array:
    """Return the scores of users and items that are paired one to one, in one run: [rows]."""
    output, column = ranking_output(case)
    fetched = run_tensorflow(
        path_of(case), case.kwargs.get("signature"), case.feeds(users, items), {"score": output}
    )
    scores = fetched["score"]
    if column is not None:
        scores = scores[:, column]
    assert scores.size == items.num_rows, f"{case}: {scores.shape} for {items.num_rows} pairs"
    return scores.reshape(-1)


def ranking_output(case: Case) -> tuple[str, int | None]:
    """Return the output that ranks, and which column of it where it has several."""
    if case.score is None:
        signatures = session_of(path_of(case))[1]
        (output,) = signatures[case.kwargs.get("signature", "serving_default")].outputs
        return output, None
    match = re.fullmatch(r"(.*?)(?:\[(\d+)\])?", case.score)
    assert match is not None
    name, column = match.groups()
    return name, None if column is None else int(column)


def best_of(
    case: Case,
    users: pa.Table,
    items: pa.Table,
    k: int,
    *,
    exclude: Sequence[Sequence[Any] | None] | None = None,
    candidates: Sequence[Sequence[Any] | None] | None = None,
) -> list[Best]:
    """Return each user's `k` best (item id, score), best first, ties to the smaller item id.

    Args:
        case: The model.
        users: Its users.
        items: Its items; all of them are scored, whatever is excluded.
        k: At most so many items a user.
        exclude: Per user, the ids never to return; None or [] excludes nothing.
        candidates: Per user, the only ids to return; None for all, [] for none.
    """
    ids = items["item_id"].to_pylist()
    scores = scores_of(case, users, items)
    best = []
    for user in range(users.num_rows):
        allowed = set(ids)
        only = None if candidates is None else candidates[user]
        if only is not None:
            allowed &= set(only)
        if exclude is not None:
            allowed -= set(exclude[user] or ())
        best.append(_first(k, dict(zip(ids, scores[user].tolist(), strict=True)), allowed))
    return best


def _first(k: int, scores: Mapping[Any, float], allowed: set[Any]) -> Best:
    # Code points order strings as UTF-8's bytes do, which is Spark's order.
    pairs = [(item, score) for item, score in scores.items() if item in allowed]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:k]
