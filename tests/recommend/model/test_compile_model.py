"""The model that is compiled for `recommend`."""

from __future__ import annotations

import pytest

import tf2spark
from cases import recommenders
from cases.recommenders.running import path_of
from tf2spark.recommend.model import compile_model
from tf2spark.runnable.recommend import pair_model, ranking_request


def test_tables_that_rows_are_gathered_from_are_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """They leave the graph long before other weights do, and no recommendation changes."""
    case = recommenders.case("wide_and_deep")
    users, items = case.users(7), case.items(50)
    plain = tf2spark.SavedModel(path_of(case))
    expected = plain.recommend(users, items, 5, feed=case.feed, score=case.score)
    monkeypatch.setattr(compile_model, "_TABLE_BYTES", 64)
    model = tf2spark.SavedModel(path_of(case))
    got = model.recommend(users, items, 5, feed=case.feed, score=case.score)
    assert got.equals(expected)
    request = ranking_request(model._runnable, case.feed, case.score, None)
    assert pair_model(model._runnable, request, case.score, None).weights
