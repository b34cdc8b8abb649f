"""Scores of a graph that can't be taken apart: one user against all items a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.arrow_buffers import take_indices, values_of
from tf2spark.conversion.rows import Array
from tf2spark.dtypes import from_code
from tf2spark.plan.recommend import ITEMS_FILE, CatalogPlan, WholePlan
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.mapped_tables import mapped_table
from tf2spark.worker.score_loop import Scored, batch_scorer
from tf2spark.worker.split_scores import Block, Blocks, PairsRefused


def whole_blocks(plan: CatalogPlan, strategy: WholePlan, session: CApiSession, catalog: Path) -> Blocks:
    """Return the function that scores a batch of users, one after the other.

    `catalog` is the folder that has the items.
    """
    score = _pairs_scorer(plan, strategy, session, catalog)

    def blocks(batch: pa.RecordBatch) -> Iterator[Block]:
        for row in range(batch.num_rows):
            scored = score(batch, row)
            if scored.reasons:
                place = min(scored.reasons)
                reason = scored.reasons[place]
                raise PairsRefused(np.array([row]), np.array([place]), [reason])
            yield Block((row, row + 1), 0, _scores(scored.columns[0], plan, strategy)[None])

    return blocks


def refused_items(
    plan: CatalogPlan, strategy: WholePlan, session: CApiSession, user: pa.RecordBatch
) -> dict[int, str]:
    """Return why items can't be scored with a user, by their places."""
    return _pairs_scorer(plan, strategy, session, Path(session.path))(user, 0).reasons


def _pairs_scorer(
    plan: CatalogPlan, strategy: WholePlan, session: CApiSession, catalog: Path
) -> Callable[[pa.RecordBatch, int], Scored]:
    """Return the function that scores one of a batch's users against all items."""
    items = mapped_table(catalog, ITEMS_FILE)
    pairs = evolve(
        plan.users,
        inputs=strategy.inputs,
        outputs=(strategy.output,),
        mode="permissive",
        fixed_rows=strategy.fixed_rows,
        batch_rows=strategy.items_per_run,
        batch_bytes=1 << 62,
        extra_columns=(),
    )
    score = batch_scorer(pairs, session)

    def scored(batch: pa.RecordBatch, row: int) -> Scored:
        again = take_indices(np.full(items.num_rows, row))
        columns = [batch.column(place).take(again) for place in strategy.user_columns]
        names = [*strategy.user_names, *items.schema.names]
        pair = pa.RecordBatch.from_arrays([*columns, *items.columns], names=names)
        return score(pair, 0, "")

    return scored


def _scores(column: pa.Array, plan: CatalogPlan, strategy: WholePlan) -> Array:
    dtype = from_code(plan.score_code).numpy
    if strategy.column is not None:
        width = len(column.flatten()) // max(1, len(column))
        values = values_of(column.flatten()).reshape(len(column), width)[:, strategy.column]
    else:
        while pa.types.is_list(column.type):
            column = column.flatten()
        values = values_of(column)
    return np.ascontiguousarray(values.astype(dtype))
