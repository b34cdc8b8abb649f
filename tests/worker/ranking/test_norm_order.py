"""Items in descending order of their norms: the same recommendations from fewer pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cases.folder_session import FakeFolderSession
from tf2spark.conversion.rows import Array
from tf2spark.dtypes import FLOAT32
from tf2spark.plan.recommend import (
    IDS_FILE,
    NORMS_FILE,
    POSITIONS_FILE,
    RECOMMENDATIONS,
    CatalogPlan,
    ItemTensor,
    Restriction,
    SplitPlan,
)
from tf2spark.plan.score import InputPlan, ModelRef, OutputPlan, Plan, Source
from tf2spark.recommend.catalog.files import write_item_tensor, write_table
from tf2spark.recommend.verify import _split_scorer
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.worker.ranking import norm_order
from tf2spark.worker.ranking.norm_order import may_reach, norms_of
from tf2spark.worker.recommend import split_scores
from tf2spark.worker.recommend.recommend_loop import recommend_batches

USERS, ITEMS, WIDTH = 70, 500, 5
INF, NAN = np.inf, np.nan
LISTS: list[dict[str, Any]] = [
    {},
    {"exclude": Restriction("seen", 2)},
    {"candidates": Restriction("allowed", 3)},
    {"exclude": Restriction("seen", 2), "candidates": Restriction("allowed", 3)},
]


@pytest.fixture(autouse=True)
def few_users_in_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """These sums have the same bits however few users there are."""
    monkeypatch.setattr(norm_order, "LEAST_ROWS", 4)
    monkeypatch.setattr(split_scores, "LEAST_ROWS", 4)


class Catalog:
    """Vectors of users and items, and a folder for each order of the items."""

    def __init__(self, users: Array, items: Array, folder: Path) -> None:
        self.users, self.items, self.folder = users, items.astype(np.float32), folder
        self.pairs = 0
        norms = norms_of(self.items)
        for name, order in (("id", np.arange(len(items))), ("norm", np.argsort(-norms))):
            tree = folder / name
            tree.mkdir()
            write_item_tensor(tree, 0, "items:0", FLOAT32, self.items, order)
            write_table(tree, IDS_FILE, pa.table({"id": pa.array(range(len(items)), pa.int64())}))
            order.astype(np.int64).tofile(tree / POSITIONS_FILE)
            norms[order].tofile(tree / NORMS_FILE)

    def session(self, order: str) -> FakeFolderSession:
        def run(feeds: dict[str, Tensor]) -> dict[str, Tensor | Strings]:
            values: dict[str, Any] = {name: fed.data for name, fed in feeds.items()}
            if "user:0" in feeds:
                return {"user_vector:0": tensor(values["user:0"].reshape(-1, WIDTH))}
            users, items = values["users:0"], values["items:0"]
            self.pairs += len(users) * len(items)
            with np.errstate(all="ignore"):
                # A sum at a time: the same bits whatever the blocks are.
                return {"score:0": tensor((users[:, None] * items).sum(axis=2))}

        return FakeFolderSession(run, path=str(self.folder / order))

    def plan(self, k: int, *, by_norm: bool, **lists: Any) -> CatalogPlan:
        values = (ItemTensor("items:0", "catalog/0.bin", FLOAT32.code, self.items.shape),)
        strategy = SplitPlan(
            ("user_vector:0",), ("users:0",), values, "m:0", "n:0", "score:0", len(self.items),
            16, 64, by_norm,
        )  # fmt: skip
        fields = [pa.field("item_id", pa.int64()), pa.field("score", pa.float32())]
        column_type = pa.list_(pa.struct(fields))
        output = OutputPlan(RECOMMENDATIONS, RECOMMENDATIONS, (), FLOAT32, (), column_type)
        source = Source("user", 1, (), "list", pa.float32(), 1)
        fed = InputPlan("user", ("user:0",), "dense", FLOAT32, (WIDTH,), (source,))
        users = Plan(
            ModelRef("", (), ""), (fed,), (output,), keep=(0,), mode="permissive",
            error_column="why", extra_columns=(2, 3),
        )  # fmt: skip
        return CatalogPlan(users, strategy, k, len(self.items), FLOAT32.code, **lists)

    def batch(self) -> pa.RecordBatch:
        random, count = np.random.default_rng(9), len(self.users)
        seen = [random.integers(0, ITEMS + 50, 40).tolist() for _ in range(count - 2)]
        allowed = [random.integers(0, ITEMS + 50, 300).tolist() for _ in range(count - 2)]
        lists = pa.list_(pa.int64())
        return pa.RecordBatch.from_pydict(
            {
                "id": list(range(count)),
                "v": pa.array(self.users.tolist(), pa.list_(pa.float32())),
                "seen": pa.array([None, [], *seen], lists),
                "allowed": pa.array([*allowed, [], None], lists),
            }
        )

    def results(self, k: int, **lists: Any) -> list[list[Any]]:
        """Return the rows of both orders, and count the pairs of each."""
        tables, self.counts = [], []
        for order in ("id", "norm"):
            self.pairs = 0
            plan = self.plan(k, by_norm=order == "norm", **lists)
            batches = recommend_batches(plan, self.session(order), [self.batch()])
            tables.append(pa.Table.from_batches(batches).to_pylist())
            self.counts.append(self.pairs)
        return tables


def tensor(values: Any) -> Tensor:
    data = np.ascontiguousarray(values, np.float32)
    return Tensor(FLOAT32, data.shape, data)


def vectors(kind: str, random: np.random.Generator, rows: int) -> Array:
    normal = random.standard_normal((rows, WIDTH))
    match kind:
        case "skewed":
            return np.abs(normal) * random.pareto(1.0, (rows, 1))
        case "whole numbers":
            return random.integers(-2, 3, (rows, WIDTH)).astype(np.float64)
        case "zeros":
            return normal * (random.random((rows, 1)) < 0.3)
        case "equal":
            return np.ones((rows, WIDTH))
        case "opposed":  # all scores of positive users are negative
            return -np.abs(normal) * random.pareto(1.0, (rows, 1))
        case "extreme":
            return normal * 10.0 ** random.integers(-45, 38, (rows, 1))
        case "not finite":
            normal *= random.pareto(1.0, (rows, 1))
            normal[random.random((rows, WIDTH)) < 0.001] = INF
            normal[random.random((rows, WIDTH)) < 0.001] = NAN
            return normal
    return normal


KINDS = ["normal", "skewed", "whole numbers", "zeros", "equal", "opposed", "extreme", "not finite"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("users_kind", ["normal", "whole numbers", "not finite"])
def test_results_are_those_of_all_pairs(kind: str, users_kind: str, tmp_path: Path) -> None:
    """Ids, scores, order and refusals, whatever the vectors, k and the lists are."""
    random = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        users = vectors(users_kind, random, USERS).astype(np.float32)
        catalog = Catalog(users, vectors(kind, random, ITEMS), tmp_path)
        for k in (1, 10, 600):
            for lists in LISTS:
                plain, by_norm = catalog.results(k, **lists)
                assert by_norm == plain


def test_pairs_of_small_norms_are_skipped(tmp_path: Path) -> None:
    """With norms as different as those of trained factors, most pairs."""
    random = np.random.default_rng(2)
    users = np.abs(random.standard_normal((USERS, WIDTH))).astype(np.float32)
    catalog = Catalog(users, vectors("skewed", random, ITEMS), tmp_path)
    catalog.results(5)
    assert catalog.counts[0] == USERS * ITEMS
    assert catalog.counts[1] < USERS * ITEMS / 3


def test_users_are_computed_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More are ranked together; those who can't be fed have their reasons."""
    monkeypatch.setattr(norm_order, "_COMPUTED_USERS", 8)
    random = np.random.default_rng(3)
    users = random.standard_normal((USERS, WIDTH)).astype(np.float32)
    catalog = Catalog(users, vectors("skewed", random, ITEMS), tmp_path)
    batch = catalog.batch()
    values = users.tolist()
    values[17], values[60] = None, [1.0]
    batch = batch.set_column(1, "v", pa.array(values, pa.list_(pa.float32())))
    plan = catalog.plan(5, by_norm=True)
    rows = pa.Table.from_batches(
        recommend_batches(plan, catalog.session("norm"), [batch])
    ).to_pylist()
    assert [row["id"] for row in rows if row["why"]] == [17, 60]
    plain, _ = catalog.results(5)
    assert [row[RECOMMENDATIONS] for row in rows if not row["why"]] == [
        row[RECOMMENDATIONS] for row in plain if row["id"] not in (17, 60)
    ]


def test_scores_for_checks_are_by_position(tmp_path: Path) -> None:
    """The check of the split graph reads them so."""
    random = np.random.default_rng(4)
    users = random.standard_normal((3, WIDTH)).astype(np.float32)
    catalog = Catalog(users, vectors("skewed", random, ITEMS), tmp_path)
    plan = catalog.plan(5, by_norm=True)
    positions = np.array([ITEMS - 1, 0, 17])
    score = _split_scorer(plan, catalog.session("norm"), positions)
    got = score(catalog.batch().slice(1, 1))
    assert got.tolist() == [(users[1] * catalog.items[positions]).sum(axis=1).tolist()]


@pytest.mark.parametrize("exponent", [-40, -20, -10, 0, 10, 18, 30])
def test_no_computed_product_is_above_what_norms_allow(exponent: int) -> None:
    """Neither in float32 nor with factors rounded to bfloat16, with or without tiny numbers."""
    random = np.random.default_rng(5)
    with np.errstate(all="ignore"):
        left = (random.standard_normal((200, 64)) * 10.0**exponent).astype(np.float32)
        same = (left * random.uniform(0.5, 2, (200, 1))).astype(np.float32)
        for right in (same, random.standard_normal((200, 64)).astype(np.float32)):
            for factors in ((left, right), (rounded(left), rounded(right))):
                scores = (factors[0] * factors[1]).sum(axis=1)
                reach = may_reach(norms_of(left), norms_of(right), scores)
                assert reach[~np.isnan(scores)].all()


def rounded(values: Array) -> Array:
    """Round to bfloat16, away from zero."""
    bits = values.view(np.int32)
    return ((bits + 0xFFFF) & ~0xFFFF).astype(np.int32).view(np.float32)
