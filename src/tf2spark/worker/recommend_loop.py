"""The worker's part of `recommend`: users in, each with the best k items of the catalog out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.arrow_buffers import number_array, take_indices
from tf2spark.conversion.rows import Array, RowsRefused
from tf2spark.dtypes import from_code
from tf2spark.plan.recommend import IDS_FILE, CatalogPlan, SplitPlan
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.item_lists import Lists, list_reader
from tf2spark.worker.mapped_tables import mapped_table
from tf2spark.worker.other_widths import whole_session, with_fallback
from tf2spark.worker.score_loop import Runner, score_batches
from tf2spark.worker.split_scores import Block, PairsRefused, split_blocks
from tf2spark.worker.top_k import Places, TopK
from tf2spark.worker.whole_scores import whole_blocks

Restricted = tuple[Lists | None, Lists | None]


def recommend_batches(
    plan: CatalogPlan,
    session: CApiSession,
    batches: Iterable[pa.RecordBatch],
    *,
    location: str = "",
    names: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Give every user of every batch its recommendations; arguments and errors are those of
    `score_batches`, whose loop this is: a user that can't be scored follows the plan's mode.
    """
    ids = mapped_table(Path(session.path), IDS_FILE).column(0)
    runner = _runner(plan, session, session, ids)
    yield from score_batches(
        plan.users, session, batches, location=location, runner=runner, names=names
    )


def user_scorer(plan: CatalogPlan, session: CApiSession) -> Callable[[pa.RecordBatch], Array]:
    """Return the function from one user to the scores of all items: [items], for checks."""
    if isinstance(plan.strategy, SplitPlan):
        blocks = split_blocks(plan, plan.strategy, session)
    else:
        blocks = whole_blocks(plan, plan.strategy, session, Path(session.path))

    def scores(user: pa.RecordBatch) -> Array:
        try:
            return np.concatenate([block.scores[0] for block in blocks(user)])
        except PairsRefused as refused:
            raise RowsRefused(refused.rows, ["a pair is refused"]) from None

    return scores


def _runner(plan: CatalogPlan, session: CApiSession, catalog: CApiSession, ids: pa.Array) -> Runner:
    """Return what scores users; `catalog` is the session whose folder has the items."""
    if plan.fallback is not None:
        whole = evolve(plan, strategy=plan.fallback, fallback=None)

        def make_whole() -> Runner:
            return _runner(whole, whole_session(plan.users.model, session), session, ids)

        return with_fallback(
            _runner(evolve(plan, fallback=None), session, session, ids), make_whole
        )
    if isinstance(plan.strategy, SplitPlan):
        blocks = split_blocks(plan, plan.strategy, session)
    else:
        blocks = whole_blocks(plan, plan.strategy, session, Path(catalog.path))
    excluded = list_reader(plan.exclude, ids) if plan.exclude else None
    only = list_reader(plan.candidates, ids) if plan.candidates else None
    finish = _finisher(plan, ids)

    def run(batch: pa.RecordBatch) -> list[pa.Array]:
        restricted = (excluded(batch) if excluded else None, only(batch) if only else None)
        try:
            best = _best(plan, batch.num_rows, blocks(batch), restricted)
        except PairsRefused as refused:
            raise RowsRefused(refused.rows, refused.texts(ids)) from None
        return [finish(*best)]

    return run


def _best(
    plan: CatalogPlan, users: int, blocks: Iterator[Block], restricted: Restricted
) -> tuple[Array, Array, Array]:
    """Return counts, places and scores of each user's best, users one after the other."""
    dtype = from_code(plan.score_code).numpy
    assert dtype is not None
    found, top, current = [], None, (0, 0)
    nans = np.full(users, -1)
    for block in blocks:
        if top is None or block.users != current:
            if top is not None:
                found.append(_done(top, nans, current))
            current = block.users
            top = TopK(current[1] - current[0], min(plan.k, max(1, plan.items)), dtype)
        top.add(block.scores, block.first, *_of_block(restricted, block))
    if top is not None:
        found.append(_done(top, nans, current))
    _refuse_nans(nans)
    counts, where, scores = (
        [np.concatenate(each) for each in zip(*found, strict=True)]
        if found
        else [np.zeros(users, np.int64), np.zeros(0, np.int64), np.zeros(0, dtype)]
    )
    return counts, where, scores


def _done(top: TopK, nans: Array, users: tuple[int, int]) -> tuple[Array, Array, Array]:
    nans[users[0] : users[1]] = top.nan_places()
    return top.result()


def _refuse_nans(nans: Array) -> None:
    rows = np.flatnonzero(nans >= 0)
    if len(rows):
        raise PairsRefused(rows, nans[rows], ["the score is NaN"] * len(rows))


def _of_block(
    restricted: Restricted, block: Block
) -> tuple[Places | None, Places | None, Array | None]:
    excluded, only = restricted
    shape = block.users, block.first, block.first + block.scores.shape[1]
    return (
        _cut(excluded, *shape) if excluded else None,
        _cut(only, *shape) if only else None,
        only[2][block.users[0] : block.users[1]] if only else None,
    )


def _cut(lists: Lists, users: tuple[int, int], first: int, last: int) -> Places:
    """Return the entries of a block: rows and columns within it."""
    rows, where, _ = lists
    low, high = np.searchsorted(rows, users)
    rows, where = rows[low:high], where[low:high]
    inside = (where >= first) & (where < last)
    return rows[inside] - users[0], where[inside] - first


def _finisher(plan: CatalogPlan, ids: pa.Array) -> Callable[[Array, Array, Array], pa.Array]:
    """Return the function that makes a column of recommendations."""
    kind = plan.users.outputs[0].arrow
    id_type, score_type = (kind.value_type.field(place).type for place in (0, 1))

    def finish(counts: Array, where: Array, scores: Array) -> pa.Array:
        offsets = np.zeros(len(counts) + 1, np.int32)
        np.cumsum(counts, out=offsets[1:])
        items = ids.take(take_indices(where)).cast(id_type)
        fields = [items, number_array(scores, score_type)]
        structs = pa.StructArray.from_arrays(fields, fields=list(kind.value_type))
        return pa.ListArray.from_arrays(number_array(offsets, pa.int32()), structs, type=kind)

    return finish
