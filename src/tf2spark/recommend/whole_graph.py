"""The plan of a model that stays whole: one user against all items a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.bind import bind
from tf2spark.binding.feeds import Output
from tf2spark.binding.options import Options
from tf2spark.binding.outputs import plan_output
from tf2spark.binding.request import FetchedOutput, Request
from tf2spark.plan.recommend import WholePlan
from tf2spark.plan.score import Plan
from tf2spark.recommend.pair_model import CatalogModel
from tf2spark.recommend.sides import Schemas, SidedInput

_SCORE = "score"
_ROWS_A_RUN = 1 << 14


@frozen
class WholeJob:
    """A plan, and the item columns that it feeds."""

    way: WholePlan
    item_columns: tuple[str, ...]

    def for_items(self, count: int, *, row_wise: bool) -> WholeJob:
        """Return it for so many items: all in a run, unless rows are known to be treated apart."""
        items_a_run = min(count, _ROWS_A_RUN) if row_wise else count
        return evolve(self, way=evolve(self.way, items_a_run=max(1, items_a_run)))


def whole_job(
    model: CatalogModel,
    inputs: tuple[SidedInput, ...],
    schemas: Schemas,
) -> WholeJob:
    """Bind pairs of users and items, side by side in one table, to the whole graph.

    It runs one item at a time until it is told how many there are (`WholeJob.for_items`).

    Raises:
        ContractError: Tables and model don't fit.
    """
    users, catalog = schemas["user"], schemas["item"]
    request = _request(model, inputs)
    plan = _bound(model, request, _joint(users, users.names, catalog, catalog.names))
    used = {source.column for one in plan.inputs for source in one.sources}
    ours = tuple(place for place in range(len(users)) if place in used)
    theirs = tuple(place for place in range(len(catalog)) if len(users) + place in used)
    user_names = [users.names[place] for place in ours]
    item_names = tuple(catalog.names[place] for place in theirs)
    plan = _bound(model, request, _joint(users, user_names, catalog, item_names))
    way = WholePlan(
        plan.inputs,
        ours,
        tuple(f"user:{name}" for name in user_names),
        plan.outputs[0],
        model.column,
        plan.fixed_rows,
        1,
    )
    return WholeJob(way, item_names)


def _request(model: CatalogModel, inputs: tuple[SidedInput, ...]) -> Request:
    score = FetchedOutput(_SCORE, model.score, Output(model.score.name))
    return Request(tuple(one.fed for one in inputs), (score,))


def _joint(
    users: pa.Schema, user_names: list[str], items: pa.Schema, item_names: tuple[str, ...]
) -> pa.Schema:
    fields = [users.field(name).with_name(f"user:{name}") for name in user_names]
    return pa.schema([*fields, *(items.field(n).with_name(f"item:{n}") for n in item_names)])


def _bound(model: CatalogModel, request: Request, schema: pa.Schema) -> Plan:
    # Checked here, so that a score that is no column is refused with its own words.
    plan_output(_SCORE, model.score)
    inputs = tuple(evolve(one, by_name=False) for one in request.inputs)
    return bind(evolve(request, inputs=inputs), schema, Options(keep=()), model.reference())


def whole_tree(model: CatalogModel, tree: Path) -> None:
    """Lay the model out in a folder, as it is; its weights are elsewhere."""
    tree.mkdir(exist_ok=True)
    for name in ("saved_model.pb", "variables", "assets"):
        source = model.folder / name
        if source.is_dir():
            shutil.copytree(source, tree / name, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copyfile(source, tree / name)
