"""`recommend` where ops without rules depend on one side: plans, packages, large catalogs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tf2spark
from cases import recommenders
from cases.recommenders.calls import K, assert_best, pairs_of, recommended
from cases.recommenders.case import Case
from cases.recommenders.running import best_of, path_of
from tf2spark.recommend.company import items as items_in_company
from tf2spark.recommend.company.side_probe import SideProbe
from tf2spark.recommend.explanation.plan import RecommendPlan
from tf2spark.recommend.model import compile_model


def _plan(case: Case, path: Path | None = None) -> RecommendPlan:
    model = tf2spark.SavedModel(path or path_of(case))
    plan: RecommendPlan = model.plan(case.users(20), case.items(30), feed=case.feed)
    return plan


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("loop", ["users aren't known to leave each other's values alone"]),
        ("history_gru", ["users change each other's values"]),
        ("centred_users", ["users change each other's values"]),
        ("titles", ["items aren't known to leave each other's values alone"]),
        ("dot", []),
    ],
)
def test_the_plan_says_where_rows_may_meet(name: str, lines: list[str]) -> None:
    """Padding and means over a run change values; a loop isn't known not to; rules prove it."""
    text = str(_plan(recommenders.case(name)))
    found = [line for line in text.splitlines() if "each other's" in line]
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True))


@pytest.mark.parametrize("name", ["titles", "centred_items", "query"])
@pytest.mark.parametrize("one_run_rows", [5, 8192])
def test_a_large_catalog_gives_the_scores_of_one_run(
    name: str, one_run_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is computed in runs of two sizes first; only if they differ in one run of all items."""
    monkeypatch.setattr(items_in_company, "_ONE_RUN_ROWS", one_run_rows)
    monkeypatch.setattr(items_in_company, "_OTHER_RUN_ROWS", 7)
    case = recommenders.case(name)
    users, items = case.users(9), case.items(61)
    got = pairs_of(recommended(case, users, items))
    for best, want in zip(got, best_of(case, users, items, K), strict=True):
        assert_best(best, want)


def test_a_package_with_loops_is_split_too(tmp_path: Path) -> None:
    """It keeps its calls, which make a loop faster in `score`; here they are inlined."""
    case = recommenders.case("keras_lstm")
    tf2spark.SavedModel(path_of(case)).compile(tmp_path / "package")
    assert _plan(case, tmp_path / "package").why_whole is None


def test_a_package_with_loops_runs_whole_without_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package promises that the driver needs no TensorFlow in Python."""

    def missing(*args: object, **kwargs: object) -> None:
        raise tf2spark.errors.SetupError("no TensorFlow")

    case = recommenders.case("keras_lstm")
    tf2spark.SavedModel(path_of(case)).compile(tmp_path / "package")
    monkeypatch.setattr(compile_model, "_compile", missing)
    assert "StatefulPartitionedCall" in str(_plan(case, tmp_path / "package").why_whole)


def test_copies_of_ops_are_checked_by_workers_alone() -> None:
    """The whole graph doesn't have them, so no rows are run; a stream has no sample at all."""
    no_users = pa.table({"user_id": pa.array([], pa.int64())})
    unused: Any = None
    probe = SideProbe(unused, unused, {}, unused, {"user": no_users}.__getitem__)
    assert probe.row_dims("user", "tf2spark/Unique_3:0") is None
    assert probe.relation("user", ["tf2spark/Unique_3:0"]) == "unknown"


def test_users_of_any_length_are_scored_by_the_split_graph() -> None:
    """A history that is longer than all of the first users' has no width to exceed."""
    case = recommenders.case("history_gru")
    users, items = case.users(100), case.items(13)
    longest = users["history"].combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
    users = users.take(np.argsort(longest, kind="stable"))
    got = pairs_of(recommended(case, users, items))
    for best, want in zip(got, best_of(case, users.take([99]), items, K), strict=False):
        assert len(best) == len(want)
    assert_best(got[99], best_of(case, users.take([99]), items, K)[0])
