"""The plan of a model that runs whole: pairs of one user and the items, in one batch."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.bind import bind, bind_inputs
from tf2spark.binding.feeds import Output
from tf2spark.binding.options import Options
from tf2spark.binding.outputs import plan_output
from tf2spark.binding.request import FedInput, FetchedOutput, Request
from tf2spark.plan.recommend import WholePlan
from tf2spark.plan.score import InputPlan, Plan
from tf2spark.recommend.job import RecommendJob
from tf2spark.recommend.model.pair_model import PairModel

_SCORE = "score"
_MAX_ROWS = 1 << 14
"""Pairs per run, where a pair's score is known not to depend on the other pairs of its run."""


@frozen
class WholeGraph:
    """The whole graph, bound to pairs.

    Attributes:
        plan: How a batch of pairs is scored: the users' columns first, then the items'.
        user_columns: The indices of the users' columns that it reads.
        user_names: Their names in a batch of pairs.
        item_columns: The items' columns that it reads, as the items' table names them.
        score_column: Which entry of an output row is the score; None where there is only one.
    """

    plan: Plan
    user_columns: tuple[int, ...]
    user_names: tuple[str, ...]
    item_columns: tuple[str, ...]
    score_column: int | None

    def strategy(self, items: int, *, row_wise: bool) -> WholePlan:
        """Return the worker's plan for this many items.

        All pairs of a user share one run, unless the graph is known to treat rows independently.
        """
        rows_per_run = min(items, _MAX_ROWS) if row_wise else items
        return WholePlan(
            self.plan.inputs,
            self.user_columns,
            self.user_names,
            self.plan.outputs[0],
            self.score_column,
            self.plan.fixed_rows,
            max(1, rows_per_run),
        )


def bind_whole_graph(job: RecommendJob) -> WholeGraph:
    """Bind pairs, the columns of users and items in one table, to the whole graph.

    Raises:
        ContractError: Tables and model don't fit.
    """
    users, items = job.schemas["user"], job.schemas["item"]
    # Bound twice: first to learn which columns are read, then to these columns alone.
    plan = _bind_pairs(job, users, items)
    read = {source.column for input_plan in plan.inputs for source in input_plan.sources}
    user_columns = tuple(index for index in range(len(users)) if index in read)
    read_users = [users.field(index) for index in user_columns]
    read_items = [field for index, field in enumerate(items, len(users)) if index in read]
    return WholeGraph(
        _bind_pairs(job, read_users, read_items),
        user_columns,
        tuple(f"user:{field.name}" for field in read_users),
        tuple(field.name for field in read_items),
        job.model.column,
    )


def _bind_pairs(job: RecommendJob, users: Iterable[pa.Field], items: Iterable[pa.Field]) -> Plan:
    """Bind a table of pairs that has these columns of users and items."""
    model = job.model
    # Checked first, so that a score that can't be a column is refused with its own message.
    plan_output(_SCORE, model.score)
    score = FetchedOutput(_SCORE, model.score, Output(model.score.name))
    request, schema = Request(_inputs(job), (score,)), _pairs(users, items)
    return bind(request, schema, Options(keep=()), model.reference())


def bind_pair_inputs(job: RecommendJob) -> tuple[InputPlan, ...]:
    """Bind pairs of all columns of users and items to the inputs alone.

    Raises:
        ContractError: They don't fit.
    """
    schema = _pairs(job.schemas["user"], job.schemas["item"])
    request = Request(_inputs(job), ())
    return bind_inputs(request, schema, Options(keep=()), job.model.reference()).inputs


def _inputs(job: RecommendJob) -> tuple[FedInput, ...]:
    return tuple(evolve(sided_input.fed, by_name=False) for sided_input in job.inputs)


def _pairs(users: Iterable[pa.Field], items: Iterable[pa.Field]) -> pa.Schema:
    named = {"user": users, "item": items}
    return pa.schema(
        [
            field.with_name(f"{side}:{field.name}")
            for side, fields in named.items()
            for field in fields
        ]
    )


def copy_model(model: PairModel, tree: Path) -> None:
    """Copy the model's graph, variables and assets into a folder; its weights stay elsewhere."""
    tree.mkdir(exist_ok=True)
    for name in ("saved_model.pb", "variables", "assets"):
        source = model.folder / name
        if source.is_dir():
            shutil.copytree(source, tree / name, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copyfile(source, tree / name)
