"""Users and items that the surveyed models know: ids, numbers and histories."""

from __future__ import annotations

from typing import Any

import numpy as np

USERS, ITEMS, CATEGORIES, GENDERS = 200, 300, 20, 3
HISTORY = 6
SESSIONS, SESSION_LENGTH = 2, 4

Columns = dict[str, Any]


def users(rows: int = 9) -> Columns:
    """Return the columns of users; histories are padded with zeros."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, HISTORY + 1, rows).astype(np.int32)
    mask = np.arange(HISTORY) < lengths[:, None]
    columns: Columns = {
        "user_id": rng.integers(0, USERS, rows).astype(np.int32),
        "gender": rng.integers(0, GENDERS, rows).astype(np.int32),
        "age": rng.random(rows).astype(np.float32),
        "hist_item_id": np.where(mask, rng.integers(1, ITEMS, mask.shape), 0).astype(np.int32),
        "hist_cate_id": np.where(mask, rng.integers(1, CATEGORIES, mask.shape), 0).astype(np.int32),
        "seq_length": lengths,
        "sess_length": rng.integers(1, SESSIONS + 1, rows).astype(np.int32),
    }
    for session in range(SESSIONS):
        for name, high in (("item_id", ITEMS), ("cate_id", CATEGORIES)):
            values = rng.integers(1, high, (rows, SESSION_LENGTH)).astype(np.int32)
            columns[f"sess_{session}_{name}"] = values
    return columns


def items(rows: int = 31) -> Columns:
    """Return the columns of items."""
    rng = np.random.default_rng(2)
    return {
        "item_id": rng.permutation(np.arange(1, ITEMS))[:rows].astype(np.int32),
        "cate_id": rng.integers(1, CATEGORIES, rows).astype(np.int32),
        "price": rng.random(rows).astype(np.float32),
    }


def pairs(user_columns: Columns, item_columns: Columns) -> Columns:
    """Return all pairs, user by user."""
    n_users, n_items = len(user_columns["user_id"]), len(item_columns["item_id"])
    repeated = {name: np.repeat(value, n_items, 0) for name, value in user_columns.items()}
    tiled = {
        name: np.tile(value, (n_users,) + (1,) * (value.ndim - 1))
        for name, value in item_columns.items()
    }
    return repeated | tiled
