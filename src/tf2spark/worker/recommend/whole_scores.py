"""Scores by the whole graph: one user against all items at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.arrow_buffers import take_indices, values_of
from tf2spark.conversion.rows import Array, RowsRefused
from tf2spark.dtypes import from_code
from tf2spark.errors import RunError, argument
from tf2spark.plan.recommend import ITEMS_FILE, CatalogPlan, WholePlan
from tf2spark.worker.recommend.mapped_tables import FolderSession, mapped_table
from tf2spark.worker.recommend.split_scores import Block, Blocks, PairsRefused
from tf2spark.worker.score_loop import Scored, batch_scorer

# Runs are bounded by rows alone: where rows depend on each other, all items must be in one run.
_NO_LIMIT_BYTES = 1 << 62


def whole_blocks(
    plan: CatalogPlan, strategy: WholePlan, session: FolderSession, catalog: Path
) -> Blocks:
    """Return the function that scores a batch of users, one by one.

    `catalog` is the folder with the items. The function raises `PairsRefused` for the first user
    that can't be scored with an item.
    """
    score_user = _user_scorer(plan, strategy, session, catalog)

    def blocks(batch: pa.RecordBatch) -> Iterator[Block]:
        for row in range(batch.num_rows):
            scored = score_user(batch, row)
            if scored.reasons:
                position = min(scored.reasons)
                reason = scored.reasons[position]
                raise PairsRefused(np.array([row]), np.array([position]), [reason])
            scores = _scores(scored.columns[0], plan, strategy)
            yield Block((row, row + 1), 0, scores[None])

    return blocks


def whole_scorer(
    plan: CatalogPlan, strategy: WholePlan, session: FolderSession, catalog: Path
) -> Callable[[pa.RecordBatch], Array]:
    """Return the function from a batch of one user to the scores of all items, [items].

    It is for checks: top-k never holds all scores of a user. It raises `RowsRefused` where the user
    can't be scored with an item. The other arguments are those of `whole_blocks`.
    """
    blocks = whole_blocks(plan, strategy, session, catalog)

    def score(user: pa.RecordBatch) -> Array:
        try:
            (block,) = blocks(user)
        except PairsRefused as refused:
            raise RowsRefused(refused.rows, ["a pair is refused"]) from None
        scores: Array = block.scores[0]
        return scores

    return score


def refused_items(
    plan: CatalogPlan, strategy: WholePlan, session: FolderSession, user: pa.RecordBatch
) -> dict[int, str]:
    """Return why items can't be scored with a user, by their positions."""
    return _user_scorer(plan, strategy, session, Path(session.path))(user, 0).reasons


def _user_scorer(
    plan: CatalogPlan, strategy: WholePlan, session: FolderSession, catalog: Path
) -> Callable[[pa.RecordBatch, int], Scored]:
    """Return the function that scores one row of a batch of users against all items."""
    items = mapped_table(catalog, ITEMS_FILE)
    pairs_plan = evolve(
        plan.users,
        inputs=strategy.inputs,
        outputs=(strategy.output,),
        mode="permissive",
        fixed_rows=strategy.fixed_rows,
        batch_rows=strategy.items_per_run,
        batch_bytes=_NO_LIMIT_BYTES,
        extra_columns=(),
    )
    score_pairs = batch_scorer(pairs_plan, session)
    names = [*strategy.user_names, *items.schema.names]

    def score_user(batch: pa.RecordBatch, row: int) -> Scored:
        same_row = take_indices(np.full(items.num_rows, row))
        user_columns = [batch.column(index).take(same_row) for index in strategy.user_columns]
        pairs = pa.RecordBatch.from_arrays([*user_columns, *items.columns], names=names)
        return score_pairs(pairs, 0, "")

    return score_user


def _scores(column: pa.Array, plan: CatalogPlan, strategy: WholePlan) -> Array:
    """Return the scores of a column of outputs: [items].

    Raises:
        RunError: A row has no such entry, or several values where none was picked.
    """
    rows = len(column)
    while pa.types.is_list(column.type):
        column = column.flatten()
    values = values_of(column)
    if rows:
        values = values.reshape(rows, -1)
        width, entry = values.shape[1], strategy.column
        if (entry is None and width != 1) or (entry is not None and entry >= width):
            raise RunError(
                f"the output that ranks items has {width} values per row",
                f"name one of its entries 0 to {width - 1}: " + argument("score", "NAME[0]"),
            )
        values = values[:, entry or 0]
    return np.ascontiguousarray(values.astype(from_code(plan.score_code).numpy))
