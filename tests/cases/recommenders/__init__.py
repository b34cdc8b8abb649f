"""Small recommender models, made by TensorFlow, with TensorFlow's own scores of every pair.

Each `Case` is a model that scores a user and an item, tables of users and of items, and the
arguments of `SavedModel.recommend`. As in `zoo`, the feeds that TensorFlow is run with directly
are written by hand::

    from cases.recommenders import ALL, best_of, path_of

    @pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
    def test_recommends(case):
        users, items = case.users(20), case.items(200)
        model = tf2spark.SavedModel(path_of(case))
        got = model.recommend(users, items, 10, feed=case.feed, score=case.score, **case.kwargs)
        assert_same(got, best_of(case, users, items, 10))

`scores_of` returns all scores, [users, items]. Any number of rows works, and fewer rows are the
first of more. `Case.row_wise` says whether a pair may run with any others; all cases but those in
`NOT_ROW_WISE` are.
"""

from __future__ import annotations

from cases.recommenders import (
    attention,
    batchwise,
    contexts,
    cross,
    deepfm,
    deepfm_tf1,
    interactions,
    mlp,
    one_sided,
    outputs,
    tf1_feeds,
    two_towers,
    wide_and_deep,
)
from cases.recommenders.case import Case
from cases.recommenders.running import best_of, path_of, run_pairs, scores_of

ALL = [
    *two_towers.CASES,
    *deepfm.CASES,
    *deepfm_tf1.CASES,
    *wide_and_deep.CASES,
    *cross.CASES,
    *interactions.CASES,
    *mlp.CASES,
    *attention.CASES,
    *tf1_feeds.CASES,
    *outputs.CASES,
    *contexts.CASES,
    *one_sided.CASES,
    *batchwise.CASES,
]
NOT_ROW_WISE = [case for case in ALL if not case.row_wise]

__all__ = [
    "ALL",
    "NOT_ROW_WISE",
    "Case",
    "best_of",
    "case",
    "path_of",
    "run_pairs",
    "scores_of",
]


def case(name: str) -> Case:
    """Return the case of that name."""
    return next(case for case in ALL if case.name == name)
