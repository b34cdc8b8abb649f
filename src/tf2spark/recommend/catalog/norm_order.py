"""Decides whether items are kept by their norms, so that workers can skip those that are too small.

That pays where norms differ much, as those of factors do that ALS has trained. Where it pays less,
blocks of consecutive positions are faster; so it is tried on some users of the call, as OPTIMUS
does (Abuzaid et al., "To Index or Not to Index", 2019).
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
from attrs import evolve

from tf2spark.conversion.arrow_buffers import take_rows
from tf2spark.conversion.rows import Array, RowsRefused, RowsUneven
from tf2spark.dtypes import FLOAT32, from_code
from tf2spark.graph_split.inner_product import is_inner_product
from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.plan.recommend import NORMS_FILE, POSITIONS_FILE, CatalogPlan, SplitPlan
from tf2spark.recommend.catalog.files import write_item_tensor
from tf2spark.recommend.job import RecommendJob
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.mapped_files import mapped_file
from tf2spark.worker.model_session import open_model
from tf2spark.worker.ranking.norm_order import may_reach, norms_of, users_by_norm
from tf2spark.worker.recommend.user_values import user_values

# Smaller catalogs are scored in one block.
_LEAST_ITEMS = 1000
_SAMPLED_USERS = 32
# The largest share of the pairs that may be left: above, the work of leaving some out isn't repaid.
_MOST_LEFT = 0.6
_ITEMS_PER_STEP = 1 << 16


def order_by_norm(
    job: RecommendJob, plan: CatalogPlan, graph: SplitGraph, tree: Path
) -> tuple[CatalogPlan, float | None]:
    """Keep the items by their norms if that pays; their files in `tree` are written anew then.

    Returns:
        The plan, and the share of pairs that sampled users need; None where it was left as it was.
    """
    strategy = plan.strategy
    if (
        not isinstance(strategy, SplitPlan)
        or not is_inner_product(graph)
        or plan.items < max(_LEAST_ITEMS, 8 * plan.k)
    ):
        return plan, None
    users = _sampled_vectors(job, plan, strategy, tree)
    if users is None or not len(users):
        return plan, None
    (item,) = strategy.items
    vectors = np.asarray(mapped_file(tree / item.path, from_code(item.code), item.shape).data)
    norms = np.concatenate([norms_of(vectors[rows]) for rows in _steps(plan.items)])
    share = _share_needed(users, vectors, norms, plan.k)
    if share > _MOST_LEFT:
        return plan, None
    order = np.argsort(-norms, kind="stable")
    # The old file stays mapped until it has been read.
    (tree / item.path).unlink()
    number = int(Path(item.path).stem)
    kept = write_item_tensor(tree, number, item.placeholder, FLOAT32, vectors, order)
    order.astype(np.int64).tofile(tree / POSITIONS_FILE)
    norms[order].tofile(tree / NORMS_FILE)
    users_plan = evolve(plan.users, batch_rows=users_by_norm(plan.k))
    strategy = evolve(strategy, items=(kept,), by_norm=True, coarse=None)
    return evolve(plan, users=users_plan, strategy=strategy), share


def _sampled_vectors(
    job: RecommendJob, plan: CatalogPlan, strategy: SplitPlan, tree: Path
) -> Array | None:
    """Return the vectors of some users of the call; None where they can't be computed."""
    batches = job.sample("user").slice(0, _SAMPLED_USERS).combine_chunks().to_batches()
    if not batches:
        return None
    with closing(open_model(job.model.reference(), tree)) as session:
        compute = user_values(plan, strategy, session)
        try:
            return compute(batches[0])[0].data
        except RowsRefused as refused:
            rest = np.setdiff1d(np.arange(batches[0].num_rows), list(refused.rows))
        except (RowsUneven, TensorFlowFailure):
            return None
        try:
            return compute(take_rows(batches[0], rest))[0].data
        except (RowsRefused, RowsUneven, TensorFlowFailure):
            return None


def _share_needed(users: Array, vectors: Array, norms: Array, k: int) -> float:
    """Return the share of all pairs whose score may be among a user's best k, by norms alone."""
    best = np.full((len(users), 0), 0, np.float32)
    with np.errstate(all="ignore"):
        for rows in _steps(len(vectors)):
            best = np.concatenate([best, users @ vectors[rows].T], axis=1)
            best = -np.sort(-best, axis=1)[:, :k]
        # A user at a time, because there may be millions of norms.
        needed = [
            np.mean(may_reach(norm, norms, bound))
            for norm, bound in zip(norms_of(users), best[:, -1], strict=True)
        ]
    return float(np.mean(needed))


def _steps(items: int) -> list[slice]:
    return [slice(first, first + _ITEMS_PER_STEP) for first in range(0, items, _ITEMS_PER_STEP)]
