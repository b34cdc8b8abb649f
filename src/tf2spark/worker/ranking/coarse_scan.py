"""The best items by inner products, found in bfloat16 and scored in float32.

Some processors (Intel's with AMX, AMD's from Zen 4 on) multiply bfloat16 faster than float32, and
its scores are half as long. So all pairs are scanned in bfloat16, somewhat more than k candidates
of each user are kept, and these are scored in float32. With û and v̂ for rounded vectors,

    u.v - û.v̂ = (u - û).v + û.(v - v̂),    so    |u.v - û.v̂| <= |u - û| |v| + |û| |v - v̂|.

An item that wasn't kept has at most the scanned score of the user's last candidate. If this bound
on top of it stays below the user's k-th best score, the result is proven; the few users for whom
it doesn't are ranked in float32 altogether. So the items are those that float32 alone would find.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from math import ceil, prod
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
from attrs import define, frozen

from tf2spark.conversion.casts import from_bfloat16, to_bfloat16
from tf2spark.conversion.rows import Array, Ints, Mask
from tf2spark.dtypes import BFLOAT16, INT32, from_code
from tf2spark.plan.recommend import CatalogPlan, CoarseScan, ItemTensor, SplitPlan
from tf2spark.tensorflow_c.mapped_files import mapped_file
from tf2spark.tensorflow_c.session import Run
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.ranking.keys import FILLER, best_of, pack
from tf2spark.worker.ranking.norm_order import norms_of
from tf2spark.worker.ranking.top_k import Best, Ranked, TopK
from tf2spark.worker.recommend.item_lists import ItemLists
from tf2spark.worker.recommend.mapped_tables import FolderSession
from tf2spark.worker.recommend.split_scores import even_size, slice_rows
from tf2spark.worker.recommend.user_values import UserValues, user_values

# Smaller catalogs are scored in one short run. Larger ones would cost each worker too much memory,
# because it holds the rounded vectors itself.
_LEAST_ITEMS, _MOST_BYTES = 1000, 128 << 20
# Users and items of a block: 4 MiB of scores. Blocks begin at a multiple of 64 bytes.
_BLOCK_USERS, _BLOCK_ITEMS, _ITEM_MULTIPLE = 512, 4096, 32
# The vectors of candidates that are gathered at a time stay in the processor's cache.
_GATHERED_BYTES = 8 << 20
# Sums in float32 differ by at most this, relative to the sum of their terms' sizes, for each term:
# three sums are compared, each of which is rounded once a term.
_SUM_ERROR = 4 * 2.0**-24
# Up to this, no sum of products overflows.
_NO_OVERFLOW = 1e38
# Processors may take what is below 2**-126 for zero: factors, products and sums, here and in
# float32.
_VANISHES = 4 * 2.0**-126
# What Linux calls the processor's units for bfloat16. Whether they gain, each worker tries out.
_UNITS = {"amx_bf16", "avx512_bf16"}
# Standard deviations that the number of candidates allows for: more make longer lists, fewer leave
# more users unproven.
_DEVIATIONS = 4.5


def most_candidates(k: int) -> int:
    """Return how many candidates are kept at most for each user."""
    return 2 * k + 64


def is_worth_scanning(values: Sequence[ItemTensor], items: int, k: int) -> bool:
    """Say whether a scan may be faster, on a processor that multiplies bfloat16 faster."""
    if len(values) != 1 or items < max(_LEAST_ITEMS, 8 * most_candidates(k)):
        return False
    width = values[0].shape[1]
    return items * width * BFLOAT16.numpy.itemsize <= _MOST_BYTES  # type: ignore[union-attr]


@define(eq=False)
class CoarseRanker:
    """Ranks batches of users by a scan; see `coarse_ranker`.

    How many candidates are needed depends on the vectors: the first block of users has the most,
    and shows it.
    """

    _compute_users: UserValues
    pairs: CoarsePairs
    _k: int
    _top: TopK
    candidates: int
    _is_first: bool = True

    @classmethod
    def of(cls, compute_users: UserValues, pairs: CoarsePairs, k: int) -> CoarseRanker:
        count = most_candidates(k)
        return cls(compute_users, pairs, k, TopK(0, count, np.int16), count)

    def rank(
        self,
        batch: pa.RecordBatch,
        excluded: ItemLists | None,
        candidates: ItemLists | None,
    ) -> Ranked:
        """Rank the items for all users of a batch, who have no lists of candidates.

        Raises:
            RowsRefused: Users can't be fed.
            TensorFlowFailure: TensorFlow refuses their values.
        """
        assert candidates is None
        (vectors,) = self._compute_users(batch)
        size = even_size(batch.num_rows, _BLOCK_USERS)
        results, unproven = [], []
        for start in range(0, batch.num_rows, size):
            end = min(start + size, batch.num_rows)
            users = _RoundedUsers.of(slice_rows(vectors, start, end))
            best, needed = self._rank_block(users, excluded, (start, end))
            results.append(best)
            unproven.append(needed > self.candidates)
            if self._is_first:
                self._is_first = False
                self._keep_fewer(needed)
        return results, np.concatenate(unproven), np.full(batch.num_rows, -1)

    def _keep_fewer(self, needed: Ints) -> None:
        """Keep as many candidates as nearly all of these users needed."""
        count = ceil(needed.mean() + _DEVIATIONS * needed.std())
        if count < self.candidates:
            self._top, self.candidates = TopK(0, count, np.int16), count

    def _rank_block(
        self, users: _RoundedUsers, excluded: ItemLists | None, rows: tuple[int, int]
    ) -> tuple[Best, Ints]:
        """Return the best items of a block of users, and how many candidates each user needed.

        That is more than there were where a user is unproven.
        """
        top = self._top
        top.restart(len(users.norms), forecast=True, norms=users.norms)
        for first, scores in self.pairs.scan(users.rounded):
            end = first + scores.shape[1]
            entries = None if excluded is None else excluded.in_block(rows, first, end)
            top.add(scores, first, entries)
        counts, positions, bits = top.result()
        is_candidate = np.arange(self.candidates) < counts[:, None]
        candidates: Array = np.zeros(is_candidate.shape, np.int32)
        candidates[is_candidate] = positions
        scores = self.pairs.score(users.vectors, candidates)
        keys = np.where(is_candidate, pack(scores, candidates), FILLER[scores.dtype])
        best = best_of(keys, self._k, np.zeros(len(counts), np.bool_), scores.dtype)
        # What isn't a candidate at all has a scanned score below zero.
        scanned: Array = np.zeros(is_candidate.shape, np.float32)
        scanned[is_candidate] = _highest_rounded_to(bits)
        # Of users whose vectors aren't finite, bits may be anything.
        with np.errstate(invalid="ignore"):
            most = scanned + self.pairs.errors(users)[:, None]
        return best, _needed(best, self._k, most, top.unproven())


def _needed(best: Best, k: int, most: Array, unproven: Mask) -> Ints:
    """Return how many candidates prove a user's best items: [users].

    Args:
        best: The best items among the candidates.
        k: How many items a user gets.
        most: [users, candidates], what no score of an item reaches that is scanned no better than
            the candidate; descending.
        unproven: [users], whose candidates aren't those with the best scanned scores.
    """
    counts, _, scores = best
    is_full = (counts == k) & ~unproven
    kth = np.full(len(counts), -np.inf)
    kth[is_full] = scores[np.cumsum(counts)[is_full] - 1]
    needed: Ints = np.count_nonzero(~(most < kth[:, None]), axis=1) + 1
    return needed


def scan_may_pay(plan: CatalogPlan) -> bool:
    """Say whether a scan may be faster for this plan on this processor."""
    has_scan = isinstance(plan.strategy, SplitPlan) and plan.strategy.coarse is not None
    return has_scan and plan.candidates is None and multiplies_bfloat16()


def coarse_ranker(plan: CatalogPlan, session: FolderSession) -> CoarseRanker | None:
    """Return what ranks the items by a scan; None where the items have a norm that isn't finite."""
    strategy = plan.strategy
    assert isinstance(strategy, SplitPlan)
    assert strategy.coarse is not None
    pairs = CoarsePairs.of(strategy, strategy.coarse, session)
    if not np.isfinite(pairs.items.norm):
        return None
    return CoarseRanker.of(user_values(plan, strategy, session), pairs, plan.k)


@cache
def multiplies_bfloat16() -> bool:
    """Say whether this processor has units for products of matrices of bfloat16."""
    # oneDNN, TensorFlow's library of kernels, may be told to do without them.
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" or "ONEDNN_MAX_CPU_ISA" in os.environ:
        return False
    try:
        return bool(_UNITS.intersection(Path("/proc/cpuinfo").read_text().split()))
    except OSError:  # not Linux
        return False


@frozen(eq=False)
class _RoundedUsers:
    """Vectors of users: as they are, and in bfloat16.

    Attributes:
        vectors: float32 [users, width].
        rounded: bfloat16 [users, width].
        norms: Of the vectors: [users]; infinite where one isn't finite.
        rounded_norms, error_norms: Of the rounded ones and of the differences: [users].
    """

    vectors: Tensor
    rounded: Tensor
    norms: Array
    rounded_norms: Array
    error_norms: Array

    @classmethod
    def of(cls, vectors: Tensor) -> _RoundedUsers:
        bits, rounded, errors = _rounded(vectors.data)
        return cls(
            vectors,
            Tensor(BFLOAT16, bits.shape, bits),
            norms_of(vectors.data),
            norms_of(rounded),
            norms_of(errors),
        )


@frozen(eq=False)
class RoundedItems:
    """The vectors of all items: as they are, and in bfloat16.

    Attributes:
        vectors: float32 [items, width].
        blocks: The first item of each block, and the block in bfloat16.
        norm, error_norm: The largest norm of a vector, and of what rounding took from one.
    """

    vectors: Tensor
    blocks: list[tuple[int, Tensor]]
    norm: float
    error_norm: float

    @classmethod
    def of(cls, vectors: Tensor) -> RoundedItems:
        size = even_size(len(vectors.data), _BLOCK_ITEMS)
        size = -(-size // _ITEM_MULTIPLE) * _ITEM_MULTIPLE
        edges = [*range(0, len(vectors.data), size), len(vectors.data)]
        kept = _aligned_bits(vectors.shape)
        blocks, norms, error_norms = [], [], []
        for first, end in pairwise(edges):
            exact, bits = np.asarray(vectors.data[first:end]), kept[first:end]
            bits[...], _, errors = _rounded(exact)
            blocks.append((first, Tensor(BFLOAT16, bits.shape, bits)))
            norms.append(norms_of(exact).max())
            error_norms.append(norms_of(errors).max())
        return cls(vectors, blocks, max(norms), max(error_norms))


# Tasks of a job follow each other in a process, and share its session. Nothing here may refer to
# the session, as what `prepare` returns does: it would never be closed.
_ROUNDED: WeakKeyDictionary[FolderSession, RoundedItems] = WeakKeyDictionary()


def _rounded_items(item: ItemTensor, session: FolderSession) -> RoundedItems:
    if session not in _ROUNDED:
        path = Path(session.path) / item.path
        _ROUNDED[session] = RoundedItems.of(mapped_file(path, from_code(item.code), item.shape))
    return _ROUNDED[session]


@frozen(eq=False)
class CoarsePairs:
    """The products of users and items, of all in bfloat16, of few in float32."""

    items: RoundedItems
    _scan: Run
    _score: Run

    @classmethod
    def of(cls, strategy: SplitPlan, coarse: CoarseScan, session: FolderSession) -> CoarsePairs:
        (item,) = strategy.items
        scan = session.prepare([coarse.users, coarse.items], [coarse.scores])
        score_feeds = [item.placeholder, strategy.placeholders[0], coarse.candidates]
        score = session.prepare(score_feeds, [coarse.rescored])
        return cls(_rounded_items(item, session), scan, score)

    def scan(self, users: Tensor) -> Iterator[tuple[int, Array]]:
        """Score users and all items: the first item of each block, and bits [users, items]."""
        for first, items in self.items.blocks:
            (scores,) = self._scan([users, items])
            assert isinstance(scores, Tensor)
            yield first, scores.data.view(np.int16)

    def score(self, users: Tensor, candidates: Array) -> Array:
        """Score users and their candidates in float32: [users, candidates]."""
        scores = np.empty(candidates.shape, np.float32)
        row_bytes = candidates.shape[1] * users.data.strides[0]
        size = max(1, _GATHERED_BYTES // row_bytes)
        for start in range(0, len(candidates), size):
            rows = slice(start, min(start + size, len(candidates)))
            positions = Tensor(INT32, candidates[rows].shape, candidates[rows])
            feeds = [self.items.vectors, slice_rows(users, rows.start, rows.stop), positions]
            (products,) = self._score(feeds)
            assert isinstance(products, Tensor)
            scores[rows] = products.data.reshape(positions.shape)
        return scores

    def errors(self, users: _RoundedUsers) -> Array:
        """Return how far the score of a user may be from the scanned one: [users].

        The scanned score is the sum before it is rounded to bfloat16. Where anything isn't finite,
        nothing is known: infinity.
        """
        with np.errstate(all="ignore"):
            largest = users.norms * self.items.norm
            errors = (
                users.error_norms * self.items.norm
                + users.rounded_norms * self.items.error_norm
                + users.vectors.shape[1]
                * (_SUM_ERROR * largest + _VANISHES * (1 + users.norms + self.items.norm))
            )
        known: Array = np.where(largest < _NO_OVERFLOW, errors, np.inf)
        return known


def _aligned_bits(shape: tuple[int, ...]) -> Array:
    """Return memory that begins at a multiple of 64 bytes, where TensorFlow reads it in place."""
    memory = np.empty(prod(shape) + 32, np.uint16)
    first = -memory.ctypes.data // 2 % 32
    return memory[first : first + prod(shape)].reshape(shape)


def _rounded(vectors: Array) -> tuple[Array, Array, Array]:
    """Return vectors rounded to bfloat16, as bits and as float32, and what rounding took away."""
    bits = to_bfloat16(vectors)
    rounded = from_bfloat16(bits)
    with np.errstate(invalid="ignore"):
        return bits, rounded, vectors - rounded


def _highest_rounded_to(bits: Array) -> Array:
    """Return the largest numbers that are rounded to these bits of bfloat16, all at least 0."""
    halfway: Array = (bits.astype(np.uint32) << 16) + np.uint32(0x8000)
    return halfway.view(np.float32)
