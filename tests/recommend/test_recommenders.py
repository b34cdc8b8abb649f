"""The recommender cases themselves: TensorFlow runs them, and their scores can fail a test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import from_arrow_schema

import tf2spark
from cases.recommenders import ALL, NOT_ROW_WISE, Case, best_of, case, path_of, run_pairs, scores_of
from cases.recommenders.running import ranking_output

pytestmark = pytest.mark.slow

_ROW_WISE = [recommender for recommender in ALL if recommender.row_wise]


def by_case(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recommender", cases, ids=lambda recommender: recommender.name)


@by_case(ALL)
def test_scores_differ_and_are_not_saturated(recommender: Case) -> None:
    """Scores are finite, differ from pair to pair, and lie where a sigmoid still moves."""
    scores = scores_of(recommender, recommender.users(3), recommender.items(5))
    assert scores.shape == (3, 5)
    assert np.isfinite(scores).all()
    # A lost user part or item part must show in every row and every column.
    assert (np.ptp(scores, axis=0) > 1e-3).all()
    assert (np.ptp(scores, axis=1) > 1e-3).all()
    if (scores >= 0).all() and (scores <= 1).all():
        assert (scores > 1e-3).all()
        assert (scores < 1 - 1e-3).all()


@by_case([recommender for recommender in ALL if recommender.name != "dot_ties"])
def test_few_scores_are_equal(recommender: Case) -> None:
    """With 60 items, at least 54 of a user's scores differ from each other."""
    for scores in scores_of(recommender, recommender.users(2), recommender.items(60)):
        assert len(np.unique(scores)) >= 54


@by_case(_ROW_WISE)
def test_a_pair_alone_scores_as_among_others(recommender: Case) -> None:
    """A row-wise model gives a pair the same score alone and among others."""
    users, items = recommender.users(3), recommender.items(5)
    scores = scores_of(recommender, users, items)
    alone = run_pairs(recommender, users.slice(2, 1), items.slice(3, 1))
    np.testing.assert_allclose(alone, scores[2:, 3], rtol=1e-5, atol=1e-6)


@by_case(ALL)
def test_tables_are_those_of_spark(recommender: Case) -> None:
    """Tables repeat, fewer rows are the first of more, and Spark has all their types."""
    for make, key in ((recommender.users, "user_id"), (recommender.items, "item_id")):
        table = make(23)
        assert table.num_rows == 23
        assert table.equals(make(23))
        assert table.slice(0, 7).equals(make(7))
        assert len(from_arrow_schema(table.schema)) == table.num_columns
        ids = table[key].to_pylist()
        assert len(set(ids)) == 23
        assert ids != sorted(ids)


@by_case(NOT_ROW_WISE)
def test_other_models_score_a_pair_by_its_run(recommender: Case) -> None:
    """A model that isn't row-wise gives a pair another score when it runs alone."""
    users, items = recommender.users(3), recommender.items(5)
    scores = scores_of(recommender, users, items)
    alone = run_pairs(recommender, users.slice(2, 1), items.slice(3, 1))
    assert abs(alone[0] - scores[2, 3]) > 1e-3


def test_best_are_sorted_with_ties_to_the_smaller_id() -> None:
    """Among equal scores, of which there are many here, the smaller item id comes first."""
    recommender = case("dot_ties")
    users, items = recommender.users(4), recommender.items(80)
    for best, scores in zip(
        best_of(recommender, users, items, 70), scores_of(recommender, users, items), strict=True
    ):
        assert len(best) == 70
        assert best == sorted(best, key=lambda pair: (-pair[1], pair[0]))
        assert len({score for _, score in best}) < 60
        assert best[0][1] == scores.max()
        assert best[-1][1] >= np.sort(scores)[9]


def test_best_keep_to_what_is_allowed() -> None:
    """Candidates and exclusions apply per user; unknown ids change nothing."""
    recommender = case("keras_lookups")
    users, items = recommender.users(3), recommender.items(20)
    free = best_of(recommender, users, items, 4)
    exclude = [[free[0][0][0], "no film"], None, []]
    after = best_of(recommender, users, items, 4, exclude=exclude)
    assert after[0][:3] == free[0][1:]
    assert after[1:] == free[1:]
    wanted = [[free[0][2][0], free[0][1][0], "no film"], None, []]
    among = best_of(recommender, users, items, 4, candidates=wanted)
    assert among == [free[0][1:3], free[1], []]
    assert best_of(recommender, users, items, 4, candidates=wanted, exclude=wanted)[0] == []


def test_rows_may_have_any_order() -> None:
    """A table in another order has the same best items."""
    recommender = case("wide_and_deep")
    users, items = recommender.users(2), recommender.items(9)
    reversed_items = items.take(pa.array(range(8, -1, -1)))
    got, want = (
        best_of(recommender, users, reversed_items, 9),
        best_of(recommender, users, items, 9),
    )
    assert [[item for item, _ in best] for best in got] == [
        [item for item, _ in best] for best in want
    ]


@by_case(ALL)
def test_feed_argument_is_what_tensorflow_is_fed(recommender: Case) -> None:
    """Pairs scored as plain rows with the case's `feed` score as with its hand-written feeds."""
    users, items = recommender.users(5), recommender.items(5)
    columns = {name: table[name] for table in (users, items) for name in table.column_names}
    # A row has no sides, so the names of its columns say which side they come from.
    columns |= {f"user_{name}": users[name] for name in users.column_names}
    columns |= {f"item_{name}": items[name] for name in items.column_names}
    feed = {name: in_one_row(value) for name, value in (recommender.feed or {}).items()} or None
    output, column = ranking_output(recommender)
    model = tf2spark.SavedModel(path_of(recommender))
    # Those that score a row by the others of its batch are meant to.
    options = {"keep": [], "rows": "batch", **recommender.kwargs}
    got = model.score(pa.table(columns), feed=feed, fetch={"score": output}, **options)
    scores = np.array(got["score"].to_pylist()).reshape(5, -1)[:, column or 0]
    np.testing.assert_allclose(scores, run_pairs(recommender, users, items), rtol=1e-5, atol=1e-6)


def in_one_row(feed: Any) -> Any:
    """Return a feed with ``user:`` and ``item:`` as part of the columns' names."""
    return [column.replace(":", "_", 1) for column in feed] if isinstance(feed, list) else feed
