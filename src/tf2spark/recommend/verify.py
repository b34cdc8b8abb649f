"""Checks on real rows of the call: the split graph against the whole one, and the items."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.conversion.rows import Array, Ints, RowsRefused, RowsUneven
from tf2spark.errors import RowError
from tf2spark.graph_split.forms import NotSplit, SideName
from tf2spark.plan.recommend import IDS_FILE, CatalogPlan, SplitPlan, WholePlan
from tf2spark.recommend.catalog.items import item_id_type, unequal_ids, write_columns
from tf2spark.recommend.job import RecommendJob
from tf2spark.recommend.model.whole_graph import bind_whole_graph
from tf2spark.recommend.sides import columns_fed
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.worker.model_session import open_model
from tf2spark.worker.ranking.norm_order import positions_by_norm
from tf2spark.worker.recommend.item_lists import position_finder
from tf2spark.worker.recommend.mapped_tables import FolderSession, mapped_table
from tf2spark.worker.recommend.split_scores import LEAST_ROWS, PairScorer, round_up
from tf2spark.worker.recommend.user_values import user_values
from tf2spark.worker.recommend.whole_scores import refused_items, whole_scorer
from tf2spark.worker.row_names import id_text

_MAX_ROWS = 8
_USERS_OF_ALL_ITEMS = 2
# Each block of items is a slice of their tensors, made before the first is scored.
_MAX_BLOCKS = 256
# Scores that are all smaller are compared as if the largest were this.
_LEAST_SCALE = 1e-3
_CANT_SCORE = (RowsRefused, RowsUneven, TensorFlowFailure)
UserScorer = Callable[[pa.RecordBatch], Array]
"""From users to the scores of items: [users, items]; by the whole graph, from one user: [items]."""


@frozen
class SplitCheck:
    """How a split graph compares with the whole one.

    Attributes:
        pairs: How many pairs were scored by both.
        difference: The largest difference, relative to the score itself, or to the largest of all
            scores (at most 1) where that is larger.
        tolerance: How large it may be.
    """

    pairs: int
    difference: float
    tolerance: float


def check_split(
    job: RecommendJob, plan: CatalogPlan, tree: Path, *, all_items: bool = False
) -> SplitCheck | None:
    """Score a few users and items by the split graph and by the whole graph.

    Args:
        job: The call.
        plan: The plan that splits the graph.
        tree: The folder of its model.
        all_items: An item's score may depend on the others, so the whole graph is given all items.

    Returns:
        The comparison; None where no user or no item of the samples can be scored.

    Raises:
        NotSplit: The scores differ by more than the tolerance.
        ContractError: The items have other ids than before.
    """
    arguments = job.arguments
    users = _as_batch(_picked_rows(job, "user", arguments.user_id))
    if all_items:
        names = [arguments.item_id, *bind_whole_graph(job).item_columns]
        items = job.tables.items(list(dict.fromkeys(names)))
        users = None if users is None else users.slice(0, _USERS_OF_ALL_ITEMS)
    else:
        items = _picked_rows(job, "item", arguments.item_id)
    if users is None or not items.num_rows:
        return None
    find_positions = position_finder(mapped_table(tree, IDS_FILE).column(0))
    id_type = item_id_type(job.schemas["item"], arguments.item_id)
    ids = items.combine_chunks().column(arguments.item_id).cast(id_type)
    positions = find_positions(ids.chunk(0))
    if not (is_known := positions >= 0).all():
        # Those that were in both reads are enough, unless an item's score depends on the others.
        if all_items or not is_known.any():
            raise unequal_ids(arguments.item_id)
        items, positions = items.filter(pa.array(is_known)), positions[is_known]
    with (
        closing(open_model(plan.users.model, tree, optimizes=False)) as session,
        _whole_scorer(job, plan, items, row_wise=not all_items) as score_whole,
    ):
        score_split = _split_scorer(plan, session, positions)
        split_scores = _scores_of(score_split, users)
        pairs = [
            (of_user, whole_scores)
            for of_user, user in zip(split_scores, _one_by_one(users), strict=True)
            if of_user is not None and (whole_scores := _try_scoring(score_whole, user)) is not None
        ]
    if not pairs:
        return None
    got, expected = (np.stack(scores).astype(np.float64) for scores in zip(*pairs, strict=True))
    return _compare(got, expected, arguments.tolerance)


def _compare(got: Array, expected: Array, tolerance: float) -> SplitCheck:
    largest_score = np.max(np.abs(expected[np.isfinite(expected)]), initial=_LEAST_SCALE)
    is_same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distances = np.abs(got - expected) / np.maximum(min(1.0, largest_score), np.abs(expected))
    # A NaN here means that only one of the two scores is NaN, or that they are not both finite.
    distances = np.nan_to_num(np.where(is_same, 0.0, distances), nan=np.inf)
    largest = float(distances.max(initial=0.0))
    if largest > tolerance:
        pair = np.unravel_index(int(np.argmax(distances)), got.shape)
        raise NotSplit(
            f"the split graph gives {got[pair]:.9g} where the whole graph gives "
            f"{expected[pair]:.9g}, and they differ by more than the tolerance {tolerance:g}"
        )
    return SplitCheck(got.size, largest, tolerance)


def _picked_rows(job: RecommendJob, side: SideName, id_column: str) -> pa.Table:
    sample = job.sample(side)
    fed = columns_fed(job.inputs, side, sample.column_names)
    return _pick_rows(sample, [name for name in fed if name != id_column])


def _pick_rows(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return the first rows, the last, and those with the smallest and the largest values.

    Only columns that feed the model are looked at: others may have dates that Python doesn't have.
    """
    rows = table.num_rows
    if not rows:
        return table
    chosen_rows = {*range(min(rows, _MAX_ROWS // 2)), rows - 1}
    for name in names:
        if len(chosen_rows) < _MAX_ROWS:
            magnitudes = [_magnitude(value) for value in table.column(name).to_pylist()]
            chosen_rows |= {int(np.argmin(magnitudes)), int(np.argmax(magnitudes))}
    return table.take(pa.array(sorted(chosen_rows), pa.int64())).combine_chunks()


def _magnitude(value: Any) -> float:
    """Return how large a value is: the number, a text's length, the sum over a list."""
    match value:
        case bool() | int() | float():
            return 0.0 if value != value else float(value)
        case str() | bytes():
            return float(len(value))
        case list() | tuple():
            return sum(map(_magnitude, value))
        case dict():
            return sum(map(_magnitude, value.values()))
        case _:
            return 0.0


def _as_batch(table: pa.Table) -> pa.RecordBatch | None:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else None


def _one_by_one(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    return (batch.slice(row, 1) for row in range(batch.num_rows))


def _scores_of(score: UserScorer, users: pa.RecordBatch) -> list[Array | None]:
    """Return the scores of each user, in one run if possible; None for one who can't be scored."""
    if (together := _try_scoring(score, users)) is not None:
        return list(together)
    alone = (_try_scoring(score, user) for user in _one_by_one(users))
    return [None if scores is None else scores[0] for scores in alone]


def _try_scoring(score: UserScorer, users: pa.RecordBatch) -> Array | None:
    """Return users' scores; None where one of them can't be scored."""
    try:
        return score(users)
    except _CANT_SCORE:
        return None


def _split_scorer(plan: CatalogPlan, session: FolderSession, positions: Ints) -> UserScorer:
    """Return the function from users to the scores of the items at these positions.

    Only small blocks around them are computed: all would take longer than the rest of the check.
    """
    strategy = plan.strategy
    assert isinstance(strategy, SplitPlan)
    compute_users = user_values(plan, strategy, session)
    if strategy.by_norm:
        order = positions_by_norm(Path(session.path), plan.items)
        places = np.empty_like(order)
        places[order] = np.arange(plan.items)
        positions = places[positions]
    size = round_up(max(LEAST_ROWS, plan.items // _MAX_BLOCKS))
    pairs = PairScorer.of(strategy, session, range(size, plan.items + size, size))
    starts = np.array([start for start, _ in pairs.blocks])
    numbers = np.searchsorted(starts, positions, side="right") - 1

    def score(users: pa.RecordBatch) -> Array:
        values, rows = compute_users(users), users.num_rows
        blocks = {number: pairs.score(values, rows, number) for number in set(numbers.tolist())}
        places = zip(numbers.tolist(), (positions - starts[numbers]).tolist(), strict=True)
        return np.stack([blocks[number][:, place] for number, place in places], axis=1)

    return score


@contextmanager
def _whole_scorer(
    job: RecommendJob, plan: CatalogPlan, items: pa.Table, *, row_wise: bool
) -> Iterator[UserScorer]:
    """Yield the function from one user to the scores of these items by the whole graph."""
    whole = bind_whole_graph(job)
    strategy = whole.strategy(items.num_rows, row_wise=row_wise)
    reference = job.model.reference()
    whole_plan = evolve(
        plan, strategy=strategy, items=items.num_rows, users=evolve(plan.users, model=reference)
    )
    with (
        tempfile.TemporaryDirectory(prefix="checked-", dir=job.parent) as folder,
        closing(open_model(reference, job.model.folder, optimizes=False)) as session,
    ):
        write_columns(Path(folder), items, whole.item_columns)
        yield whole_scorer(whole_plan, strategy, session, Path(folder))


def check_items(plan: CatalogPlan, users: pa.Table, tree: Path) -> None:
    """Score all items by the whole graph with the first of some users that can be scored.

    This names an item that can't be scored before the job starts.

    Raises:
        RowError: Some items can't be scored with a user, but others can.
    """
    strategy = plan.strategy
    assert isinstance(strategy, WholePlan)
    first_users = _as_batch(users.slice(0, _MAX_ROWS))
    if first_users is None or not plan.items:
        return
    with closing(open_model(plan.users.model, tree)) as session:
        ids = mapped_table(tree, IDS_FILE).column(0)
        for user in _one_by_one(first_users):
            reasons = refused_items(plan, strategy, session, user)
            if not reasons:
                return
            if len(reasons) < plan.items:
                position = min(reasons)
                raise RowError(
                    f"{id_text(plan.item_id, ids[position])} can't be scored: {reasons[position]} "
                    f"({len(reasons):,} of {plan.items:,} items can't be)",
                    "leave them out of the items",
                )
