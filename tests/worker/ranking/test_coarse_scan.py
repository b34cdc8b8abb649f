"""Items that are found in bfloat16 are those of float32, whatever the vectors are."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.folder_session import FakeFolderSession
from cases.models.saving import save_function
from tf2spark.conversion.casts import from_bfloat16, to_bfloat16
from tf2spark.conversion.rows import Array
from tf2spark.dtypes import BFLOAT16, FLOAT32
from tf2spark.plan.recommend import (
    IDS_FILE,
    RECOMMENDATIONS,
    CatalogPlan,
    CoarseScan,
    ItemTensor,
    Restriction,
    SplitPlan,
)
from tf2spark.plan.score import InputPlan, ModelRef, OutputPlan, Plan, Source
from tf2spark.recommend.catalog import norm_order
from tf2spark.recommend.catalog.files import write_item_tensor, write_table
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.worker.ranking import coarse_scan
from tf2spark.worker.ranking.coarse_scan import CoarseRanker, _needed, _rounded
from tf2spark.worker.ranking.trial import Trial
from tf2spark.worker.recommend.recommend_loop import recommend_batches

WIDTH, USERS, ITEMS, K = 24, 200, 1500, 10
SCAN = CoarseScan("coarse_users:0", "coarse_items:0", "coarse:0", "candidates:0", "rescored:0")


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """Scan on any processor, and note which users were unproven; blocks are small."""
    unproven: list[Array] = []
    rank = CoarseRanker.rank

    def noted(self: CoarseRanker, *args: Any, **kwargs: Any) -> Any:
        ranked = rank(self, *args, **kwargs)
        unproven.append(ranked[1])
        return ranked

    monkeypatch.setattr(CoarseRanker, "rank", noted)
    monkeypatch.setattr(coarse_scan, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(coarse_scan, "_BLOCK_USERS", 90)
    monkeypatch.setattr(coarse_scan, "_BLOCK_ITEMS", 400)
    monkeypatch.setattr(coarse_scan, "_GATHERED_BYTES", 50_000)
    monkeypatch.setattr(Trial, "run", lambda self, first, second, rows: second())
    return unproven


class Catalog:
    """Vectors of users and items in a folder, and a model that multiplies them in NumPy."""

    def __init__(self, users: Array, items: Array, folder: Path) -> None:
        self.users, self.items, self.folder = users, items, folder
        write_item_tensor(folder, 0, "items:0", FLOAT32, items, np.arange(len(items)))
        write_table(folder, IDS_FILE, pa.table({"id": pa.array(range(len(items)), pa.int64())}))

    def run(self, feeds: dict[str, Tensor]) -> dict[str, Tensor | Strings]:
        values: dict[str, Any] = {name: fed.data for name, fed in feeds.items()}
        with np.errstate(all="ignore"):
            if "user:0" in feeds:
                vectors = values["user:0"].reshape(-1, WIDTH)
                return {"user_vector:0": Tensor(FLOAT32, vectors.shape, vectors)}
            if "coarse_users:0" in feeds:
                users, items = map(
                    from_bfloat16, (values["coarse_users:0"], values["coarse_items:0"])
                )
                bits = to_bfloat16(users @ items.T)
                return {"coarse:0": Tensor(BFLOAT16, bits.shape, bits)}
            if "candidates:0" in feeds:
                vectors = values["items:0"][values["candidates:0"]]
                scores = (vectors * values["users:0"][:, None]).sum(axis=2)[..., None]
                return {"rescored:0": Tensor(FLOAT32, scores.shape, scores)}
            # A sum at a time: the same bits whatever the blocks are.
            scores = (values["users:0"][:, None] * values["items:0"]).sum(axis=2)
            return {"score:0": Tensor(FLOAT32, scores.shape, scores)}

    def plan(self, k: int, **lists: Any) -> CatalogPlan:
        values = (ItemTensor("items:0", "catalog/0.bin", FLOAT32.code, self.items.shape),)
        strategy = SplitPlan(
            ("user_vector:0",), ("users:0",), values, "m:0", "n:0", "score:0", len(self.items),
            64, 256, coarse=SCAN,
        )  # fmt: skip
        fields = [pa.field("item_id", pa.int64()), pa.field("score", pa.float32())]
        output = OutputPlan(
            RECOMMENDATIONS, RECOMMENDATIONS, (), FLOAT32, (), pa.list_(pa.struct(fields))
        )
        source = Source("user", 0, (), "list", pa.float32(), 1)
        fed = InputPlan("user", ("user:0",), "dense", FLOAT32, (WIDTH,), (source,))
        users = Plan(
            ModelRef("", (), ""), (fed,), (output,), keep=(), mode="permissive",
            error_column="why", extra_columns=(1,),
        )  # fmt: skip
        return CatalogPlan(users, strategy, k, len(self.items), FLOAT32.code, **lists)

    def best(self, k: int = K, listed: list[list[int]] | None = None, **lists: Any) -> list[Any]:
        """Return each user's best items, or why there are none."""
        vectors = pa.array(self.users.tolist(), pa.list_(pa.float32()))
        ids = pa.array(listed or [[]] * len(self.users), pa.list_(pa.int64()))
        batch = pa.RecordBatch.from_arrays([vectors, ids], ["v", "listed"])
        session = FakeFolderSession(self.run, path=str(self.folder))
        results = recommend_batches(self.plan(k, **lists), session, [batch])
        return [tuple(row.values()) for row in pa.Table.from_batches(results).to_pylist()]

    def exactly_best(self, *args: Any, **lists: Any) -> list[Any]:
        """Return the same without a scan."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(coarse_scan, "multiplies_bfloat16", lambda: False)
            return self.best(*args, **lists)


def normal(seed: int, rows: int) -> Array:
    return np.random.default_rng(seed).standard_normal((rows, WIDTH)).astype(np.float32)


def with_rows(vectors: Array, rows: dict[int, float]) -> Array:
    """Return vectors of which some rows have one value everywhere."""
    vectors = vectors.copy()
    for row, value in rows.items():
        vectors[row] = value
    return vectors


def hardly_different(rows: int) -> Array:
    """Return vectors whose differences vanish in bfloat16."""
    return np.tile(np.float32(1), (rows, WIDTH)) + normal(5, rows) * np.float32(1e-4)


CASES: dict[str, Callable[[], tuple[Array, Array]]] = {
    "normal": lambda: (normal(1, USERS), normal(2, ITEMS)),
    "positive": lambda: (abs(normal(1, USERS)), abs(normal(2, ITEMS))),
    "all scores below zero": lambda: (abs(normal(1, USERS)), -abs(normal(2, ITEMS))),
    "some users without a score above zero": lambda: (
        np.concatenate([abs(normal(1, 100)), -abs(normal(3, 100))]),
        abs(normal(2, ITEMS)),
    ),
    "few scores above zero": lambda: (
        abs(normal(1, USERS)),
        np.concatenate([abs(normal(2, 5)), -abs(normal(3, ITEMS - 5))]),
    ),
    "differences that bfloat16 doesn't hold": lambda: (
        abs(normal(1, USERS)),
        hardly_different(ITEMS),
    ),
    "equal items": lambda: (normal(1, USERS), np.repeat(normal(2, ITEMS // 5), 5, axis=0)),
    "users of zeros": lambda: (with_rows(normal(1, USERS), {0: 0, 150: 0}), normal(2, ITEMS)),
    "items of zeros": lambda: (normal(1, USERS), np.zeros((ITEMS, WIDTH), np.float32)),
    "tiny": lambda: (normal(1, USERS) * np.float32(1e-20), normal(2, ITEMS) * np.float32(1e-20)),
    "denormal users": lambda: (normal(1, USERS) * np.float32(1e-40), normal(2, ITEMS)),
    "sums that overflow": lambda: (
        with_rows(normal(1, USERS), {3: 3e38, 170: -3e38}),
        normal(2, ITEMS) * np.float32(100),
    ),
    "tiny users of huge items": lambda: (
        abs(normal(1, USERS)) * np.float32(1e-39),
        abs(normal(2, ITEMS)) * np.float32(1e30),
    ),
    "one huge item": lambda: (normal(1, USERS), with_rows(normal(2, ITEMS), {700: 1e6})),
}


@pytest.mark.parametrize("case", CASES)
def test_items_and_scores_are_those_of_float32(
    case: str, scans: list[Array], tmp_path: Path
) -> None:
    """With vectors that rounding hardly changes, and with those that it makes all the same."""
    catalog = Catalog(*CASES[case](), tmp_path)
    assert catalog.best() == catalog.exactly_best()
    assert scans


@pytest.mark.parametrize("k", [1, 60])
def test_any_number_of_items_is_found(k: int, scans: list[Array], tmp_path: Path) -> None:
    """One, and more than other tests."""
    catalog = Catalog(*CASES["normal"](), tmp_path)
    assert catalog.best(k) == catalog.exactly_best(k)
    assert np.count_nonzero(scans[0]) < USERS // 20


def test_excluded_items_are_never_candidates(scans: list[Array], tmp_path: Path) -> None:
    """Those that would be the best of all; and where fewer than k are left, all are found."""
    catalog = Catalog(*CASES["normal"](), tmp_path)
    seen = [[best["item_id"] for best in row[0]] for row in catalog.exactly_best(30)]
    seen[0], seen[1] = [], list(range(ITEMS - 4))
    exclude = {"exclude": Restriction("listed", 1)}
    scanned = catalog.best(K, seen, **exclude)
    assert scanned == catalog.exactly_best(K, seen, **exclude)
    assert len(scanned[1][0]) == 4
    assert scans[0][1]
    assert np.count_nonzero(scans[0]) < USERS // 20


def test_users_without_a_proof_are_ranked_in_float32(scans: list[Array], tmp_path: Path) -> None:
    """Rounding makes all items equal, so the scan knows nothing."""
    Catalog(*CASES["differences that bfloat16 doesn't hold"](), tmp_path).best()
    assert scans[0].all()


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_items_that_are_not_finite_are_not_scanned(
    value: float, scans: list[Array], tmp_path: Path
) -> None:
    """Users get what they get in float32: an error for NaN."""
    catalog = Catalog(abs(normal(1, USERS)), with_rows(normal(2, ITEMS), {9: value}), tmp_path)
    assert catalog.best() == catalog.exactly_best()
    assert not scans


def test_few_users_are_not_scanned(scans: list[Array], tmp_path: Path) -> None:
    """Rounding all items would take longer."""
    assert Catalog(normal(1, 20), normal(2, ITEMS), tmp_path).best()
    assert not scans


def test_users_with_lists_of_candidates_are_not_scanned(scans: list[Array], tmp_path: Path) -> None:
    """They have few items to choose from."""
    catalog = Catalog(normal(1, USERS), normal(2, ITEMS), tmp_path)
    assert catalog.best(K, [[1]] * USERS, candidates=Restriction("listed", 1))
    assert not scans


@pytest.mark.skipif(
    "ONEDNN_MAX_CPU_ISA" in os.environ, reason="TensorFlow takes bfloat16 to oneDNN, which refuses"
)
def test_tensorflow_scans_as_it_scores(
    tmp_path: Path, scans: list[Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On processors without the units, too: they only take longer."""
    # Items would otherwise be kept by their norms, which takes the place of a scan.
    monkeypatch.setattr(norm_order, "_MOST_LEFT", -1)
    specs = [tf.TensorSpec([None, WIDTH], name=name) for name in ("u", "v")]
    save_function(tmp_path / "m", lambda u, v: {"score": tf.reduce_sum(u * v, 1)}, *specs)
    model = tf2spark.SavedModel(tmp_path / "m")
    users = pa.table({"user_id": range(USERS), "u": list(normal(1, USERS))})
    items = pa.table({"item_id": range(ITEMS), "v": list(normal(2, ITEMS))})
    scanned = model.recommend(users, items, K)["recommendations"].to_pylist()
    assert np.count_nonzero(scans[0]) < USERS // 20
    monkeypatch.setattr(coarse_scan, "multiplies_bfloat16", lambda: False)
    exact = model.recommend(users, items, K)["recommendations"].to_pylist()
    assert len(scans) == 1
    for key in ("item_id", "score"):
        own, other = ([[best[key] for best in row] for row in rows] for rows in (scanned, exact))
        np.testing.assert_allclose(own, other, rtol=0 if key == "item_id" else 1e-6)


def test_the_bound_holds() -> None:
    """No product in float64 is further from that of the rounded vectors."""
    users, items = normal(1, USERS) * 7, normal(2, ITEMS)
    users[:5] *= np.float32(1e10)
    rounded = coarse_scan._RoundedUsers.of(Tensor(FLOAT32, users.shape, users))
    _, rounded_items, errors = _rounded(items)
    norm, error_norm = (np.linalg.norm(part, axis=1).max() for part in (items, errors))
    vectors = Tensor(FLOAT32, items.shape, items)
    all_items = coarse_scan.RoundedItems(vectors, [], norm, error_norm)
    pairs = coarse_scan.CoarsePairs(all_items, lambda _: [], lambda _: [])
    exact_scores = users.astype(np.float64) @ items.T.astype(np.float64)
    users_as_scanned = from_bfloat16(rounded.rounded.data).astype(np.float64)
    scanned = users_as_scanned @ rounded_items.T.astype(np.float64)
    difference, bound = np.abs(exact_scores - scanned), pairs.errors(rounded)[:, None]
    assert (difference < bound).all()
    assert (difference > bound / 10).any()


def test_a_session_is_not_kept_by_what_is_kept_for_it(tmp_path: Path) -> None:
    """Items are rounded once for all tasks of a process, which ends with the session."""
    catalog = Catalog(*CASES["normal"](), tmp_path)
    session = FakeFolderSession(catalog.run, path=str(tmp_path))
    first, again = (coarse_scan.coarse_ranker(catalog.plan(K), session) for _ in range(2))
    assert first is not None
    assert again is not None
    assert first.pairs.items is again.pairs.items
    kept = weakref.ref(session)
    del session, first, again
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(("scores", "most", "needed"), [
    ([9, 8], [9.5, 8.5, 7.9, 7], 3),
    ([9, 8], [9.5, 8.5, 8.1, 8], 5),
    ([9], [9.5, 0, 0, 0], 5),
])  # fmt: skip
def test_needed_candidates_end_below_the_last_of_the_best(
    scores: list[float], most: list[float], needed: int
) -> None:
    """More than there are where none is below it, or where there are too few of the best."""
    best = (np.array([len(scores)]), np.arange(len(scores)), np.array(scores, np.float32))
    unproven = np.zeros(1, np.bool_)
    assert _needed(best, 2, np.array([most]), unproven).tolist() == [needed]
    assert _needed(best, 2, np.array([most]), ~unproven).tolist() == [5]


def test_a_processor_without_the_units_does_not_scan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nor does one on which oneDNN is told to do without them."""
    real = coarse_scan.multiplies_bfloat16.__wrapped__
    for name in ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    texts = {
        "AMX": "flags : avx512f amx_bf16 amx_tile",
        "Zen 4": "flags : avx512f avx512_bf16",
        "without": "flags : avx512f amx_tile",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    for name in ("AMX", "Zen 4"):
        monkeypatch.setattr(coarse_scan, "Path", lambda _, name=name: tmp_path / name)
        assert real()
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert not real()
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert not real()
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    for name in ("without", "missing"):
        monkeypatch.setattr(coarse_scan, "Path", lambda _, name=name: tmp_path / name)
        assert not real()
