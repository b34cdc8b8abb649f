"""`recommend` on the driver: split the graph, compute the catalog, make the plan.

A graph that can't be split, or whose scores change when it is, runs whole; the plan says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.request import Request
from tf2spark.errors import RowError
from tf2spark.graph_split.control_edges import remove_control_edges
from tf2spark.graph_split.forms import NotRowWise, NotSplit, SideName
from tf2spark.graph_split.graph_builder import ITEMS, USERS
from tf2spark.graph_split.inner_product import add_coarse_scan
from tf2spark.graph_split.splitter import SplitGraph, score_dtype
from tf2spark.plan.recommend import (
    WHOLE_FOLDER,
    CatalogPlan,
    CoarseScan,
    ItemTensor,
    SplitPlan,
    WholePlan,
)
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.bind_users import bind_users
from tf2spark.recommend.block_sizes import BlockSizes, choose_block_sizes
from tf2spark.recommend.catalog.files import new_tree, refer_to, write_graph
from tf2spark.recommend.catalog.items import (
    item_error,
    item_id_type,
    sort_by_id,
    sort_ids,
    unequal_ids,
    write_columns,
    write_ids,
    write_values,
)
from tf2spark.recommend.catalog.norm_order import order_by_norm
from tf2spark.recommend.company.items import score_in_company
from tf2spark.recommend.job import RecommendJob
from tf2spark.recommend.model.fed_constants import write_fed_constants
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.recommend.model.split_model import (
    SizedInputs,
    item_value_outputs,
    side_request,
    split_model,
)
from tf2spark.recommend.model.whole_graph import WholeGraph, bind_whole_graph, copy_model
from tf2spark.recommend.ranks import with_ranks
from tf2spark.recommend.side_widths import size_feeds
from tf2spark.recommend.sides import SidedInput
from tf2spark.recommend.table_checks import other_sides_columns
from tf2spark.recommend.tables import Tables
from tf2spark.recommend.verify import SplitCheck, check_items, check_split
from tf2spark.saved_model.graph.loader_runs import init_op
from tf2spark.tensorflow_c.run_limit import calls_limited
from tf2spark.worker.ranking.coarse_scan import is_worth_scanning


@frozen(eq=False)
class Prepared:
    """A plan that is ready to run, and what `explain` says about it.

    Attributes:
        plan: What workers do.
        split: The split graph; None where the graph runs whole.
        block_sizes: Work and memory per pair, and the blocks; None where the graph runs whole.
        why_whole: Why the graph runs whole; None where it is split.
        check: How the split graph compares with the whole one; None where nothing was compared.
        job: The call.
        scored_share: The share of pairs that must be scored, by a sample of the users; None where
            all are.
    """

    plan: CatalogPlan
    split: SplitGraph | None
    block_sizes: BlockSizes | None
    why_whole: str | None
    check: SplitCheck | None
    job: RecommendJob
    scored_share: float | None = None

    @property
    def folder(self) -> Path:
        """The folder with the job's files; see `job_folder`."""
        return self.job.parent


def prepare(
    model: PairModel,
    inputs: tuple[SidedInput, ...],
    arguments: RecommendArguments,
    tables: Tables,
    parent: Path,
) -> Prepared:
    """Make the plan of a `recommend` job; everything that depends on items alone is computed here.

    Args:
        model: The model that scores.
        inputs: Its inputs, each with what the sides feed to it.
        arguments: The other arguments of the call.
        tables: Users and items.
        parent: The folder of the job, for its model and catalog.

    Raises:
        ContractError: Tables, model and arguments don't fit, or an item id is null or not unique.
        RowError: An item can't be scored.
    """
    limit_seconds = arguments.options.task_timeout
    model = evolve(model, limit_seconds=limit_seconds)
    with (
        calls_limited(limit_seconds, "the model"),
        other_sides_columns(inputs, tables.schemas),
    ):
        job = with_ranks(
            RecommendJob(model, model.resolve_inputs(inputs), arguments, tables, parent)
        )
        try:
            return _prepare_split(job)
        except NotSplit as error:
            reason, row_wise = str(error), error.row_wise
        except NotRowWise as error:
            reason, row_wise = str(error), False
        return _prepare_whole(job, reason, row_wise=row_wise)


# The split graph.


@frozen(eq=False)
class _SplitModel:
    """The split graph, what the sides feed to it, and the folder with its files."""

    graph: SplitGraph
    inputs: SizedInputs
    tree: Path
    coarse: CoarseScan | None

    def is_pinned(self, side: SideName) -> bool:
        """Say whether rows of this side may have other dimensions than the graph has."""
        return any(feed.pinned for feeds in self.inputs for feed in feeds if feed.side == side)


@frozen(eq=False)
class _Catalog:
    """The items' values, in files, and their ids in ascending order.

    `in_one_run` says that the values may depend on the catalog: they were computed in one run.
    """

    values: tuple[ItemTensor, ...]
    ids: pa.Array
    in_one_run: bool = False

    @property
    def items(self) -> int:
        return len(self.ids)


def _prepare_split(job: RecommendJob) -> Prepared:
    split = _split(job)
    catalog = _compute_catalog(job, split)
    fallback = _write_fallback(job, split, catalog.ids)
    sizes = choose_block_sizes(split.graph, catalog.items, job.model)
    plan = bind_users(
        job,
        side_request(split.graph, split.inputs, "user"),
        job.model.reference(),
        _split_plan(split, catalog, sizes, job.arguments.k),
        catalog.items,
        split.graph.score_dtype,
        fallback,
    )
    plan, scored_share = order_by_norm(job, plan, split.graph, split.tree)
    # Only now are all files of the folder written.
    reference = refer_to(split.tree, job.model)
    plan = evolve(plan, users=evolve(plan.users, model=reference))
    check = check_split(job, plan, split.tree, all_items=catalog.in_one_run)
    return Prepared(plan, split.graph, sizes, None, check, job, scored_share)


def _split(job: RecommendJob) -> _SplitModel:
    """Split the graph, and write it into a folder of its own."""
    model = job.model
    if model.why_not_compiled is not None:
        raise NotRowWise(f"the model can't be compiled: {model.why_not_compiled}")
    meta_graph = type(model.meta_graph)()
    meta_graph.CopyFrom(model.meta_graph)
    score = model.score.tensors[0]
    remove_control_edges(meta_graph.graph_def, score, filter(None, [init_op(meta_graph)]))
    inputs = write_fed_constants(meta_graph.graph_def, job.inputs)
    sized = [size_feeds(sided_input, job.schemas, job.sample) for sided_input in inputs]
    tree = new_tree(model.folder, job.parent)
    # Written twice: constants are read from the graph before it is split.
    write_graph(tree, meta_graph)
    graph = split_model(model, meta_graph, inputs, sized, job.schemas, job.sample, tree)
    coarse = add_coarse_scan(graph)
    write_graph(tree, meta_graph)
    return _SplitModel(graph, sized, tree, coarse)


def _compute_catalog(job: RecommendJob, split: _SplitModel) -> _Catalog:
    """Compute what depends on items alone, and write it next to the graph."""
    item_id = job.arguments.item_id
    if split.graph.items:
        table, in_one_run = _score_items(job, split)
    else:
        table, in_one_run = job.tables.items([item_id]), False
    ids, order = sort_ids(table.column(item_id), item_id)
    write_ids(split.tree, ids, item_id_type(job.schemas["item"], item_id))
    values = write_values(split.tree, table, order, split.graph.items)
    return _Catalog(values, ids, in_one_run)


def _score_items(job: RecommendJob, split: _SplitModel) -> tuple[pa.Table, bool]:
    outputs = item_value_outputs(split.graph.items)
    request = side_request(split.graph, split.inputs, "item", outputs)
    reference = refer_to(split.tree, job.model)
    item_id = job.arguments.item_id
    try:
        if split.graph.relation("item") != "independent":
            return score_in_company(job.tables, request, item_id, reference)
        return job.tables.scored_items(request, item_id, reference), False
    except RowError as error:
        if split.is_pinned("item"):
            raise NotSplit(f"items have rows of different lengths ({error})") from None
        raise item_error(error) from None


def _write_fallback(job: RecommendJob, split: _SplitModel, ids: pa.Array) -> WholePlan | None:
    """Write the whole graph next to the split one, for users whose rows may have other sizes.

    Args:
        job: The call.
        split: The split graph.
        ids: The ids of the items that it knows, in ascending order.

    Raises:
        ContractError: The items that the whole graph would be fed have other ids.
    """
    if not split.is_pinned("user"):
        return None
    whole = bind_whole_graph(job)
    items = _sorted_items(job, whole)
    if items.column(job.arguments.item_id) != pa.chunked_array([ids]):
        raise unequal_ids(job.arguments.item_id)
    write_columns(split.tree, items, whole.item_columns)
    copy_model(job.model, split.tree / WHOLE_FOLDER)
    return whole.strategy(len(ids), row_wise=not split.graph.unproven)


def _split_plan(split: _SplitModel, catalog: _Catalog, sizes: BlockSizes, k: int) -> SplitPlan:
    graph, coarse = split.graph, split.coarse
    # Only values that are multiplied have a width: others may be one number an item.
    if coarse is not None and not is_worth_scanning(catalog.values, catalog.items, k):
        coarse = None
    return SplitPlan(
        tuple(value.tensor for value, _ in graph.users),
        tuple(placeholder for _, placeholder in graph.users),
        catalog.values,
        f"{USERS}:0",
        f"{ITEMS}:0",
        graph.score,
        catalog.items,
        sizes.block_users,
        sizes.block_items,
        user_rows=graph.relation("user"),
        coarse=coarse,
    )


# The whole graph.


def _prepare_whole(job: RecommendJob, reason: str, *, row_wise: bool) -> Prepared:
    whole = bind_whole_graph(job)
    items = _sorted_items(job, whole)
    tree = _write_whole(job, whole, items)
    plan = bind_users(
        job,
        Request((), ()),
        refer_to(tree, job.model),
        whole.strategy(items.num_rows, row_wise=row_wise),
        items.num_rows,
        score_dtype(job.model.score.dtype),
    )
    check_items(plan, job.sample("user"), tree)
    return Prepared(plan, None, None, reason, None, job)


def _sorted_items(job: RecommendJob, whole: WholeGraph) -> pa.Table:
    """Return the items' ids and the columns that the whole graph is fed, sorted by id."""
    item_id = job.arguments.item_id
    columns: Sequence[str] = list(dict.fromkeys([item_id, *whole.item_columns]))
    return sort_by_id(job.tables.items(columns), item_id)


def _write_whole(job: RecommendJob, whole: WholeGraph, items: pa.Table) -> Path:
    """Write the model and the items into a folder of their own."""
    tree = new_tree(job.model.folder, job.parent)
    copy_model(job.model, tree)
    item_id = job.arguments.item_id
    write_ids(tree, items.column(item_id), item_id_type(job.schemas["item"], item_id))
    write_columns(tree, items, whole.item_columns)
    return tree
