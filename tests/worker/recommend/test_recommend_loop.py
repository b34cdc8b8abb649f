"""The loop of `recommend` on a session without TensorFlow, against sorting all scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from cases.folder_session import FakeFolderSession
from tf2spark.dtypes import FLOAT32
from tf2spark.errors import RowError
from tf2spark.plan.recommend import (
    IDS_FILE,
    ITEMS_FILE,
    RECOMMENDATIONS,
    CatalogPlan,
    ItemTensor,
    Restriction,
    SplitPlan,
    Strategy,
    WholePlan,
)
from tf2spark.plan.score import InputPlan, ModelRef, OutputPlan, Plan, Source
from tf2spark.recommend.catalog.files import write_item_tensor, write_table
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.worker.ranking.forecast import Forecast
from tf2spark.worker.recommend.recommend_loop import _replaced, recommend_batches
from tf2spark.worker.recommend.split_scores import even_size, split_blocks

Best = list[tuple[int, float]]
USERS, ITEMS, WIDTH = 7, 100, 3
IDS = np.arange(ITEMS) * 2 + 1000
VECTORS = pa.list_(pa.float32())


def tensor(values: Any) -> Tensor:
    data = np.ascontiguousarray(values, np.float32)
    return Tensor(FLOAT32, data.shape, data)


def inner_products(feeds: dict[str, Tensor]) -> dict[str, Tensor | Strings]:
    """Score users by items: the users' part, the pairs of a block, or pairs side by side."""
    values: dict[str, Any] = {name: fed.data.reshape(fed.shape) for name, fed in feeds.items()}
    if "pair_user:0" in feeds:
        pairs = values["pair_user:0"] * values["pair_item:0"]
        return {"scores:0": tensor(pairs.sum(axis=1))}
    if "user:0" in feeds:
        return {"user_vector:0": tensor(values["user:0"])}
    users, items = values["users:0"], values["items:0"]
    assert (len(users), len(items)) == (int(values["m:0"]), int(values["n:0"]))
    return {"score:0": tensor(users @ items.T)}


def dense(name: str, column: int) -> InputPlan:
    source = Source(name, column, (), "list", pa.float32(), 1)
    return InputPlan(name, (f"{name}:0",), "dense", FLOAT32, (WIDTH,), (source,))


@pytest.fixture(scope="module")
def items() -> np.ndarray[Any, Any]:
    """Vectors of whole numbers, so that sums are exact and many scores are equal."""
    return np.random.default_rng(1).integers(-2, 3, (ITEMS, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, items: np.ndarray[Any, Any]) -> Path:
    """The catalog's files."""
    folder = tmp_path_factory.mktemp("catalog")
    write_table(folder, IDS_FILE, pa.table({"id": pa.array(IDS, pa.int64())}))
    write_item_tensor(folder, 0, "items:0", FLOAT32, items, np.arange(ITEMS))
    write_table(folder, ITEMS_FILE, pa.table({"item:v": pa.array(items.tolist(), VECTORS)}))
    return folder


def split_strategy(block_users: int = 2, block_items: int = 16) -> SplitPlan:
    values = (ItemTensor("items:0", "catalog/0.bin", FLOAT32.code, (ITEMS, WIDTH)),)
    return SplitPlan(
        ("user_vector:0",), ("users:0",), values, "m:0", "n:0", "score:0", ITEMS, block_users,
        block_items,
    )  # fmt: skip


def whole_strategy(items_per_run: int = ITEMS) -> WholePlan:
    inputs = (dense("pair_user", 0), dense("pair_item", 1))
    output = OutputPlan("score", "score", ("scores:0",), FLOAT32, (), pa.float32())
    return WholePlan(inputs, (1,), ("user:v",), output, None, None, items_per_run)


def plan_of(strategy: Strategy, k: int = 5, **more: Any) -> CatalogPlan:
    """Return a plan for batches with an id, a vector, and lists of excluded and allowed ids."""
    fields = [pa.field("item_id", pa.int64()), pa.field("score", pa.float32())]
    column_type = pa.list_(pa.struct(fields))
    output = OutputPlan(RECOMMENDATIONS, RECOMMENDATIONS, (), FLOAT32, (), column_type)
    inputs = (dense("user", 1),) if isinstance(strategy, SplitPlan) else ()
    users = Plan(
        ModelRef("", (), ""), inputs, (output,), keep=(0,), mode="permissive", error_column="why",
        extra_columns=(1, 2, 3),
    )  # fmt: skip
    return CatalogPlan(users, strategy, k, ITEMS, FLOAT32.code, **more)


def users_table(seed: int = 2) -> pa.RecordBatch:
    draw = np.random.default_rng(seed)
    vectors = draw.integers(-2, 3, (USERS, WIDTH)).astype(np.float32)
    unknown = [IDS[-1] + 1, IDS[0] - 1, IDS[3] + 1]
    seen: list[Any] = [[*draw.choice(IDS, 30).tolist(), *unknown] for _ in range(USERS - 2)]
    seen += [None, []]
    allowed: list[Any] = [None, [], *(draw.choice(IDS, 20).tolist() for _ in range(USERS - 2))]
    lists = pa.list_(pa.int64())
    return pa.RecordBatch.from_pydict(
        {
            "id": list(range(USERS)),
            "v": pa.array(vectors.tolist(), VECTORS),
            "seen": pa.array(seen, lists),
            "allowed": pa.array(allowed, lists),
        }
    )


def recommended(plan: CatalogPlan, folder: Path, batch: pa.RecordBatch) -> list[Best | None]:
    session = FakeFolderSession(inner_products, path=str(folder))
    result = pa.Table.from_batches(recommend_batches(plan, session, [batch]))
    assert result["id"].to_pylist() == batch["id"].to_pylist()
    return [
        row and [(best["item_id"], best["score"]) for best in row]
        for row in result[RECOMMENDATIONS].to_pylist()
    ]


def expected(plan: CatalogPlan, items: np.ndarray[Any, Any], batch: pa.RecordBatch) -> list[Best]:
    """Return the best items by sorting all scores, ties by id."""
    best = []
    for user in batch.to_pylist():
        scores = dict(zip(IDS.tolist(), (items @ np.float32(user["v"])).tolist(), strict=True))
        ids = set(scores)
        if plan.candidates is not None and user["allowed"] is not None:
            ids &= set(user["allowed"])
        if plan.exclude is not None:
            ids -= set(user["seen"] or ())
        order = sorted(ids, key=lambda item: (-scores[item], item))
        best.append([(item, scores[item]) for item in order[: plan.k]])
    return best


SEEN, ALLOWED = Restriction("seen", 2), Restriction("allowed", 3)
STRATEGIES = [
    split_strategy(users, items) for users in (1, 2, 3, 50) for items in (1, 16, 33, 1000)
] + [whole_strategy(), whole_strategy(7)]


class TestBest:
    @pytest.mark.parametrize("strategy", STRATEGIES, ids=range(len(STRATEGIES)))
    @pytest.mark.parametrize("lists", [{}, {"exclude": SEEN}, {"candidates": ALLOWED},
                                       {"exclude": SEEN, "candidates": ALLOWED}],
                             ids=["all", "exclude", "candidates", "both"])  # fmt: skip
    def test_is_that_of_all_scores(
        self, strategy: Strategy, lists: dict[str, Any], folder: Path, items: np.ndarray[Any, Any]
    ) -> None:
        """However users and items are cut into blocks, with and without lists of ids."""
        plan, batch = plan_of(strategy, **lists), users_table()
        assert recommended(plan, folder, batch) == expected(plan, items, batch)

    @pytest.mark.parametrize("most_scores", [1, 40, 100, 250])
    def test_does_not_depend_on_the_blocks_that_are_ranked_at_once(
        self,
        most_scores: int,
        folder: Path,
        items: np.ndarray[Any, Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """One block of items, several, or all of them."""
        monkeypatch.setattr("tf2spark.worker.recommend.split_scores._MAX_SCORES", most_scores)
        plan, batch = plan_of(split_strategy(), exclude=SEEN, candidates=ALLOWED), users_table()
        assert recommended(plan, folder, batch) == expected(plan, items, batch)

    @pytest.mark.parametrize("k", [1, 16, 99, 100, 1000])
    def test_has_at_most_k_items(self, k: int, folder: Path, items: np.ndarray[Any, Any]) -> None:
        """One, as many as a block has, and more than the catalog has."""
        plan, batch = plan_of(split_strategy(), k, exclude=SEEN), users_table()
        assert recommended(plan, folder, batch) == expected(plan, items, batch)

    @pytest.mark.parametrize(
        "forecast", [("rank", 1), ("rank", 3), ("norm", 3.0), ("norm", 1.0), ("norm", -1.0)]
    )
    @pytest.mark.parametrize("lists", [{}, {"exclude": SEEN, "candidates": ALLOWED}], ids=len)
    def test_does_not_depend_on_forecasts(
        self,
        forecast: tuple[str, Any],
        lists: dict[str, Any],
        folder: Path,
        items: np.ndarray[Any, Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Users whose forecast was wrong are ranked again, by themselves."""
        unproven: list[int] = []

        def replaced(results: list[Any], rows: Any, others: Any) -> list[Any]:
            unproven.extend(rows)
            return _replaced(results, rows, others)

        kind, value = forecast
        monkeypatch.setattr("tf2spark.worker.recommend.split_scores.LEAST_ROWS", 2)
        monkeypatch.setattr(Forecast, "kind", lambda self, norms: kind)
        monkeypatch.setattr(Forecast, "rank", lambda self: value)
        monkeypatch.setattr(Forecast, "ratio", lambda self: value)
        monkeypatch.setattr("tf2spark.worker.recommend.recommend_loop._replaced", replaced)
        plan = plan_of(split_strategy(3, 32), **lists)
        for seed in range(4):
            batch = users_table(seed)
            assert recommended(plan, folder, batch) == expected(plan, items, batch)
        assert unproven or (kind == "norm" and value < 3)

    def test_of_several_batches(self, folder: Path, items: np.ndarray[Any, Any]) -> None:
        """Each batch stands for itself; empty ones come back empty."""
        plan = plan_of(split_strategy(), exclude=SEEN)
        batches = [users_table(3), users_table().slice(0, 0), users_table(4)]
        session = FakeFolderSession(inner_products, path=str(folder))
        results = list(recommend_batches(plan, session, batches))
        assert [result.num_rows for result in results] == [USERS, 0, USERS]
        for batch in batches:
            assert recommended(plan, folder, batch) == expected(plan, items, batch)


class TestUsersThatCannotBeScored:
    @pytest.mark.parametrize("strategy", [split_strategy(), whole_strategy()], ids=type)
    def test_have_the_item_of_a_nan_in_their_reason(self, strategy: Strategy, folder: Path) -> None:
        """A NaN fails its user alone, unless the items with NaN are excluded."""
        batch = users_table().set_column(1, "v", pa.array(
            [[0.0, 0.0, 1.0]] * 3 + [[float("nan"), 0.0, 0.0]] + [[1.0, 0.0, 0.0]] * 3, VECTORS
        ))  # fmt: skip
        got = recommended(plan_of(strategy), folder, batch)
        assert [row is None for row in got] == [number == 3 for number in range(USERS)]
        plan = plan_of(strategy)
        users = evolve(plan.users, mode="failfast", error_column=None)
        with pytest.raises(RowError, match="with item_id=1000: the score is NaN"):
            recommended(evolve(plan, users=users), folder, batch)

    def test_of_other_widths_run_by_the_fallback(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only they do; users that neither graph takes have a reason."""
        session = FakeFolderSession(inner_products, path=str(folder))
        monkeypatch.setattr(
            "tf2spark.worker.recommend.recommend_loop.whole_session", lambda model, split: session
        )
        any_width = evolve(dense("pair_user", 0), dims=(None,))
        fallback = evolve(whole_strategy(), inputs=(any_width, dense("pair_item", 1)))
        plan = plan_of(split_strategy(), 1, fallback=fallback)
        vectors = [[1.0, 0.0, 0.0]] * 3 + [[2.0], None] + [[0.0, 1.0, 0.0]] * 2
        batch = users_table().set_column(1, "v", pa.array(vectors, VECTORS))
        got = recommended(plan, folder, batch)
        assert [row is None for row in got] == [number == 4 for number in range(USERS)]
        # A vector of one value is broadcast by the model: twice the sum of the item's vector.
        assert got[3] is not None
        assert got[3][0][1] == 2 * max(
            sum(row) for row in np.fromfile(folder / "catalog/0.bin", np.float32).reshape(-1, WIDTH)
        )


@pytest.mark.parametrize(("count", "max_size", "size"), [
    (0, 5, 1), (1, 5, 1), (5, 5, 5), (6, 5, 3), (10, 5, 5), (11, 5, 4), (100, 33, 25), (7, 1, 1),
])  # fmt: skip
def test_even_sizes(count: int, max_size: int, size: int) -> None:
    """As few blocks as `max_size` allows, and none much smaller than the others."""
    assert even_size(count, max_size) == size


def test_blocks_of_mapped_items_are_aligned(folder: Path) -> None:
    """Every run is fed a slice that starts at a multiple of 64 bytes, where nothing is copied."""
    addresses = []

    def model(feeds: dict[str, Tensor]) -> dict[str, Tensor | Strings]:
        if "items:0" in feeds:
            addresses.append(feeds["items:0"].data.ctypes.data)
        return inner_products(feeds)

    strategy = split_strategy(USERS, 30)
    blocks = split_blocks(plan_of(strategy), strategy, FakeFolderSession(model, path=str(folder)))
    assert sum(block.scores.size for block in blocks(users_table())) == USERS * ITEMS
    assert len(addresses) == 4
    assert [address % 64 for address in addresses] == [0, 0, 0, 0]
