"""Scores by a split graph: blocks of users against blocks of items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.rows import Array, Ints
from tf2spark.dtypes import INT32, from_code
from tf2spark.plan.recommend import CatalogPlan, SplitPlan
from tf2spark.tensorflow_c.mapped_files import mapped_file
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.mapped_tables import FolderSession
from tf2spark.worker.row_names import id_text
from tf2spark.worker.run_conversion import input_feeder

# Scores that top-k sees at once: a few MiB, so that they are still in the processor's cache.
_MAX_SCORES = 1 << 20
# Items per block are a multiple of this. So every block of a mapped tensor starts at a multiple of
# 64 bytes (16 values of 4 bytes), where TensorFlow reads in place instead of copying.
_ITEM_MULTIPLE = 16


@frozen(eq=False)
class Block:
    """Scores of some users of a batch and consecutive items.

    Attributes:
        users: The first user's row, and the row after the last user's.
        first: The position of the first item.
        scores: [users, items].
    """

    users: tuple[int, int]
    first: int
    scores: Array


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
    inputs = plan.users.inputs
    feeders = [input_feeder(plan.users, input_plan, None) for input_plan in inputs]
    compute_users = session.prepare(
        [tensor for input_plan in inputs for tensor in input_plan.tensors],
        list(strategy.user_tensors),
    )
    score_items = _item_scorer(strategy, session)

    def blocks(batch: pa.RecordBatch) -> Iterator[Block]:
        feeds = [tensor for feed in feeders for tensor in feed(batch)]
        values = compute_users(feeds) if strategy.user_tensors else []
        # Blocks of even size, because a small one costs nearly as much as a full one.
        block_users = even_size(batch.num_rows, strategy.block_users)
        for start in range(0, batch.num_rows, block_users):
            end = min(start + block_users, batch.num_rows)
            users = [_slice(value, start, end) for value in values if isinstance(value, Tensor)]
            for first, scores in score_items(users, end - start):
                yield Block((start, end), first, scores)

    return blocks


def even_size(count: int, max_size: int) -> int:
    """Return the size of blocks that hold `count` things: as few blocks as possible, of even size.

    No block has more than `max_size` things.
    """
    blocks = max(1, -(-count // max_size))
    return max(1, -(-count // blocks))


def _slice(tensor: Tensor, start: int, end: int) -> Tensor:
    data = tensor.data[start:end]
    return Tensor(tensor.dtype, data.shape, data, tensor.data)


def _item_scorer(
    strategy: SplitPlan, session: FolderSession
) -> Callable[[Sequence[Tensor], int], Iterator[tuple[int, Array]]]:
    """Return the function that scores a block of users against all items, a few blocks at a time.

    It yields the position of the first item, and the scores [users, items].
    """
    items = strategy.items
    sizes = [strategy.users_size, strategy.items_size]
    placeholders = [*strategy.placeholders, *(item.placeholder for item in items)]
    run = session.prepare([*sizes, *placeholders], [strategy.score])
    folder = Path(session.path)
    mapped = [mapped_file(folder / item.path, from_code(item.code), item.shape) for item in items]
    count = strategy.item_count
    block_items = _round_up(even_size(count, strategy.block_items))
    blocks = [(first, min(first + block_items, count)) for first in range(0, count, block_items)]
    # Sliced once: every block of users meets the same blocks of items.
    sliced = [[_slice(tensor, *block) for tensor in mapped] for block in blocks]

    def score_block(users: Sequence[Tensor], rows: int, number: int) -> Array:
        first, end = blocks[number]
        (scores,) = run([_scalar(rows), _scalar(end - first), *users, *sliced[number]])
        assert isinstance(scores, Tensor)
        return scores.data

    def score_items(users: Sequence[Tensor], rows: int) -> Iterator[tuple[int, Array]]:
        together = max(1, _MAX_SCORES // max(1, rows * strategy.block_items))
        for start in range(0, len(blocks), together):
            numbers = range(start, min(start + together, len(blocks)))
            scores = [score_block(users, rows, number) for number in numbers]
            first, _ = blocks[start]
            yield first, scores[0] if len(scores) == 1 else np.concatenate(scores, axis=1)

    return score_items


def _round_up(items: int) -> int:
    return -(-items // _ITEM_MULTIPLE) * _ITEM_MULTIPLE


def _scalar(value: int) -> Tensor:
    return Tensor(INT32, (), np.array(value, np.int32))
