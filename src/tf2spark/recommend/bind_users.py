"""Binds the users' table: the plan of a job, whose one output is the recommendations."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.bind import bind_inputs, with_outputs
from tf2spark.binding.request import Request
from tf2spark.dtypes import DType
from tf2spark.errors import ContractError, argument
from tf2spark.plan.recommend import (
    RECOMMENDATIONS,
    SCORE_FIELD,
    CatalogPlan,
    Restriction,
    Strategy,
    WholePlan,
)
from tf2spark.plan.score import ModelRef, OutputPlan, Plan
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.catalog.items import item_id_type
from tf2spark.recommend.job import RecommendJob
from tf2spark.recommend.sides import Schemas

_USER_ROWS = 1024
"""Users per run of the users' part of the graph."""
_NO_INPUTS, _NO_MODEL = Request((), ()), ModelRef("", (), "")


def bind_users(
    job: RecommendJob,
    request: Request,
    model: ModelRef,
    strategy: Strategy,
    items: int,
    score: DType,
    fallback: WholePlan | None = None,
) -> CatalogPlan:
    """Return the plan of a job.

    Args:
        job: The call.
        request: What users feed to the split graph; no inputs where the whole graph runs.
        model: The model that workers open, the catalog's files among its own.
        strategy: How scores are computed.
        items: The number of items.
        score: The dtype of scores.
        fallback: How users are scored whose rows the split graph can't be fed.

    Raises:
        ContractError: The users' table doesn't fit.
    """
    arguments, users = job.arguments, job.schemas["user"]
    plan = bind_result(arguments, job.schemas, score, request, model)
    exclude, candidates = (
        None if name is None else Restriction(name, users.names.index(name))
        for name in (arguments.exclude, arguments.candidates)
    )
    extra_columns = [lists.column for lists in (exclude, candidates) if lists is not None]
    for whole in (strategy, fallback):
        if isinstance(whole, WholePlan):
            extra_columns += whole.user_columns
    plan = evolve(plan, batch_rows=_USER_ROWS, fixed_rows=None, extra_columns=tuple(extra_columns))
    return CatalogPlan(
        plan, strategy, arguments.k, items, score.code, exclude, candidates, fallback
    )


def bind_result(
    arguments: RecommendArguments,
    schemas: Schemas,
    score: DType,
    request: Request = _NO_INPUTS,
    model: ModelRef = _NO_MODEL,
) -> Plan:
    """Return the plan of the users' columns and of the recommendations beside them.

    Its `keep` and `output_fields` are the columns of the result, whatever the request and the model
    are.

    Raises:
        ContractError: The users lack a column, or two of the result would have the same name.
    """
    users = schemas["user"]
    plan = bind_inputs(request, users, arguments.options, model)
    _refuse_taken_name(users.names[index] for index in plan.keep)
    return with_outputs(plan, users, (_output(arguments, schemas, score),))


def _refuse_taken_name(kept: Iterator[str]) -> None:
    for name in kept:
        if name.casefold() == RECOMMENDATIONS:
            raise ContractError(
                f'the result has a column "{RECOMMENDATIONS}", and "{name}" of the users is kept',
                "rename it, or leave it out of " + argument("keep"),
            )


def _output(arguments: RecommendArguments, schemas: Schemas, score: DType) -> OutputPlan:
    """Return the column of recommendations: lists of structs of item id and score."""
    item_id = arguments.item_id
    id_type = item_id_type(schemas["item"], item_id)
    fields = [pa.field(item_id, id_type), pa.field(SCORE_FIELD, score.arrow)]
    column_type = pa.list_(pa.struct(fields))
    return OutputPlan(RECOMMENDATIONS, RECOMMENDATIONS, (), score, (), column_type)
