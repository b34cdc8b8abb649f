"""`recommend` on the driver: the graph taken apart, the catalog computed, the plan made.

What can't be taken apart, or gives other scores when it is, runs whole; the plan says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.bind import bind
from tf2spark.binding.feeds import Output
from tf2spark.binding.request import FetchedOutput, Request
from tf2spark.dtypes import FLOAT32, DType
from tf2spark.errors import RowError
from tf2spark.graph_split.control_edges import remove_control_edges
from tf2spark.graph_split.forms import NotRowWise, NotSplit
from tf2spark.graph_split.graph_builder import ITEMS, USERS
from tf2spark.graph_split.splitter import SplitGraph, score_dtype
from tf2spark.plan.recommend import (
    RECOMMENDATIONS,
    WHOLE_FOLDER,
    CatalogPlan,
    ItemTensor,
    Restriction,
    SplitPlan,
    WholePlan,
)
from tf2spark.plan.score import ModelRef, OutputPlan
from tf2spark.recommend.arguments import Asked
from tf2spark.recommend.block_sizes import Sizing, sizing_of
from tf2spark.recommend.fed_constants import with_constants
from tf2spark.recommend.files import new_tree, referred, write_graph
from tf2spark.recommend.items import (
    id_order,
    id_type,
    in_order,
    item_error,
    write_columns,
    write_ids,
    write_values,
)
from tf2spark.recommend.pair_model import CatalogModel
from tf2spark.recommend.side_widths import Samples, SizedPart, sized
from tf2spark.recommend.sides import SidedInput
from tf2spark.recommend.split_model import computed_values, side_request, taken_apart
from tf2spark.recommend.table_checks import check_tables
from tf2spark.recommend.tables import Tables
from tf2spark.recommend.verify import Verified, verified, verified_whole
from tf2spark.recommend.whole_graph import WholeJob, whole_job, whole_tree
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.reachable_nodes import init_op

_SAMPLED_ROWS = 64
_USER_ROWS = 1024
_SCORE_FIELD = "score"


@frozen(eq=False)
class Prepared:
    """A plan that is ready to run, and what a person may want to know of it.

    Attributes:
        plan: What workers do.
        split: The graph as it was taken apart; None where it runs whole.
        sizing: Work and memory a pair, before and after.
        why_whole: Why it runs whole; None where it doesn't.
        verified: How far the scores are from those of the whole graph; None where nothing tells.
    """

    plan: CatalogPlan
    split: SplitGraph | None
    sizing: Sizing | None
    why_whole: str | None
    verified: Verified | None


@frozen(eq=False)
class _Job:
    """What every step is given."""

    model: CatalogModel
    inputs: tuple[SidedInput, ...]
    asked: Asked
    tables: Tables
    samples: Samples
    parent: Path


def prepare(
    model: CatalogModel,
    inputs: tuple[SidedInput, ...],
    asked: Asked,
    tables: Tables,
    parent: Path,
) -> Prepared:
    """Make the plan of a recommending job; the catalog's part of the work is done here.

    Args:
        model: The model that scores.
        inputs: Its inputs, each with what the sides feed to it.
        asked: The rest of the call.
        tables: Users and items.
        parent: Where the job's model goes, in a folder of its own.

    Raises:
        ContractError: Tables, model and arguments don't fit; an item's id is null or not its own.
        RowError: An item can't be scored.
    """
    check_tables(asked, tables)
    samples = {side: tables.sample(side, _SAMPLED_ROWS) for side in ("user", "item")}
    job = _Job(model, inputs, asked, tables, samples, parent)  # type: ignore[arg-type]
    try:
        return _split(job)
    except NotSplit as error:
        reason, row_wise = str(error), error.row_wise
    except NotRowWise as error:
        reason, row_wise = str(error), False
    return _whole(job, reason, row_wise)


# Taken apart.


def _split(job: _Job) -> Prepared:
    model = job.model
    if model.why_as_it_is is not None:
        raise NotRowWise(f"the model can't be compiled: {model.why_as_it_is}")
    meta_graph = type(model.meta_graph)()
    meta_graph.CopyFrom(model.meta_graph)
    score = model.score.tensors[0]
    remove_control_edges(meta_graph.graph_def, score, filter(None, [init_op(meta_graph)]))
    specified = with_constants(meta_graph.graph_def, model.specified(job.inputs))
    parts = [sized(one, job.tables.schemas, job.samples) for one in specified]
    tree = new_tree(model.folder, job.parent)
    write_graph(tree, meta_graph)
    taken = taken_apart(model, meta_graph, specified, parts, tree)
    write_graph(tree, meta_graph)
    reference = referred(tree, model.reference())
    items = _items(job, taken, parts, reference, tree)
    return _planned(job, taken, parts, items, tree)


@frozen(eq=False)
class _Items:
    tensors: tuple[ItemTensor, ...]
    count: int


def _items(
    job: _Job,
    taken: SplitGraph,
    parts: list[tuple[SizedPart, ...]],
    reference: ModelRef,
    tree: Path,
) -> _Items:
    name = job.asked.item_id
    if taken.items:
        request = side_request(taken, parts, "item", computed_values(taken.items))
        try:
            table = job.tables.scored_items(request, name, reference)
        except RowError as error:
            if any(part.pinned for each in parts for part in each if part.part.side == "item"):
                raise NotSplit(f"items have rows of different lengths ({error})") from None
            raise item_error(error) from None
    else:
        table = job.tables.items([name])
    ids, order = id_order(table.column(name), name)
    write_ids(tree, ids, id_type(job.tables.schemas["item"], name))
    return _Items(write_values(tree, table, order, taken.items), table.num_rows)


def _planned(
    job: _Job, taken: SplitGraph, parts: list[tuple[SizedPart, ...]], items: _Items, tree: Path
) -> Prepared:
    fallback = _fallback(job, parts, items.count, tree)
    reference = referred(tree, job.model.reference())
    sizing = sizing_of(taken, items.count, job.model)
    way = SplitPlan(
        tuple(value.tensor for value, _ in taken.users),
        tuple(placeholder for _, placeholder in taken.users),
        items.tensors,
        f"{USERS}:0",
        f"{ITEMS}:0",
        taken.score,
        items.count,
        sizing.block_users,
        sizing.block_items,
    )
    request = side_request(taken, parts, "user", ())
    plan = _catalog_plan(job, request, way, items.count, taken.score_dtype, reference)
    if fallback is not None:
        beside = (*plan.users.beside, *fallback.user_columns)
        plan = evolve(plan, fallback=fallback, users=evolve(plan.users, beside=beside))
    found = verified(job.model, job.inputs, job.tables.schemas, job.samples, plan, job.asked, tree)
    return Prepared(plan, taken, sizing, None, found)


def _fallback(
    job: _Job, parts: list[tuple[SizedPart, ...]], items: int, tree: Path
) -> WholePlan | None:
    """Put the whole graph beside the split one where users may come with rows of other sizes."""
    if not any(part.pinned for each in parts for part in each if part.part.side == "user"):
        return None
    inputs = job.model.specified(job.inputs)
    whole = whole_job(job.model, inputs, job.tables.schemas).for_items(items, row_wise=True)
    columns = dict.fromkeys([job.asked.item_id, *whole.item_columns])
    table = in_order(job.tables.items(list(columns)), job.asked.item_id)
    write_columns(tree, table, whole.item_columns)
    whole_tree(job.model, tree / WHOLE_FOLDER)
    return whole.way


def _catalog_plan(
    job: _Job,
    request: Request,
    way: Any,
    items: int,
    score: DType,
    reference: ModelRef,
) -> CatalogPlan:
    asked, users = job.asked, job.tables.schemas["user"]
    # Bound with a number in the place of the recommendations, whose type no tensor has.
    spec = TensorSpec(RECOMMENDATIONS, FLOAT32, (None,), ("",))
    request = evolve(
        request, outputs=(FetchedOutput(RECOMMENDATIONS, spec, Output(RECOMMENDATIONS)),)
    )
    plan = bind(request, users, asked.options, reference)
    kind = _result_type(id_type(job.tables.schemas["item"], asked.item_id), asked.item_id, score)
    output = OutputPlan(RECOMMENDATIONS, RECOMMENDATIONS, "", score, (), kind)
    lists = [
        name and Restriction(name, users.names.index(name))
        for name in (asked.exclude, asked.candidates)
    ]
    beside = [one.column for one in lists if one] + list(getattr(way, "user_columns", ()))
    plan = evolve(
        plan, outputs=(output,), batch_rows=_USER_ROWS, fixed_rows=None, beside=tuple(beside)
    )
    return CatalogPlan(plan, way, asked.k, items, score.code, lists[0] or None, lists[1] or None)


def _result_type(id_kind: pa.DataType, id_name: str, score: DType) -> pa.DataType:
    fields = [pa.field(id_name, id_kind), pa.field(_SCORE_FIELD, score.arrow)]
    return pa.list_(pa.struct(fields))


# Whole.


def _whole(job: _Job, reason: str, row_wise: bool) -> Prepared:
    name = job.asked.item_id
    inputs = job.model.specified(job.inputs)
    bound = whole_job(job.model, inputs, job.tables.schemas)
    columns = dict.fromkeys([name, *bound.item_columns])
    table = in_order(job.tables.items(list(columns)), name)
    done = bound.for_items(table.num_rows, row_wise=row_wise)
    tree = _whole_folder(job, done, table)
    reference = referred(tree, job.model.reference())
    score = score_dtype(job.model.score.dtype)
    plan = _catalog_plan(job, Request((), ()), done.way, table.num_rows, score, reference)
    verified_whole(plan, job.samples, tree)
    return Prepared(plan, None, None, reason, None)


def _whole_folder(job: _Job, done: WholeJob, table: pa.Table) -> Path:
    tree = new_tree(job.model.folder, job.parent)
    whole_tree(job.model, tree)
    name = job.asked.item_id
    write_ids(tree, table.column(name), id_type(job.tables.schemas["item"], name))
    write_columns(tree, table, done.item_columns)
    return tree
