"""Scores of a graph that was taken apart: blocks of users against blocks of items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.rows import Array
from tf2spark.dtypes import INT32, from_code
from tf2spark.plan.recommend import CatalogPlan, SplitPlan
from tf2spark.tensorflow_c.mapped_files import mapped_file
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.score_loop import input_feeder

# Scores that are looked at together: a few MiB, so that they stay in the processor's cache.
_TOGETHER = 1 << 20
_ALIGNED = 16


@frozen(eq=False)
class Block:
    """Scores of users `users[0]` to `users[1] - 1` of a batch, for items from place `first` on."""

    users: tuple[int, int]
    first: int
    scores: Array


class PairsRefused(Exception):
    """Some users have no score with an item: their rows, the items' places, and why."""

    def __init__(self, rows: Array, places: Array, reasons: Sequence[str]) -> None:
        super().__init__(f"{len(rows)} users: {reasons[0]}")
        self.rows = rows
        self._places = places
        self._reasons = reasons

    def texts(self, ids: pa.Array) -> list[str]:
        """Return a reason a row that names the item by its id."""
        pairs = zip(self._places.tolist(), self._reasons, strict=True)
        return [f"with item {ids[place].as_py()!r}: {reason}" for place, reason in pairs]


Blocks = Callable[[pa.RecordBatch], Iterator[Block]]


def split_blocks(plan: CatalogPlan, strategy: SplitPlan, session: CApiSession) -> Blocks:
    """Return the function that scores a batch of users, block by block.

    It raises `RowsRefused` for users that can't be fed, `TensorFlowFailure` where TensorFlow
    refuses their values.
    """
    inputs = plan.users.inputs
    feeders = [input_feeder(plan.users, one, None) for one in inputs]
    values = session.prepare(
        [name for one in inputs for name in one.tensors], list(strategy.user_tensors)
    )
    score = _scorer(strategy, session)

    def blocks(batch: pa.RecordBatch) -> Iterator[Block]:
        tensors = [tensor for feed in feeders for tensor in feed(batch)]
        users = values(tensors) if strategy.user_tensors else []
        # Blocks of one size, since a small one costs nearly as much as a full one.
        size = even(batch.num_rows, strategy.block_users)
        for start in range(0, batch.num_rows, size):
            stop = min(start + size, batch.num_rows)
            cut = [_rows(one, start, stop) for one in users if isinstance(one, Tensor)]
            for first, scores in score(cut, stop - start):
                yield Block((start, stop), first, scores)

    return blocks


def even(count: int, most: int) -> int:
    """Return the size of as few blocks as `most` allows, all as large."""
    blocks = max(1, -(-count // most))
    return max(1, -(-count // blocks))


def _rows(tensor: Tensor, start: int, stop: int) -> Tensor:
    data = tensor.data[start:stop]
    return Tensor(tensor.dtype, data.shape, data, tensor.data)


def _scorer(
    strategy: SplitPlan, session: CApiSession
) -> Callable[[Sequence[Tensor], int], Iterator[tuple[int, Array]]]:
    """Return the function that scores a block of users against all items, a part at a time."""
    sizes = [strategy.users_size, strategy.items_size]
    placeholders = [one.placeholder for one in strategy.items]
    run = session.prepare([*sizes, *strategy.placeholders, *placeholders], [strategy.score])
    folder = Path(session.path)
    mapped = [mapped_file(folder / one.path, from_code(one.code), one.shape) for one in strategy.items]
    count = strategy.item_count
    block = _aligned(even(count, strategy.block_items))
    parts = [(first, min(first + block, count)) for first in range(0, count, block)]
    cut = {part: [_rows(one, *part) for one in mapped] for part in parts}

    def scores_of(users: Sequence[Tensor], rows: int, part: tuple[int, int]) -> Array:
        counts = [_scalar(rows), _scalar(part[1] - part[0])]
        (scores,) = run([*counts, *users, *cut[part]])
        assert isinstance(scores, Tensor)
        return scores.data

    def score(users: Sequence[Tensor], rows: int) -> Iterator[tuple[int, Array]]:
        together = max(1, _TOGETHER // max(1, rows * strategy.block_items))
        for place in range(0, len(parts), together):
            some = parts[place : place + together]
            found = [scores_of(users, rows, part) for part in some]
            yield some[0][0], found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    return score


def _aligned(items: int) -> int:
    """Round a block up so that it begins where TensorFlow reads in place (64 bytes)."""
    return -(-items // _ALIGNED) * _ALIGNED


def _scalar(value: int) -> Tensor:
    return Tensor(INT32, (), np.array(value, np.int32))
