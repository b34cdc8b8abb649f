"""The checks of a whole call: all of its mistakes come in one message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from tf2spark.binding.bind import bind_inputs, declared_outputs
from tf2spark.binding.feeds import Column, FeedValue, Fetch, columns_of
from tf2spark.binding.graph.graph_lookup import is_wrong_signature
from tf2spark.binding.make_request import choose_signature
from tf2spark.binding.messages import near_names
from tf2spark.binding.normalize import normalize_feeds
from tf2spark.binding.options import Options, make_options, options_for_table
from tf2spark.binding.request import FedInput, Request
from tf2spark.binding.tf_example.plan import with_keys
from tf2spark.errors import ContractError, Mistakes, shortened
from tf2spark.plan.score import ModelRef
from tf2spark.saved_model.contract import Contract
from tf2spark.table_types import is_a, is_spark


def check_call(
    make_request: Callable[..., Request],
    contract: Contract,
    asked: tuple[str | None, Mapping[str, FeedValue] | None, Fetch | None],
    schema_of: Callable[[Sequence[str]], pa.Schema],
    given: Mapping[str, Any],
) -> tuple[Request, Options]:
    """Check the arguments of a call, and its table as well if some are wrong.

    So all mistakes are reported together; `bind` checks the table of a call without mistakes.

    Args:
        make_request: Returns the request for what was asked and the `batch_rows` that were given.
        contract: The model's contract.
        asked: The signature, the feed and the fetch.
        schema_of: Returns the table's columns as Arrow types, for the paths that are read.
        given: The arguments of `make_options`.

    Raises:
        ContractError: There are mistakes, all of which it lists.
        UnsafeModelError: The outputs depend on an op that isn't allowed.
    """
    mistakes, request, options = Mistakes(), None, None
    with mistakes.collected():
        options = make_options(**given)
    with mistakes.collected():
        try:
            request = make_request(*asked, given["batch_rows"])
        except ContractError as error:
            # Columns that don't fit a wrong signature may be right.
            request = Request((), ()) if is_wrong_signature(error) else None
            raise
    if options and request and not mistakes:
        return request, options
    request = request or _valid_inputs(contract, *asked[:2])
    options = options or options_for_table(**given)
    with mistakes.collected():
        bind_inputs(request, schema_of(request.paths), options, ModelRef("", (), ""))
    raise mistakes.error()


def check_column_call(
    make_request: Callable[[Options], Request],
    registered: tuple[Any, Any] | None = None,
    **given: Any,
) -> tuple[Request, Options]:
    """Check the arguments of a column function.

    Args:
        make_request: Returns the request of a call with these options.
        registered: The session and the name of a SQL function; None for a `udf`.
        given: The arguments of `make_options`, as far as column functions have them.

    Raises:
        ContractError: There are mistakes, all of which it lists.
        UnsafeModelError: The outputs depend on an op that isn't allowed.
    """
    mistakes, options = Mistakes(), options_for_table(**given)
    with mistakes.collected():
        if registered is not None:
            _check_registration(*registered)
    with mistakes.collected():
        options = make_options(**given, keep=(), columnwise=True, audience="udf")
    with mistakes.collected():
        request = make_request(options)
        declared_outputs(request, options)
    mistakes.raise_all()
    return request, options


def _check_registration(spark: Any, name: Any) -> None:
    """Check the session and the name of a SQL function.

    Raises:
        ContractError: `spark` isn't a session, or `name` is no name of a temporary function.
    """
    if not is_a(spark, "pyspark.sql", "SparkSession"):
        advice = 'write model.register(spark, "NAME")'
        if is_spark(spark):
            advice = "write model.register(df.sparkSession, ...)"
        elif is_a(name, "pyspark.sql", "SparkSession"):
            advice = f"the session comes first: model.register(spark, {shortened(spark)})"
        raise ContractError(
            f"register() takes the Spark session first, not {type(spark).__name__}", advice
        )
    if not isinstance(name, str) or not name.strip():
        raise ContractError(
            f"name must be the name of a SQL function, not {shortened(name)}",
            'write model.register(spark, "NAME")',
        )
    if "." in name:
        short = name.rpartition(".")[2] or "NAME"
        raise ContractError(
            f'"{name}" has a dot, and a function of a session belongs to no database',
            f'write model.register(spark, "{short}")',
        )


def _valid_inputs(
    contract: Contract, signature: str | None, feed: Mapping[str, FeedValue] | None
) -> Request:
    """Return the inputs of a wrong call whose columns are right or wrong whatever was meant.

    Those are inputs that the feed names, and inputs with a column of their name, unless a name of
    the feed that is unknown may be theirs.
    """
    inputs: list[FedInput] = []
    with suppress(ContractError):
        feeds = normalize_feeds(feed) or {}
        chosen = choose_signature(contract, signature)
        specs = {spec.name: spec for spec in chosen.inputs} if chosen else {}
        unknown = {name: fed for name, fed in feeds.items() if name not in specs}
        meant = {near for name in unknown for near in near_names(name, specs)}
        meant |= {column.path for fed in unknown.values() for column in columns_of(fed)}
        for name, spec in specs.items():
            if name in feeds:
                inputs.append(FedInput(spec, with_keys(spec, feeds[name])))
            elif name not in meant and spec.shape != ():
                inputs.append(FedInput(spec, Column(name), by_name=True, optional=True))
    return Request(tuple(inputs), ())
