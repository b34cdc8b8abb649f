"""Scores by a split graph: blocks of users against blocks of items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.rows import Array, Ints, Mask
from tf2spark.dtypes import FLOAT32, INT32, from_code
from tf2spark.plan.recommend import CatalogPlan, SplitPlan
from tf2spark.tensorflow_c.mapped_files import mapped_file
from tf2spark.tensorflow_c.session import Run
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.recommend.mapped_tables import FolderSession
from tf2spark.worker.recommend.user_values import user_values
from tf2spark.worker.row_names import id_text

# Scores that top-k sees at once: a few MiB, so that they are still in the processor's cache.
_MAX_SCORES = 1 << 20
# Items per block are a multiple of this. So every block of a mapped tensor starts at a multiple of
# 64 bytes (16 values of 4 bytes), where TensorFlow reads in place instead of copying.
_ITEM_MULTIPLE = 16
# For less than 16 users or items, TensorFlow multiplies by other kernels, which round differently.
LEAST_ROWS = 64


@frozen(eq=False)
class Block:
    """Scores of some users of a batch and consecutive items.

    Attributes:
        users: The first user's row, and the row after the last user's.
        first: The position of the first item.
        scores: [users, items].
        norms: [users], the norms of the one vector that is computed per user, if it is one.
    """

    users: tuple[int, int]
    first: int
    scores: Array
    norms: Array | None = None


Blocks = Callable[[pa.RecordBatch], Iterator[Block]]
"""From a batch of users to their scores, in blocks; all blocks of a user follow each other."""


class PairsRefused(Exception):
    """Some users can't be scored with an item.

    Attributes:
        rows: [refused], the users' rows in the batch, ascending.
    """

    def __init__(self, rows: Ints, positions: Ints, reasons: Sequence[str]) -> None:
        super().__init__(f"{len(rows)} users: {reasons[0]}")
        self.rows = rows
        self._positions = positions
        self._reasons = reasons

    def reasons_with_ids(self, name: str, ids: pa.Array) -> list[str]:
        """Return the reason for each row, with the item's id (``item_id=17``)."""
        pairs = zip(self._positions.tolist(), self._reasons, strict=True)
        return [f"with {id_text(name, ids[position])}: {reason}" for position, reason in pairs]


def split_blocks(plan: CatalogPlan, strategy: SplitPlan, session: FolderSession) -> Blocks:
    """Return the function that scores a batch of users, block by block.

    It raises `RowsRefused` for users that can't be fed, `TensorFlowFailure` where TensorFlow
    refuses their values.
    """
    compute_users = user_values(plan, strategy, session)
    pairs = PairScorer.of(strategy, session, block_ends(strategy))
    together = strategy.block_items

    def blocks(batch: pa.RecordBatch) -> Iterator[Block]:
        values = compute_users(batch)
        norms = _norms(values)
        # Blocks of even size, because a small one costs nearly as much as a full one.
        block_users = even_size(batch.num_rows, strategy.block_users)
        for start in range(0, batch.num_rows, block_users):
            end = min(start + block_users, batch.num_rows)
            users = [slice_rows(value, start, end) for value in values]
            for first, scores in _scores_together(pairs, users, end - start, together):
                yield Block(
                    (start, end), first, scores, None if norms is None else norms[start:end]
                )

    return blocks


def _norms(values: Sequence[Tensor]) -> Array | None:
    """Return the norms of users' vectors, where each user has one of float32."""
    if len(values) != 1 or values[0].dtype is not FLOAT32 or values[0].data.ndim != 2:
        return None
    with np.errstate(all="ignore"):
        norms: Array = np.linalg.norm(values[0].data, axis=1)
    return norms


def block_ends(strategy: SplitPlan) -> range:
    """Return where the blocks of items end that workers score; the last may end after the items."""
    size = round_up(even_size(strategy.item_count, strategy.block_items))
    return range(size, strategy.item_count + size, size)


def even_size(count: int, max_size: int) -> int:
    """Return the size of blocks that hold `count` things: as few blocks as possible, of even size.

    No block has more than `max_size` things.
    """
    blocks = max(1, -(-count // max_size))
    return max(1, -(-count // blocks))


def with_company(chosen: Mask) -> Ints:
    """Return the chosen users, and others if they are few, so that their scores round as before."""
    missing = LEAST_ROWS - np.count_nonzero(chosen)
    if missing > 0:
        chosen = chosen.copy()
        chosen[np.flatnonzero(~chosen)[:missing]] = True
    return np.flatnonzero(chosen)


def slice_rows(tensor: Tensor, start: int, end: int) -> Tensor:
    """Return some rows of a tensor, in its memory."""
    data = tensor.data[start:end]
    return Tensor(tensor.dtype, data.shape, data, tensor.data)


@frozen(eq=False)
class PairScorer:
    """Scores users against blocks of items.

    Attributes:
        blocks: The first item of each block, and the one after its last.
    """

    blocks: list[tuple[int, int]]
    _run: Run
    _items: list[list[Tensor]]

    @classmethod
    def of(cls, strategy: SplitPlan, session: FolderSession, ends: Iterable[int]) -> PairScorer:
        """Prepare the runs; `ends` are those of the blocks, the last of them at least the count."""
        items, count = strategy.items, strategy.item_count
        sizes = [strategy.users_size, strategy.items_size]
        placeholders = [*strategy.placeholders, *(item.placeholder for item in items)]
        run = session.prepare([*sizes, *placeholders], [strategy.score])
        folder = Path(session.path)
        mapped = [
            mapped_file(folder / item.path, from_code(item.code), item.shape) for item in items
        ]
        edges = [0, *(min(end, count) for end in ends)]
        blocks = [block for block in pairwise(edges) if block[1] > block[0]]
        # Sliced once: every block of users meets the same blocks of items.
        return cls(blocks, run, [[slice_rows(part, *block) for part in mapped] for block in blocks])

    def score(self, users: Sequence[Tensor], rows: int, number: int) -> Array:
        """Return the scores of a block: [users, items]."""
        first, end = self.blocks[number]
        (scores,) = self._run([_scalar(rows), _scalar(end - first), *users, *self._items[number]])
        assert isinstance(scores, Tensor)
        return scores.data


def _scores_together(
    pairs: PairScorer, users: Sequence[Tensor], rows: int, block_items: int
) -> Iterator[tuple[int, Array]]:
    """Score a block of users against all items, a few blocks at a time.

    This yields the position of the first item, and the scores [users, items].
    """
    together = max(1, _MAX_SCORES // max(1, rows * block_items))
    for start in range(0, len(pairs.blocks), together):
        numbers = range(start, min(start + together, len(pairs.blocks)))
        scores = [pairs.score(users, rows, number) for number in numbers]
        first, _ = pairs.blocks[start]
        yield first, scores[0] if len(scores) == 1 else np.concatenate(scores, axis=1)


def round_up(items: int) -> int:
    """Return at least so many items, a number at which a block may end."""
    return -(-items // _ITEM_MULTIPLE) * _ITEM_MULTIPLE


def _scalar(value: int) -> Tensor:
    return Tensor(INT32, (), np.array(value, np.int32))
