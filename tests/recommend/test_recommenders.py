"""The recommenders themselves: TensorFlow runs them all, and their scores can fail a test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import from_arrow_schema

import tf2spark
from cases.recommenders import ALL, NOT_ROW_WISE, Case, best_of, case, path_of, run_pairs, scores_of
from cases.recommenders.running import asked

_ROW_WISE = [one for one in ALL if one.row_wise]


def by_case(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("one", cases, ids=lambda one: one.name)


@by_case(ALL)
def test_scores_differ_and_are_not_saturated(one: Case) -> None:
    """Scores are finite, differ from pair to pair, and lie where a sigmoid still moves."""
    scores = scores_of(one, one.users(3), one.items(5))
    assert scores.shape == (3, 5)
    assert np.isfinite(scores).all()
    # A user's part that got lost, or an item's, must show in every row and every column.
    assert (np.ptp(scores, axis=0) > 1e-3).all()
    assert (np.ptp(scores, axis=1) > 1e-3).all()
    if (scores >= 0).all() and (scores <= 1).all():
        assert (scores > 1e-3).all()
        assert (scores < 1 - 1e-3).all()


@by_case([one for one in ALL if one.name != "dot_ties"])
def test_few_scores_are_equal(one: Case) -> None:
    """Among 2 users and 60 items, 9 of 10 scores of a user are his only ones of that value."""
    for scores in scores_of(one, one.users(2), one.items(60)):
        assert len(np.unique(scores)) >= 54


@by_case(_ROW_WISE)
def test_a_pair_alone_scores_as_in_any_company(one: Case) -> None:
    """A row-wise model gives one pair in a run what it gives it among others."""
    users, items = one.users(3), one.items(5)
    scores = scores_of(one, users, items)
    alone = run_pairs(one, users.slice(2, 1), items.slice(3, 1))
    np.testing.assert_allclose(alone, scores[2:, 3], rtol=1e-5, atol=1e-6)


@by_case(ALL)
def test_tables_are_those_of_spark(one: Case) -> None:
    """Tables are the same at every call, fewer rows the first of more, of types that Spark has."""
    for make, key in ((one.users, "user_id"), (one.items, "item_id")):
        table = make(23)
        assert table.num_rows == 23
        assert table.equals(make(23))
        assert table.slice(0, 7).equals(make(7))
        assert len(from_arrow_schema(table.schema)) == table.num_columns
        ids = table[key].to_pylist()
        assert len(set(ids)) == 23
        assert ids != sorted(ids)


@by_case(NOT_ROW_WISE)
def test_other_models_score_a_pair_by_its_company(one: Case) -> None:
    """A model that isn't row-wise gives a pair something else when it runs alone."""
    users, items = one.users(3), one.items(5)
    scores = scores_of(one, users, items)
    alone = run_pairs(one, users.slice(2, 1), items.slice(3, 1))
    assert abs(alone[0] - scores[2, 3]) > 1e-3


def test_best_are_sorted_with_ties_to_the_smaller_id() -> None:
    """Where scores are equal, as many are here, the smaller item id comes first."""
    one = case("dot_ties")
    users, items = one.users(4), one.items(80)
    for found, scores in zip(
        best_of(one, users, items, 70), scores_of(one, users, items), strict=True
    ):
        assert len(found) == 70
        assert found == sorted(found, key=lambda pair: (-pair[1], pair[0]))
        assert len({score for _, score in found}) < 60
        assert found[0][1] == scores.max()
        assert found[-1][1] >= np.sort(scores)[9]


def test_best_keep_to_what_is_allowed() -> None:
    """Candidates and exclusions are each user's own; an id that isn't an item changes nothing."""
    one = case("keras_lookups")
    users, items = one.users(3), one.items(20)
    free = best_of(one, users, items, 4)
    exclude = [[free[0][0][0], "no film"], None, []]
    after = best_of(one, users, items, 4, exclude=exclude)
    assert after[0][:3] == free[0][1:]
    assert after[1:] == free[1:]
    wanted = [[free[0][2][0], free[0][1][0], "no film"], None, []]
    among = best_of(one, users, items, 4, candidates=wanted)
    assert among == [free[0][1:3], free[1], []]
    assert best_of(one, users, items, 4, candidates=wanted, exclude=wanted)[0] == []


def test_rows_may_come_in_any_order() -> None:
    """A table taken apart and put together in another order has the same best items."""
    one = case("wide_and_deep")
    users, items = one.users(2), one.items(9)
    turned = items.take(pa.array(range(8, -1, -1)))
    got, want = best_of(one, users, turned, 9), best_of(one, users, items, 9)
    assert [[item for item, _ in best] for best in got] == [
        [item for item, _ in best] for best in want
    ]


@by_case(ALL)
def test_feed_argument_says_what_tensorflow_is_fed(one: Case) -> None:
    """Pairs scored as plain rows, by the case's own `feed`, score as by its hand-written feeds."""
    users, items = one.users(5), one.items(5)
    columns = {name: table[name] for table in (users, items) for name in table.column_names}
    # A row has no sides: a column says by its name which one it came from.
    columns |= {f"user_{name}": users[name] for name in users.column_names}
    columns |= {f"item_{name}": items[name] for name in items.column_names}
    feed = {name: in_one_row(value) for name, value in (one.feed or {}).items()} or None
    output, column = asked(one)
    model = tf2spark.SavedModel(path_of(one))
    got = model.score(pa.table(columns), feed=feed, fetch={"score": output}, keep=[], **one.kwargs)
    scores = np.array(got["score"].to_pylist()).reshape(5, -1)[:, column or 0]
    np.testing.assert_allclose(scores, run_pairs(one, users, items), rtol=1e-5, atol=1e-6)


def in_one_row(feed: Any) -> Any:
    """Return a feed with ``user:`` and ``item:`` as part of the columns' names."""
    return [one.replace(":", "_", 1) for one in feed] if isinstance(feed, list) else feed
