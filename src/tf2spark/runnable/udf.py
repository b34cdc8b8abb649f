"""Column functions of a model that was read: what `udf` and `register` make of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tf2spark.binding.bind import with_declared_ranks
from tf2spark.binding.feeds import FeedValue, Fetch
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.locations.optional_imports import need_pyspark
from tf2spark.plan.score import ModelRef
from tf2spark.runnable.model import RunnableModel
from tf2spark.runnable.score import with_row_relation


def column_call(
    model: RunnableModel,
    check: Callable[[Callable[[Options], Request]], tuple[Request, Options]],
    signature: str | None,
    feed: Mapping[str, FeedValue] | None,
    fetch: Fetch | None,
) -> tuple[Request, Options, ModelRef]:
    """Check the arguments of a column function; return what runs, how, and in which model.

    Args:
        model: The model.
        check: Checks the other arguments, and the request that the given function makes.
        signature: As in `RunnableModel.request`; so are the arguments below.
        feed: What feeds which input.
        fetch: Which outputs become columns.
    """
    request, options = check(partial(_request, model, signature, feed, fetch))
    options = with_row_relation(model, request, options, on_spark=True)
    need_pyspark()
    return request, options, model.reference_for(request)


def _request(
    model: RunnableModel,
    signature: str | None,
    feed: Mapping[str, FeedValue] | None,
    fetch: Fetch | None,
    options: Options,
) -> Request:
    request = model.request(signature, feed, fetch, options.batch_rows)
    return with_declared_ranks(request, options, model.runs.shapes)
