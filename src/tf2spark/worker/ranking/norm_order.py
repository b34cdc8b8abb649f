"""The best items by inner products, without those whose norm is too small.

Items are kept in descending order of their norms. Once the product of a user's norm and the next
item's can't reach the user's k-th best score, no later item can, and the user is finished.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.conversion.rows import Array, Ints, Mask, RowsRefused, RowsTooLarge, RowsUneven
from tf2spark.dtypes import FLOAT32, FLOAT64, INT64, from_code
from tf2spark.plan.recommend import NORMS_FILE, POSITIONS_FILE, CatalogPlan, SplitPlan
from tf2spark.tensorflow_c.mapped_files import mapped_file
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.ranking.keys import FILLER, best_of
from tf2spark.worker.ranking.top_k import Best, TopK
from tf2spark.worker.recommend.item_lists import ItemLists
from tf2spark.worker.recommend.mapped_tables import FolderSession
from tf2spark.worker.recommend.split_scores import LEAST_ROWS, PairScorer, round_up, with_company
from tf2spark.worker.recommend.user_values import UserValues, user_values

# How much larger a computed product may be than the product of the norms. Factors may be rounded
# to 8 bits before they are multiplied (bfloat16), which makes 0.8%; sums in float32 add 2**-24 for
# each of their terms.
_SLACK = 0.01
# Up to this, no sum of products overflows; what may overflow is never skipped.
_NO_OVERFLOW = 1e38
# Blocks are at most an eighth of the catalog, and have some times k items: a tight bound early.
_SHARE = 8
# Scores in a block, while all users are in it.
_BLOCK_SCORES = 1 << 20
# Users that are ranked together, of whom so many at a time are computed by the model.
_MOST_USERS, _COMPUTED_USERS = 4096, 1024
# Users are left behind together, when this share of those who remain is finished.
_FINISHED_SHARE = 0.2

RankByNorm = Callable[[pa.RecordBatch, ItemLists | None, ItemLists | None], tuple[Best, Ints]]
"""From a batch, and its lists of excluded items and of candidates, to the best items and to the
position of each user's first NaN, -1 for none."""


def ranker_by_norm(plan: CatalogPlan, strategy: SplitPlan, session: FolderSession) -> RankByNorm:
    """Return the function that ranks the items for a batch of users.

    It raises `RowsRefused` for users that can't be fed, `TensorFlowFailure` where TensorFlow
    refuses their values.
    """
    compute_users = user_values(plan, strategy, session)
    dtype, k = from_code(plan.score_code).numpy, min(plan.k, plan.items)
    assert dtype is not None
    pairs = PairScorer.of(strategy, session, _block_ends(plan.items, k))
    order = _NormOrder.mapped(Path(session.path), plan.items)
    top = TopK(0, k, dtype, order.positions)

    def rank(
        batch: pa.RecordBatch, excluded: ItemLists | None, candidates: ItemLists | None
    ) -> tuple[Best, Ints]:
        vectors = _computed(compute_users, batch)
        users = _Users(
            vectors, norms_of(vectors.data), order.lists(excluded), order.lists(candidates)
        )
        rows = np.arange(batch.num_rows)
        keys = np.full((len(rows), k), FILLER[dtype])
        nan_positions = np.full(len(rows), -1)
        top.restart(len(rows))
        for number, (first, end) in enumerate(pairs.blocks):
            open_users = may_reach(users.norms, order.norms[first], top.bound)
            finished = len(rows) - np.count_nonzero(open_users)
            if finished == len(rows):
                break
            if finished >= _FINISHED_SHARE * len(rows) and len(rows) > LEAST_ROWS:
                keys[rows], nan_positions[rows] = top.best_keys(), top.nan_positions()
                # `best_keys` has raised the bounds.
                chosen = with_company(may_reach(users.norms, order.norms[first], top.bound))
                top.narrow(chosen)
                rows, users = rows[chosen], users.take(chosen)
            scores = pairs.score([users.vectors], len(rows), number)
            top.add(scores, first, *users.lists_in(first, end))
        keys[rows], nan_positions[rows] = top.best_keys(), top.nan_positions()
        return best_of(keys, k, nan_positions >= 0, dtype), nan_positions

    return rank


def positions_by_norm(folder: Path, items: int) -> Ints:
    """Return the positions of the items in descending order of their norms: [items]."""
    return np.asarray(mapped_file(folder / POSITIONS_FILE, INT64, (items,)).data)


def norms_of(vectors: Array) -> Array:
    """Return the norms of rows as float64, infinite where one isn't finite: [rows]."""
    # In float64 no square of a float32 overflows or vanishes.
    norms: Array = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return np.where(np.isfinite(norms), norms, np.inf)


def may_reach(user_norms: Array, item_norm: float | Array, bound: Array) -> Mask:
    """Say which users' scores may reach a bound, for items whose norm is at most `item_norm`."""
    with np.errstate(invalid="ignore", over="ignore"):
        # Processors may take numbers below 2**-126 for zero, with each product and each sum.
        largest = user_norms * item_norm * (1 + _SLACK) + 1e-30
        # Not "reaches it": where one of both is NaN, nothing is known.
        mask: Mask = ~(largest < np.minimum(bound, _NO_OVERFLOW))
    return mask


def users_by_norm(k: int) -> int:
    """Return how many users are ranked together: as many as blocks of some times k items allow."""
    return min(_MOST_USERS, max(_COMPUTED_USERS // 4, 2 * _BLOCK_SCORES // _least_items(k)))


def _block_ends(items: int, k: int) -> list[int]:
    """Return where the blocks of items end."""
    most = min(-(-items // _SHARE), _BLOCK_SCORES // users_by_norm(k))
    size = round_up(max(most, _least_items(k)))
    ends = list(range(size, items + size, size))
    if len(ends) > 1 and items - ends[-2] < LEAST_ROWS:
        del ends[-2]
    return ends


def _least_items(k: int) -> int:
    return 4 * k + 64


def _computed(compute_users: UserValues, batch: pa.RecordBatch) -> Tensor:
    """Compute the vectors of all users of a batch."""
    parts = []
    for start in range(0, batch.num_rows, _COMPUTED_USERS):
        try:
            (vectors,) = compute_users(batch.slice(start, _COMPUTED_USERS))
        except RowsRefused as refused:
            raise RowsRefused(refused.rows + start, refused.reasons) from None
        except RowsUneven:
            if batch.num_rows > _COMPUTED_USERS:
                raise RowsTooLarge from None
            raise
        parts.append(vectors)
    if len(parts) == 1:
        return parts[0]
    data = np.concatenate([part.data for part in parts])
    return Tensor(FLOAT32, data.shape, data)


@frozen(eq=False)
class _NormOrder:
    """The items' positions in the order in which they are kept, and their norms: [items]."""

    positions: Ints
    norms: Array
    _inverse: Ints

    @classmethod
    def mapped(cls, folder: Path, items: int) -> _NormOrder:
        positions = positions_by_norm(folder, items)
        norms = np.asarray(mapped_file(folder / NORMS_FILE, FLOAT64, (items,)).data)
        inverse = np.empty(items, np.int64)
        inverse[positions] = np.arange(items)
        return cls(positions, norms, inverse)

    def lists(self, lists: ItemLists | None) -> ItemLists | None:
        """Return lists whose positions are those at which items are kept."""
        return None if lists is None else evolve(lists, positions=self._inverse[lists.positions])


@frozen(eq=False)
class _Users:
    """The users of a batch who aren't finished."""

    vectors: Tensor
    norms: Array
    excluded: ItemLists | None
    candidates: ItemLists | None

    def take(self, users: Ints) -> _Users:
        data = self.vectors.data[users]
        lists = [
            None if part is None else part.take(users) for part in (self.excluded, self.candidates)
        ]
        return _Users(Tensor(self.vectors.dtype, data.shape, data), self.norms[users], *lists)

    def lists_in(self, first: int, end: int) -> list[Any]:
        """Return what `TopK.add` takes beside the scores of these items."""
        shape = (0, len(self.norms)), first, end
        return [
            None if self.excluded is None else self.excluded.in_block(*shape),
            None if self.candidates is None else self.candidates.in_block(*shape),
            None if self.candidates is None else self.candidates.has_list,
        ]
