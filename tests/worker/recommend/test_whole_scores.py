"""Scores by the whole graph: which pairs share a run, and which value of a row is the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from cases.folder_session import FakeFolderSession
from tf2spark.conversion.rows import RowsRefused
from tf2spark.dtypes import FLOAT32, FLOAT64
from tf2spark.errors import RunError
from tf2spark.plan.recommend import ITEMS_FILE, CatalogPlan, WholePlan
from tf2spark.plan.score import InputPlan, ModelRef, OutputPlan, Plan, Source
from tf2spark.recommend.catalog.files import write_table
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.worker.recommend.split_scores import PairsRefused
from tf2spark.worker.recommend.whole_scores import refused_items, whole_blocks, whole_scorer

ITEMS = [1.0, 2.0, 3.0, 4.0, 5.0]


def model(feeds: dict[str, Tensor]) -> dict[str, Tensor | Strings]:
    """Return [user + item, user * item, rows of the run] for each pair."""
    user = np.asarray(feeds["u:0"].data, np.float32).reshape(-1)
    item = np.asarray(feeds["i:0"].data, np.float32).reshape(-1)
    rows = np.full(len(user), len(user))
    data = np.stack([user + item, user * item, rows], axis=1).astype(np.float32)
    return {"y:0": Tensor(FLOAT32, data.shape, data)}


def scalar(name: str, column: int) -> InputPlan:
    source = Source(name, column, (), "list", pa.float32())
    return InputPlan(name, (f"{name}:0",), "dense", FLOAT32, (), (source,))


OUTPUT = OutputPlan("score", "y", ("y:0",), FLOAT32, (3,), pa.list_(pa.float32()))
STRATEGY = WholePlan((scalar("u", 0), scalar("i", 1)), (1,), ("user:u",), OUTPUT, 1, None, 5)
USERS = pa.RecordBatch.from_pydict(
    {"id": ["a", "b"], "u": pa.array([10.0, 20.0], pa.float32())}
)  # fmt: skip


def plan_of(strategy: WholePlan, code: int = FLOAT32.code) -> CatalogPlan:
    users = Plan(ModelRef("", (), ""), (), (), extra_columns=(1,))
    return CatalogPlan(users, strategy, 3, len(ITEMS), code)


@pytest.fixture
def session(tmp_path: Path) -> FakeFolderSession:
    items = pa.table({"item:i": pa.array(ITEMS, pa.float32())})
    write_table(tmp_path, ITEMS_FILE, items)
    return FakeFolderSession(model, path=str(tmp_path))


def scores(
    session: FakeFolderSession, strategy: WholePlan, code: int = FLOAT32.code
) -> list[list[float]]:
    blocks = list(
        whole_blocks(plan_of(strategy, code), strategy, session, Path(session.path))(USERS)
    )
    assert [(block.users, block.first) for block in blocks] == [((0, 1), 0), ((1, 2), 0)]
    return [block.scores[0].tolist() for block in blocks]


@pytest.mark.parametrize("column", [0, 1])
def test_a_score_is_one_entry_of_its_row(session: FakeFolderSession, column: int) -> None:
    """The one that the plan names."""
    got = scores(session, evolve(STRATEGY, column=column))
    expected = [
        [user + item if column == 0 else user * item for item in ITEMS] for user in (10, 20)
    ]
    assert got == expected


@pytest.mark.parametrize("column_type", [pa.float32(), pa.list_(pa.float32())])
def test_a_score_is_the_only_value_of_its_row(
    session: FakeFolderSession, column_type: pa.DataType
) -> None:
    """As a scalar or as a list of one."""
    is_list = pa.types.is_list(column_type)

    def one_value(feeds: dict[str, Tensor]) -> dict[str, Tensor | Strings]:
        data = feeds["i:0"].data.reshape(-1, 1) if is_list else feeds["i:0"].data.reshape(-1)
        return {"y:0": Tensor(FLOAT32, data.shape, data)}

    session.model = one_value
    output = evolve(OUTPUT, dims=(1,) if is_list else (), arrow=column_type)
    assert scores(session, evolve(STRATEGY, output=output, column=None)) == [ITEMS, ITEMS]


@pytest.mark.parametrize("column", [None, 3])
def test_rows_of_another_width_are_an_error(session: FakeFolderSession, column: int | None) -> None:
    """Where the graph leaves the width open, only a run shows that an entry has to be picked."""
    with pytest.raises(RunError, match=r'has 3 values per row; name .* 0 to 2: score="NAME\[0\]"$'):
        scores(session, evolve(STRATEGY, column=column))


def test_scores_have_the_plan_s_dtype(session: FakeFolderSession) -> None:
    """Doubles where the model computes in doubles or integers."""
    plan = plan_of(STRATEGY, FLOAT64.code)
    block = next(whole_blocks(plan, STRATEGY, session, Path(session.path))(USERS))
    assert block.scores.dtype == np.float64


@pytest.mark.parametrize(
    ("items_per_run", "fixed_rows", "rows_of_runs"),
    [(5, None, [5, 5]), (2, None, [2, 2, 1] * 2), (5, 4, [4, 4] * 2)],
)
def test_pairs_of_a_user_share_a_run(
    session: FakeFolderSession, items_per_run: int, fixed_rows: int | None, rows_of_runs: list[int]
) -> None:
    """All of them, or as many as the plan allows; a fixed batch is filled up."""
    strategy = evolve(STRATEGY, column=2, items_per_run=items_per_run, fixed_rows=fixed_rows)
    got = scores(session, strategy)
    assert session.runs == rows_of_runs
    expected = [float(rows) for rows in rows_of_runs for _ in range(fixed_rows or rows)]
    assert got == [expected[:5], expected[:5]]


def test_scores_for_checks_are_those_of_all_items(session: FakeFolderSession) -> None:
    """A user at a time; one that an item refuses has none."""
    strategy, folder = evolve(STRATEGY, column=0), Path(session.path)
    score = whole_scorer(plan_of(strategy), strategy, session, folder)
    assert score(USERS.slice(1)).tolist() == [20 + item for item in ITEMS]
    nulls: list[Any] = [1.0, None, 3.0, 4.0, 5.0]
    write_table(folder, ITEMS_FILE, pa.table({"item:i": pa.array(nulls, pa.float32())}))
    score = whole_scorer(plan_of(strategy), strategy, session, folder)
    with pytest.raises(RowsRefused):
        score(USERS.slice(1))


def test_pairs_that_cannot_be_scored_name_the_item(session: FakeFolderSession) -> None:
    """A null of one item refuses the user with it; the positions of all such items are told."""
    items: list[Any] = [1.0, None, 3.0, None, 5.0]
    write_table(Path(session.path), ITEMS_FILE, pa.table({"item:i": pa.array(items, pa.float32())}))
    blocks = whole_blocks(plan_of(STRATEGY), STRATEGY, session, Path(session.path))
    with pytest.raises(PairsRefused) as caught:
        list(blocks(USERS))
    assert caught.value.rows.tolist() == [0]
    assert caught.value.reasons_with_ids("item_id", pa.array(list("vwxyz"))) == [
        "with item_id='w': column \"i\" is null"
    ]
    assert list(refused_items(plan_of(STRATEGY), STRATEGY, session, USERS.slice(1))) == [1, 3]
