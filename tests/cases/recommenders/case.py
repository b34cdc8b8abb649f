"""A recommender as a test case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from attrs import Factory, field, frozen

from cases.models.case import Feeds


@frozen(eq=False, repr=False)
class Case:
    """One small SavedModel that scores a user and an item, tables for both, TensorFlow's own feeds.

    Attributes:
        name: What `recommenders.case` finds it by, and the id of its tests.
        make: Writes the SavedModel into a folder that isn't there yet.
        users: Makes so many users: ``user_id`` and features. Fewer rows are the first of more.
        items: Makes so many items: ``item_id`` and features. The ids are in no order.
        feeds: Turns users and items, paired one to one, into TensorFlow's own feeds: signature key
            or raw tensor name to an array.
        feed: The `feed` argument of `SavedModel.recommend`; None where all names match.
        score: Its `score` argument; None where the signature has one output with one value per row.
        kwargs: Its other arguments: ``{"signature": ...}``.
        row_wise: A pair's score doesn't depend on the pairs that run with it.
        splits: What can leave the pair loop, in words: ("first dense layer", "fm term").
    """

    name: str
    make: Callable[[Path], None]
    users: Callable[[int], pa.Table]
    items: Callable[[int], pa.Table]
    feeds: Callable[[pa.Table, pa.Table], Feeds]
    feed: dict[str, Any] | None = None
    score: str | None = None
    kwargs: dict[str, Any] = field(default=Factory(dict))
    row_wise: bool = True
    splits: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Case({self.name})"
