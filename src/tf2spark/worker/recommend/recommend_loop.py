"""The worker's part of `recommend`: each user of a batch gets the best k items of the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.arrow_buffers import number_array, take_indices, take_rows
from tf2spark.conversion.rows import Array, Ints, RowsRefused
from tf2spark.dtypes import from_code
from tf2spark.plan.recommend import IDS_FILE, CatalogPlan, SplitPlan, WholePlan
from tf2spark.worker.ranking.coarse_scan import coarse_ranker, scan_may_pay
from tf2spark.worker.ranking.norm_order import ranker_by_norm
from tf2spark.worker.ranking.top_k import Best, Ranked, TopK
from tf2spark.worker.ranking.trial import trial_of
from tf2spark.worker.recommend.item_lists import ItemLists, list_reader
from tf2spark.worker.recommend.mapped_tables import FolderSession, mapped_table
from tf2spark.worker.recommend.other_widths import whole_session, with_fallback
from tf2spark.worker.recommend.split_scores import (
    LEAST_ROWS,
    Block,
    Blocks,
    PairsRefused,
    split_blocks,
    with_company,
)
from tf2spark.worker.recommend.whole_scores import whole_blocks
from tf2spark.worker.score_loop import Runner, score_batches

FindBest = Callable[[pa.RecordBatch, ItemLists | None, ItemLists | None], Best]
"""From a batch of users, and its lists of excluded items and of candidates, to their best items.

It raises `PairsRefused` where the score of a pair is NaN."""


Rank = Callable[[pa.RecordBatch, ItemLists | None, ItemLists | None], Ranked]
"""From a batch of users, and its lists, to `Ranked`."""


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
    find_best = _best_finder(plan, session, catalog)
    ids = mapped_table(catalog, IDS_FILE).column(0)
    read_excluded = list_reader(plan.exclude, ids) if plan.exclude else None
    read_candidates = list_reader(plan.candidates, ids) if plan.candidates else None
    to_column = _column_builder(plan, ids)

    def run(batch: pa.RecordBatch) -> list[pa.Array]:
        excluded = read_excluded(batch) if read_excluded else None
        candidates = read_candidates(batch) if read_candidates else None
        try:
            best = find_best(batch, excluded, candidates)
        except PairsRefused as refused:
            raise RowsRefused(refused.rows, refused.reasons_with_ids(plan.item_id, ids)) from None
        return [to_column(*best)]

    return run


def _best_finder(plan: CatalogPlan, session: FolderSession, catalog: Path) -> FindBest:
    """Return the function that finds the best items of all users of a batch."""
    if isinstance(plan.strategy, SplitPlan) and plan.strategy.by_norm:
        return _finder_by_norm(plan, plan.strategy, session)
    blocks = _blocks(plan, session, catalog)
    dtype = from_code(plan.score_code).numpy
    assert dtype is not None
    top = TopK(0, min(plan.k, max(1, plan.items)), dtype)

    def rank(
        batch: pa.RecordBatch, excluded: ItemLists | None, candidates: ItemLists | None
    ) -> Ranked:
        return _rank(top, batch, blocks, excluded, candidates)

    def rank_again(
        batch: pa.RecordBatch, excluded: ItemLists | None, candidates: ItemLists | None
    ) -> Ranked:
        return _rank(top, batch, blocks, excluded, candidates, forecast=False)

    exact = _proven(rank, rank_again)
    if not scan_may_pay(plan):
        return exact
    scanner = cache(lambda: coarse_ranker(plan, session))
    trial = trial_of(session, plan.k)

    def find(
        batch: pa.RecordBatch, excluded: ItemLists | None, candidates: ItemLists | None
    ) -> Best:
        # Rounding all items takes time, which few users aren't worth.
        ranker = scanner() if batch.num_rows >= LEAST_ROWS else None
        if ranker is None:
            return exact(batch, excluded, candidates)
        scan = _proven(ranker.rank, rank_again)
        return trial.run(
            lambda: exact(batch, excluded, candidates),
            lambda: scan(batch, excluded, candidates),
            batch.num_rows,
        )

    return find


def _finder_by_norm(plan: CatalogPlan, strategy: SplitPlan, session: FolderSession) -> FindBest:
    """Return the function that finds the best items where a catalog is kept by its norms."""
    rank = ranker_by_norm(plan, strategy, session)

    def find(
        batch: pa.RecordBatch, excluded: ItemLists | None, candidates: ItemLists | None
    ) -> Best:
        best, nan_positions = rank(batch, excluded, candidates)
        _refuse_nans(nan_positions)
        return best

    return find


def _proven(rank: Rank, rank_again: Rank) -> FindBest:
    """Return the function that ranks users, and those again by `rank_again` who are unproven."""

    def find(
        batch: pa.RecordBatch, excluded: ItemLists | None, candidates: ItemLists | None
    ) -> Best:
        results, unproven, nan_positions = rank(batch, excluded, candidates)
        if unproven.any():
            rows = with_company(unproven)
            lists = [None if part is None else part.take(rows) for part in (excluded, candidates)]
            again = rank_again(take_rows(batch, rows), *lists)
            results = _replaced(results, rows, _joined(again[0]))
            nan_positions[rows] = again[2]
        _refuse_nans(nan_positions)
        return _joined(results)

    return find


def _rank(
    top: TopK,
    batch: pa.RecordBatch,
    blocks: Blocks,
    excluded: ItemLists | None,
    candidates: ItemLists | None,
    *,
    forecast: bool = True,
) -> Ranked:
    """Rank the items for all users of a batch."""
    users = batch.num_rows
    results: list[Best] = []
    unproven, nan_positions = np.zeros(users, np.bool_), np.full(users, -1)
    rows = (0, 0)

    def finish_users() -> None:
        if rows[1]:
            nan_positions[slice(*rows)] = top.nan_positions()
            unproven[slice(*rows)] = top.unproven()
            results.append(top.result())

    for block in blocks(batch):
        if block.users != rows:
            finish_users()
            rows = block.users
            top.restart(rows[1] - rows[0], forecast=forecast, norms=block.norms)
        _add_block(top, block, excluded, candidates)
    finish_users()
    if not results:  # no users, or no items
        top.restart(users)
        results.append(top.result())
    return results, unproven, nan_positions


def _joined(results: list[Best]) -> Best:
    counts, positions, scores = map(np.concatenate, zip(*results, strict=True))
    return counts, positions, scores


def _replaced(results: list[Best], rows: Ints, others: Best) -> list[Best]:
    """Return results of consecutive users, with those of some rows replaced by others."""
    ends = np.cumsum([len(counts) for counts, *_ in results])
    own_ends = np.searchsorted(rows, ends)
    entry_ends = np.concatenate([[0], np.cumsum(others[0])])
    replaced, first, first_row = [], 0, 0
    for best, end, last in zip(results, ends.tolist(), own_ends.tolist(), strict=True):
        if last > first:
            entries = slice(entry_ends[first], entry_ends[last])
            own = (others[0][first:last], others[1][entries], others[2][entries])
            best = _with_rows(best, rows[first:last] - first_row, own)
        replaced.append(best)
        first, first_row = last, end
    return replaced


def _with_rows(best: Best, rows: Ints, others: Best) -> Best:
    """Return results with those of some rows replaced."""
    counts, positions, scores = best
    is_replaced = np.zeros(len(counts), np.bool_)
    is_replaced[rows] = True
    new_counts = counts.copy()
    new_counts[rows] = others[0]
    kept, is_new = ~np.repeat(is_replaced, counts), np.repeat(is_replaced, new_counts)

    def mixed(old: Array, new: Array) -> Array:
        result = np.empty(len(is_new), old.dtype)
        result[is_new], result[~is_new] = new, old[kept]
        return result

    return new_counts, mixed(positions, others[1]), mixed(scores, others[2])


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
