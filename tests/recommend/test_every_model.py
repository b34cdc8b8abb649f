"""`SavedModel.recommend` on every recommender, compared with TensorFlow on every pair."""

from __future__ import annotations

import pytest

import tf2spark
from cases import recommenders
from cases.recommenders.calls import K, assert_best, pairs_of, recommended
from cases.recommenders.case import Case
from cases.recommenders.running import best_of, path_of

_USERS, _ITEMS = 23, 61
# Joined strings of both sides.
_WHOLE = {"crossed_words"}


@pytest.mark.slow
class TestEveryModel:
    @pytest.mark.parametrize("case", recommenders.ALL, ids=lambda case: case.name)
    def test_gives_what_tensorflow_gives_on_every_pair(self, case: Case) -> None:
        """Each user's best items are those of the whole graph, in its order."""
        users, items = case.users(_USERS), case.items(_ITEMS)
        got = pairs_of(recommended(case, users, items))
        for best, want in zip(got, best_of(case, users, items, K), strict=True):
            assert_best(best, want)

    @pytest.mark.parametrize(
        "case", [case for case in recommenders.ALL if case.splits], ids=lambda case: case.name
    )
    def test_is_split_where_it_can_be(self, case: Case) -> None:
        """What should leave the pair loop does, except for the few kinds that the docs name."""
        plan = tf2spark.SavedModel(path_of(case)).plan(
            case.users(5), case.items(9), feed=case.feed, score=case.score, **case.kwargs
        )
        assert (plan.why_whole is not None) == (case.name in _WHOLE), plan
        if plan.why_whole is None:
            assert "checked against the whole graph" in str(plan)

    def test_ties_go_to_the_smaller_id(self) -> None:
        """Items with exactly equal scores are in ascending order of their ids."""
        case = recommenders.case("dot_ties")
        users, items = case.users(_USERS), case.items(_ITEMS)
        assert pairs_of(recommended(case, users, items)) == best_of(case, users, items, K)

    @pytest.mark.parametrize(
        "case",
        [case for case in recommenders.NOT_ROW_WISE if not case.splits],
        ids=lambda case: case.name,
    )
    def test_whose_rows_depend_on_each_other_runs_one_user_at_a_time(self, case: Case) -> None:
        """A graph that isn't row-wise runs whole, and the plan names the op."""
        plan = tf2spark.SavedModel(path_of(case)).plan(
            case.users(5), case.items(9), feed=case.feed, score=case.score, **case.kwargs
        )
        assert plan.why_whole
        assert "one user against all 9 items" in str(plan)
