"""`recommend` in a worker that learns the tables' columns itself; without Spark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from attrs import evolve

import tf2spark
from cases.recommenders import case, path_of
from tf2spark.binding.kept_results import KeptResults
from tf2spark.errors import ContractError, RowError
from tf2spark.recommend.arguments import make_arguments
from tf2spark.recommend.catalog.files import refer_to
from tf2spark.recommend.prepare import prepare
from tf2spark.runnable.recommend import pair_model, ranking_request
from tf2spark.spark.late_binding import late_recommender as late

CASE = case("wide_and_deep")
USERS, ITEMS = CASE.users(30), CASE.items(40)
_HASH = 7
IDS = sorted(ITEMS["item_id"].to_pylist())


@pytest.fixture(scope="module")
def model() -> tf2spark.SavedModel:
    return tf2spark.SavedModel(path_of(CASE))


def call_of(model: tf2spark.SavedModel, **given: Any) -> late.LateCall:
    named = {"keep": None, "mode": "failfast", "exclude": None, "candidates": None, **given}
    arguments = make_arguments(3, "user_id", "item_id", **named)
    runnable = model._runnable
    request = ranking_request(runnable, None, None, None)
    compiled = pair_model(runnable, request, None, None)
    reference = refer_to(compiled.folder, compiled)
    return late.LateCall(evolve(compiled, meta_graph=None), reference, request, arguments)


def recommended(
    call: late.LateCall, users: pa.Table, items: pa.Table, rows: int = 12
) -> list[dict[str, Any]]:
    """Run the worker's function as Spark does: the catalog stands beside the first row alone."""
    ids = sorted(items["item_id"].to_pylist())
    catalog = {"ids": ids, "items": items.to_pylist(), "ids_hash": _HASH}
    rows_type = pa.list_(pa.struct(list(items.schema)))
    catalog_type = pa.struct(
        [("ids", pa.list_(pa.int64())), ("items", rows_type), ("ids_hash", pa.int64())]
    )

    def arrays() -> Iterator[tuple[pa.Array, ...]]:
        for first in range(0, users.num_rows, rows):
            part = users.slice(first, rows).to_struct_array().combine_chunks()
            beside: list[Any] = [None] * len(part)
            if not first:
                beside[0] = catalog
            yield part, pa.array(beside, catalog_type)

    return [row for batch in late.late_recommender(call)(arrays()) for row in batch.to_pylist()]


def with_ids(rows: list[dict[str, Any]]) -> list[Any]:
    """Return the ids and scores of each row's items, which come as positions."""
    return [
        None if row["recommendations"] is None
        else [(IDS[best["position"]], best["score"]) for best in row["recommendations"]]
        for row in rows
    ]  # fmt: skip


def expected_of(model: tf2spark.SavedModel, users: pa.Table, **given: Any) -> list[Any]:
    result = model.recommend(users, ITEMS, 3, **given)["recommendations"].to_pylist()
    return [
        None if row is None else [(best["item_id"], pytest.approx(best["score"])) for best in row]
        for row in result
    ]


def test_a_worker_recommends_as_the_driver_does(model: tf2spark.SavedModel) -> None:
    """Whatever the batches; kept columns aren't returned, because they never leave the JVM."""
    rows = recommended(call_of(model, keep=["job"]), USERS, ITEMS)
    assert {key for row in rows for key in row} == {"recommendations", "ids_hash"}
    assert {row["ids_hash"] for row in rows} == {_HASH}
    assert with_ids(rows) == expected_of(model, USERS)


def test_lists_of_ids_hold(model: tf2spark.SavedModel) -> None:
    """Users' lists have ids, not positions."""
    seen = pa.array([IDS[row : row + 30] for row in range(USERS.num_rows)], pa.list_(pa.int64()))
    users = USERS.append_column("seen", seen)
    rows = recommended(call_of(model, exclude="seen"), users, ITEMS)
    assert with_ids(rows) == expected_of(model, users, exclude="seen")


def test_users_that_can_t_be_scored_have_a_reason(model: tf2spark.SavedModel) -> None:
    """They follow the mode; messages name them by their ids."""
    jobs = [None, *USERS["job"].to_pylist()[1:]]
    users = USERS.set_column(USERS.schema.get_field_index("job"), "job", pa.array(jobs))
    rows = recommended(call_of(model, mode="permissive"), users, ITEMS)
    assert with_ids(rows) == expected_of(model, users, mode="permissive")
    assert [row["_error"] is None for row in rows] == [False] + [True] * 29
    assert f"user_id={users['user_id'][0].as_py()}" in rows[0]["_error"]
    with pytest.raises(RowError, match="user_id="):
        recommended(call_of(model), users, ITEMS)


def test_tables_that_don_t_fit_fail_the_first_batch(model: tf2spark.SavedModel) -> None:
    """With the messages of an ordinary call."""
    with pytest.raises(ContractError, match="neither users nor items have a column"):
        recommended(call_of(model), USERS.drop_columns(["job"]), ITEMS)
    twice = pa.concat_tables([ITEMS, ITEMS.slice(0, 1)])
    with pytest.raises(ContractError, match="must be unique"):
        recommended(call_of(model), USERS, twice)


def test_a_process_prepares_equal_jobs_once(
    model: tf2spark.SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keeps two of them, with their files, which go with them."""
    prepared: list[Path] = []

    def counted(*arguments: Any) -> Any:
        prepared.append(arguments[-1])
        return prepare(*arguments)

    monkeypatch.setattr(late, "prepare", counted)
    monkeypatch.setattr(late, "_prepared", KeptResults(late._KEPT_JOBS))
    call = call_of(model)
    first = recommended(call, USERS, ITEMS)
    assert recommended(call, USERS, ITEMS) == first
    assert [folder.is_dir() for folder in prepared] == [True]
    for count in (38, 39):
        recommended(call, USERS, ITEMS.slice(0, count))
    assert [folder.is_dir() for folder in prepared] == [False, True, True]


def test_only_the_first_row_of_a_task_is_marked() -> None:
    """Empty batches before it don't count; Spark may pass arrays bare or in tuples."""
    batches: Any = [pa.array([], pa.bool_()), pa.array([True, True]), (pa.array([True]),)]
    marks = [mark for batch in late.mark_first_row(batches) for mark in batch.to_pylist()]
    assert marks == [True, False, False]


def test_a_task_without_users_prepares_nothing(model: tf2spark.SavedModel) -> None:
    """It has no catalog either."""
    assert list(late.late_recommender(call_of(model))([])) == []
