"""The worker's part of `recommend`: each user of a batch gets the best k items of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.arrow_buffers import number_array, take_indices
from tf2spark.conversion.rows import Array, Ints, RowsRefused
from tf2spark.dtypes import from_code
from tf2spark.plan.recommend import IDS_FILE, CatalogPlan, SplitPlan, WholePlan
from tf2spark.worker.item_lists import ItemLists, list_reader
from tf2spark.worker.mapped_tables import FolderSession, mapped_table
from tf2spark.worker.other_widths import whole_session, with_fallback
from tf2spark.worker.score_loop import Runner, score_batches
from tf2spark.worker.split_scores import Block, Blocks, PairsRefused, split_blocks
from tf2spark.worker.top_k import TopK
from tf2spark.worker.whole_scores import whole_blocks

Best = tuple[Ints, Ints, Array]
"""The best items of some users: how many each user has, [users]; then the positions and the scores
of all of them, user after user, best first."""


def recommend_batches(
    plan: CatalogPlan,
    session: FolderSession,
    batches: Iterable[pa.RecordBatch],
    *,
    location: str = "",
    names: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Add recommendations to every user of every batch.

    This is `score_batches` with another runner: arguments and errors are the same, and a user that
    can't be scored follows the plan's mode.
    """
    runner = _runner(plan, session, Path(session.path))
    yield from score_batches(
        plan.users, session, batches, location=location, runner=runner, names=names
    )


def user_scorer(plan: CatalogPlan, session: FolderSession) -> Callable[[pa.RecordBatch], Array]:
    """Return the function from a batch of one user to the scores of all items, [items].

    It is for checks; top-k never holds all scores of a user.
    """
    blocks = _blocks(plan, session, Path(session.path))

    def score(user: pa.RecordBatch) -> Array:
        try:
            return np.concatenate([block.scores[0] for block in blocks(user)])
        except PairsRefused as refused:
            raise RowsRefused(refused.rows, ["a pair is refused"]) from None

    return score


def _blocks(plan: CatalogPlan, session: FolderSession, catalog: Path) -> Blocks:
    match plan.strategy:
        case SplitPlan():
            return split_blocks(plan, plan.strategy, session)
        case WholePlan():
            return whole_blocks(plan, plan.strategy, session, catalog)


def _runner(plan: CatalogPlan, session: FolderSession, catalog: Path) -> Runner:
    """Return what recommends to a batch of users; `catalog` is the folder with the items."""
    if plan.fallback is None:
        return _strategy_runner(plan, session, catalog)
    whole_plan = evolve(plan, strategy=plan.fallback, fallback=None)

    def make_whole() -> Runner:
        # The whole graph's folder is inside the split one's, and only that has the items.
        return _strategy_runner(whole_plan, whole_session(plan.users.model, session), catalog)

    return with_fallback(_strategy_runner(plan, session, catalog), make_whole)


def _strategy_runner(plan: CatalogPlan, session: FolderSession, catalog: Path) -> Runner:
    """Return what recommends to a batch of users by the plan's strategy, without a fallback."""
    blocks = _blocks(plan, session, catalog)
    ids = mapped_table(catalog, IDS_FILE).column(0)
    read_excluded = list_reader(plan.exclude, ids) if plan.exclude else None
    read_candidates = list_reader(plan.candidates, ids) if plan.candidates else None
    to_column = _column_builder(plan, ids)

    def run(batch: pa.RecordBatch) -> list[pa.Array]:
        excluded = read_excluded(batch) if read_excluded else None
        candidates = read_candidates(batch) if read_candidates else None
        try:
            best = _find_best(plan, batch.num_rows, blocks(batch), excluded, candidates)
        except PairsRefused as refused:
            raise RowsRefused(refused.rows, refused.reasons_with_ids(plan.item_id, ids)) from None
        return [to_column(*best)]

    return run


def _find_best(
    plan: CatalogPlan,
    users: int,
    blocks: Iterator[Block],
    excluded: ItemLists | None,
    candidates: ItemLists | None,
) -> Best:
    """Return the best items of all users of a batch.

    Raises:
        PairsRefused: The score of a pair is NaN.
    """
    dtype = from_code(plan.score_code).numpy
    assert dtype is not None
    results: list[Best] = []
    nan_positions = np.full(users, -1)
    top: TopK | None = None
    rows = (0, 0)

    def finish_users() -> None:
        if top is not None:
            nan_positions[slice(*rows)] = top.nan_positions()
            results.append(top.result())

    for block in blocks:
        if top is None or block.users != rows:
            finish_users()
            rows = block.users
            top = TopK(rows[1] - rows[0], min(plan.k, max(1, plan.items)), dtype)
        _add_block(top, block, excluded, candidates)
    finish_users()
    _refuse_nans(nan_positions)
    if not results:
        return np.zeros(users, np.int64), np.zeros(0, np.int64), np.zeros(0, dtype)
    counts, positions, scores = map(np.concatenate, zip(*results, strict=True))
    return counts, positions, scores


def _add_block(
    top: TopK, block: Block, excluded: ItemLists | None, candidates: ItemLists | None
) -> None:
    shape = block.users, block.first, block.first + block.scores.shape[1]
    top.add(
        block.scores,
        block.first,
        None if excluded is None else excluded.in_block(*shape),
        None if candidates is None else candidates.in_block(*shape),
        None if candidates is None else candidates.has_list[slice(*block.users)],
    )


def _refuse_nans(positions: Ints) -> None:
    rows = np.flatnonzero(positions >= 0)
    if len(rows):
        raise PairsRefused(rows, positions[rows], ["the score is NaN"] * len(rows))


def _column_builder(plan: CatalogPlan, ids: pa.Array) -> Callable[[Ints, Ints, Array], pa.Array]:
    """Return the function from the best items to the column of recommendations."""
    column_type = plan.users.outputs[0].arrow
    id_field, score_field = column_type.value_type

    def to_column(counts: Ints, positions: Ints, scores: Array) -> pa.Array:
        offsets = np.zeros(len(counts) + 1, np.int32)
        np.cumsum(counts, out=offsets[1:])
        item_ids = ids.take(take_indices(positions)).cast(id_field.type)
        structs = pa.StructArray.from_arrays(
            [item_ids, number_array(scores, score_field.type)], fields=[id_field, score_field]
        )
        offset_array = number_array(offsets, pa.int32())
        return pa.ListArray.from_arrays(offset_array, structs, type=column_type)

    return to_column
