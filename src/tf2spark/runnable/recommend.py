"""`recommend` on a model that was read: the request, the compiled model, the prepared job."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from tf2spark.binding.feeds import Constant, FeedValue
from tf2spark.binding.request import Request
from tf2spark.locations.fetch import fetch_to_this_machine
from tf2spark.locations.optional_imports import compiler_module
from tf2spark.locations.tables import recommend_tables
from tf2spark.package.staging import staging_folder
from tf2spark.recommend.arguments import RecommendArguments, choose_ranking_output
from tf2spark.recommend.job_folder import new_job_folder, remove_job_folder
from tf2spark.recommend.model.compile_model import PairRequest, compile_pair_model
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.prepare import prepare as prepare_job
from tf2spark.recommend.table_checks import checked_sides
from tf2spark.runnable.model import RunnableModel
from tf2spark.table_types import Table, TableT, is_spark


def ranking_request(
    model: RunnableModel,
    feed: Mapping[str, FeedValue] | None,
    score: str | None,
    signature: str | None,
) -> Request:
    """Return the request of a call of `recommend`.

    Args:
        model: The model.
        feed: What feeds which input.
        score: The output to rank by, as the user named it.
        signature: The signature, as the user named it.
    """
    ranking = choose_ranking_output(model.contract, signature, score)
    return model.request(signature, feed, {"score": ranking.name})


def recommend(
    model: RunnableModel,
    users: TableT,
    items: Table,
    request: Request,
    arguments: RecommendArguments,
    score: str | None,
    signature: str | None,
) -> TableT:
    """Return the users with their recommendations; see `SavedModel.recommend`."""
    tables: tuple[Any, Any] = (users, items)
    call = *tables, request, arguments, score, signature
    ready = partial(prepare, model, *call, pack_users=True)
    recommended: Any
    if is_spark(users):
        from tf2spark.spark.late_binding.recommendations import recommend_any

        compiled = partial(pair_model, model, request, score, signature)
        recommended = recommend_any(*tables, request, arguments, ready, compiled)
    else:
        from tf2spark.local.recommend import recommend_table

        prepared = ready()
        try:
            recommended = recommend_table(users, prepared)
        finally:
            remove_job_folder(prepared.folder)
    return cast(TableT, recommended)


def prepare(
    model: RunnableModel,
    users: Table,
    items: Table,
    request: Request,
    arguments: RecommendArguments,
    score: str | None,
    signature: str | None,
    *,
    pack_users: bool = False,
) -> Prepared:
    """Return `recommend` ready to run, with the item side computed; see `explain`.

    Args:
        model: The model.
        users: The users.
        items: The items.
        request: What `ranking_request` returned.
        arguments: The other arguments of the call.
        score: As in `ranking_request`.
        signature: As in `ranking_request`.
        pack_users: These very users will be scored, and not only a plan be shown.
    """
    tables = recommend_tables(users, items, request, arguments)
    inputs = checked_sides(request, arguments, tables)
    # While the model is compiled.
    tables = tables.begin_reading(inputs, arguments, pack_users=pack_users)
    compiled = pair_model(model, request, score, signature)
    with new_job_folder(staging_folder()) as folder:
        return prepare_job(compiled, inputs, arguments, tables, folder)


def pair_model(
    model: RunnableModel, request: Request, score: str | None, signature: str | None
) -> PairModel:
    """Compile for `recommend`, once for equal requests; the last few are kept."""
    column = choose_ranking_output(model.contract, signature, score).column
    copy_strings = model.runs.check_request(request).retains_strings
    libraries = model.op_libraries, model.custom_ops
    constants = [fed for fed in request.inputs if isinstance(fed.feed, Constant)]
    return model.pair_models.get(
        lambda *_: compile_pair_model(
            fetch_to_this_machine(model.reference()),
            model.loaded,
            PairRequest(request, signature, column, copy_strings, *libraries),
            staging_folder(),
            compiler_module,
        ),
        signature,
        column,
        request.outputs,
        constants,
    )
