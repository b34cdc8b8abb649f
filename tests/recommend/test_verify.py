"""How a split graph's scores are compared with the whole graph's, and on which rows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import tf2spark
from cases import recommenders
from cases.recommenders.running import path_of
from tf2spark.conversion.rows import Array, RowsUneven
from tf2spark.graph_split.forms import NotSplit
from tf2spark.recommend.arguments import make_arguments
from tf2spark.recommend.prepare import prepare
from tf2spark.recommend.table_checks import checked_sides
from tf2spark.recommend.tables import ArrowTables
from tf2spark.recommend.verify import _compare, _pick_rows, _scores_of, _split_scorer
from tf2spark.runnable.recommend import pair_model, ranking_request
from tf2spark.worker.model_session import open_model

NAN, INF = np.nan, np.inf


def scores(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([values], np.float64)


@pytest.mark.parametrize(
    ("got", "expected", "difference"),
    [
        (scores(1.0, 0.25), scores(1.0, 0.5), 0.25),
        (scores(0.02, 0.013), scores(0.02, 0.01), 0.15),
        (scores(0.0, 1e-6), scores(0.0, 0.0), 1e-3),
        (scores(101.0), scores(100.0), 0.01),
        (scores(-101.0), scores(-100.0), 0.01),
        (scores(NAN, INF, -INF, 0.0), scores(NAN, INF, -INF, -0.0), 0.0),
    ],
)
def test_difference_is_relative_to_the_score_or_the_largest_up_to_1(
    got: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    expected: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    difference: float,
) -> None:
    """The largest of all pairs; what isn't a number is equal to itself."""
    check = _compare(got, expected, 0.3)
    assert (check.pairs, check.tolerance) == (got.size, 0.3)
    assert check.difference == pytest.approx(difference)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (scores(1.0, 2.0), scores(1.0, 3.0)),
        (scores(NAN), scores(1.0)),
        (scores(1.0), scores(NAN)),
        (scores(INF), scores(-INF)),
        (scores(INF), scores(1.0)),
    ],
)
def test_larger_differences_are_no_split(
    got: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    expected: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    """A NaN or an infinity of one graph alone is the largest difference there is."""
    with pytest.raises(NotSplit, match=r"more than the tolerance 0\.1"):
        _compare(got, expected, 0.1)


def test_rows_with_the_smallest_and_largest_values_are_checked() -> None:
    """Besides the first rows and the last: numbers, texts and lists are compared by size."""
    rows = 50
    number = [1.0] * rows
    number[20], number[21] = -9.0, 9.0
    text = ["ab"] * rows
    text[30], text[31] = "", "abcdef"
    table = pa.table({"id": range(rows), "number": number, "text": text})
    assert _pick_rows(table, ["number", "text"])["id"].to_pylist() == [
        0,
        1,
        2,
        3,
        20,
        21,
        30,
        31,
        49,
    ]
    lists = pa.table({"id": range(rows), "list": [[1.0, 2.0]] * 40 + [[5.0, 5.0]] + [None] * 9})
    assert _pick_rows(lists, ["list"])["id"].to_pylist() == [0, 1, 2, 3, 40, 41, 49]


def test_few_rows_are_all_checked() -> None:
    """Each once, and none of none."""
    assert _pick_rows(pa.table({"id": [4, 2, 7]}), [])["id"].to_pylist() == [4, 2, 7]
    assert _pick_rows(pa.table({"id": pa.array([], pa.int64())}), []).num_rows == 0


def test_only_the_items_of_the_check_are_scored(tmp_path: Path) -> None:
    """They get the scores that they have among all items."""
    case = recommenders.case("wide_and_deep")
    runnable = tf2spark.SavedModel(path_of(case))._runnable
    request = ranking_request(runnable, case.feed, case.score, None)
    tables = ArrowTables(case.users(3), case.items(400))
    arguments = make_arguments(3, "user_id", "item_id", None, None, None, "failfast")
    sides = checked_sides(request, arguments, tables)
    model = pair_model(runnable, request, case.score, None)
    plan = prepare(model, sides, arguments, tables, tmp_path).plan
    positions = np.array([399, 0, 210, 211])
    with closing(open_model(plan.users.model, Path(plan.users.model.path))) as session:
        score_some = _split_scorer(plan, session, positions)
        score_all = _split_scorer(plan, session, np.arange(400))
        for batch in tables.user_table.to_batches():
            scores = score_some(batch)
            assert scores.shape == (3, 4)
            assert scores.tolist() == score_all(batch)[:, positions].tolist()


def test_users_are_scored_alone_where_one_of_them_cannot_be() -> None:
    """The others have their scores all the same."""
    users = pa.RecordBatch.from_pydict({"id": [1, 2, 3]})

    def score(batch: pa.RecordBatch) -> Array:
        if 2 in batch["id"].to_pylist():
            raise RowsUneven(np.array([1, 2, 1]))
        scores: Array = batch["id"].to_numpy()[:, None] * np.ones(2)
        return scores

    assert [each if each is None else each.tolist() for each in _scores_of(score, users)] == [
        [1.0, 1.0], None, [3.0, 3.0],
    ]  # fmt: skip
    (first, _) = _scores_of(score, users.take(pa.array([0, 2])))
    assert first is not None
    assert first.tolist() == [1.0, 1.0]
