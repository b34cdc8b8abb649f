"""A graph that was taken apart held against the whole one, on real users and items of the call."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.conversion.rows import RowsRefused, RowsUneven
from tf2spark.errors import RowError
from tf2spark.graph_split.forms import Array, NotSplit
from tf2spark.plan.recommend import IDS_FILE, CatalogPlan, WholePlan
from tf2spark.recommend.arguments import Asked
from tf2spark.recommend.files import new_tree, referred
from tf2spark.recommend.items import write_columns
from tf2spark.recommend.pair_model import CatalogModel
from tf2spark.recommend.side_widths import Samples
from tf2spark.recommend.sides import Schemas, SidedInput
from tf2spark.recommend.whole_graph import whole_job, whole_tree
from tf2spark.tensorflow_c.library import TensorFlowFailure
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.item_lists import finder
from tf2spark.worker.mapped_tables import mapped_table
from tf2spark.worker.model_session import opened
from tf2spark.worker.recommend_loop import scores_of
from tf2spark.worker.whole_scores import refused_items

_MOST = 8


@frozen
class Verified:
    """How a graph that was taken apart was checked: pairs, and the largest difference.

    `difference` is absolute for scores up to 1, relative for larger ones.
    """

    pairs: int
    difference: float
    tolerance: float


def verified(
    model: CatalogModel,
    inputs: tuple[SidedInput, ...],
    schemas: Schemas,
    samples: Samples,
    plan: CatalogPlan,
    asked: Asked,
    tree: Path,
) -> Verified | None:
    """Score a few users and items both ways.

    Returns:
        What was found; None where no user or no item of the samples can be scored.

    Raises:
        NotSplit: The scores differ by more than the tolerance.
    """
    items = _extremes(samples["item"], asked.item_id)
    users = _batch(_extremes(samples["user"], asked.user_id))
    if users is None or not items.num_rows:
        return None
    specified = model.specified(inputs)
    places = finder(mapped_table(tree, IDS_FILE).column(0))(items.column(asked.item_id).chunk(0))
    with (
        closing(opened(plan.users.model, tree)) as session,
        _whole_scorer(model, specified, schemas, plan, items, tree.parent) as whole,
    ):
        good, ours = _scored(plan, session, users)
        theirs = [whole(users.slice(row, 1)) for row in good]
    pairs = zip(ours, theirs, strict=True)
    kept = [(one[places], other) for one, other in pairs if other is not None]
    if not kept:
        return None
    got, want = (np.stack(each).astype(np.float64) for each in zip(*kept, strict=True))
    return _compared(got, want, asked.tolerance)


def _compared(got: Array, want: Array, tolerance: float) -> Verified:
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(got - want) / np.maximum(1.0, np.abs(want)))
    largest = float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
    if largest > tolerance:
        at = np.unravel_index(int(np.argmax(np.nan_to_num(apart, nan=np.inf))), got.shape)
        raise NotSplit(
            f"taken apart it gives {got[at]:.9g} where the whole graph gives {want[at]:.9g}, more "
            f"than the tolerance {tolerance:g} apart"
        )
    return Verified(got.size, largest, tolerance)


def _extremes(table: pa.Table, key: str) -> pa.Table:
    """Return the first rows, the last, and those with the smallest and largest numbers."""
    rows = table.num_rows
    chosen = {*range(min(rows, _MOST // 2)), *([rows - 1] if rows else [])}
    for field in table.schema:
        if field.name != key and len(chosen) < _MOST and rows:
            chosen |= _extreme_rows(table.column(field.name))
    return table.take(pa.array(sorted(chosen)[: 2 * _MOST], pa.int64())).combine_chunks()


def _extreme_rows(column: pa.ChunkedArray) -> set[int]:
    weights = [_weight(value) for value in column.to_pylist()]
    return {int(np.argmin(weights)), int(np.argmax(weights))}


def _weight(value: Any) -> float:
    """Return how large a value is: a number, a text's length, what is inside a list."""
    match value:
        case bool() | int() | float():
            return 0.0 if value != value else float(value)
        case str() | bytes():
            return float(len(value))
        case list() | tuple():
            return sum(map(_weight, value))
        case dict():
            return sum(map(_weight, value.values()))
        case _:
            return 0.0


def _batch(table: pa.Table) -> pa.RecordBatch | None:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else None


def _scored(
    plan: CatalogPlan, session: CApiSession, users: pa.RecordBatch
) -> tuple[list[int], list[Array]]:
    """Score users one by one; those that can't be are left out."""
    score = scores_of(plan, session)
    good, found = [], []
    for row in range(users.num_rows):
        try:
            found.append(score(users.slice(row, 1)))
            good.append(row)
        except (RowsRefused, RowsUneven, TensorFlowFailure):
            continue
    return good, found


@contextmanager
def _whole_scorer(
    model: CatalogModel,
    inputs: tuple[SidedInput, ...],
    schemas: Schemas,
    plan: CatalogPlan,
    items: pa.Table,
    parent: Path,
) -> Iterator[Callable[[pa.RecordBatch], Array | None]]:
    """Yield the function from a user to scores of these items by the whole graph, or None."""
    job = whole_job(model, inputs, schemas).for_items(items.num_rows, row_wise=True)
    tree = new_tree(model.folder, parent)
    whole_tree(model, tree)
    write_columns(tree, items, job.item_columns)
    reference = referred(tree, model.reference())
    whole = evolve(
        plan, way=job.way, items=items.num_rows, users=evolve(plan.users, model=reference)
    )
    try:
        with closing(opened(reference, tree)) as session:
            score = scores_of(whole, session)

            def scored(user: pa.RecordBatch) -> Array | None:
                try:
                    return score(user)
                except (RowsRefused, RowsUneven, TensorFlowFailure):
                    return None

            yield scored
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def verified_whole(plan: CatalogPlan, samples: Samples, tree: Path) -> None:
    """Score the first user that can be scored against all items, so that a bad item is named.

    Raises:
        RowError: Some items can't be scored with a user with whom others can.
    """
    assert isinstance(plan.way, WholePlan)
    users = _batch(samples["user"])
    if users is None or not plan.items:
        return
    with closing(opened(plan.users.model, tree)) as session:
        ids = mapped_table(tree, IDS_FILE).column(0)
        for row in range(min(users.num_rows, _MOST)):
            reasons = refused_items(plan, plan.way, session, users.slice(row, 1))
            if not reasons:
                return
            if len(reasons) < plan.items:
                place = min(reasons)
                raise RowError(
                    f"item {ids[place].as_py()!r} can't be scored: {reasons[place]}. Leave it out "
                    f"of the items ({len(reasons):,} of {plan.items:,} can't be)"
                )
