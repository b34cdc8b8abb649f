"""Checks users, items and arguments against each other before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.bind import bind_inputs
from tf2spark.binding.columns import has_column
from tf2spark.binding.feeds import Constant
from tf2spark.binding.inputs import plan_input
from tf2spark.binding.messages import did_you_mean, listed, type_text
from tf2spark.binding.request import Request
from tf2spark.errors import Advice, ContractError, Mistakes, Tf2SparkError
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.arguments import RecommendArguments, make_arguments
from tf2spark.recommend.catalog.items import id_column_type, item_id_type
from tf2spark.recommend.sides import Schemas, SidedInput, assign_sides
from tf2spark.recommend.tables import Tables


def check_call(
    given: tuple[Any, ...],
    make_request: Callable[[], Request],
    tables_of: Callable[[Request, RecommendArguments], Tables],
) -> tuple[Request, RecommendArguments]:
    """Return the request and the arguments of a call; if some are wrong, check its tables as well.

    So all mistakes are reported together; `checked_sides` checks the tables of a call without
    mistakes.

    Args:
        given: The arguments of `make_arguments`.
        make_request: Returns the request.
        tables_of: Returns the tables, for what is read of them.

    Raises:
        ContractError: There are mistakes, all of which it lists.
        UnsafeModelError: The output depends on an op that isn't allowed.
    """
    mistakes, requests, arguments = Mistakes(), list[Request](), list[RecommendArguments]()
    with mistakes.collected():
        arguments.append(make_arguments(*given))
    with mistakes.collected():
        requests.append(make_request())
    if arguments and requests:
        return requests[0], arguments[0]
    if not arguments:
        with suppress(ContractError):  # it was collected before
            _, user_id, item_id, exclude, candidates, keep, *_ = given
            arguments.append(
                make_arguments(1, user_id, item_id, exclude, candidates, keep, "failfast")
            )
    for known in arguments:
        request = requests[0] if requests else Request((), ())
        with mistakes.collected():
            tables = tables_of(request, known)
            sides = checked_sides(request, known, tables)
            _wrong_columns(sides, tables.schemas).raise_all()
    raise mistakes.error()


def checked_sides(
    request: Request, arguments: RecommendArguments, tables: Tables
) -> tuple[SidedInput, ...]:
    """Return which side feeds what, once all columns that a call names are checked.

    Raises:
        ContractError: The tables don't fit; it lists all that is wrong.
    """
    schemas = tables.schemas
    check_not_swapped(request, arguments, schemas)
    mistakes, sides = Mistakes(), tuple[SidedInput, ...]()
    with mistakes.collected():
        sides = assign_sides(request, schemas)
    with mistakes.collected():
        check_tables(arguments, tables)
    with mistakes.collected():
        _check_kept(arguments, schemas["user"])
    mistakes.raise_all()
    return sides


@contextmanager
def other_sides_columns(inputs: Sequence[SidedInput], schemas: Schemas) -> Iterator[None]:
    """Name the wrong columns of both sides where those of one are refused.

    The sides are bound one after the other.

    Raises:
        ContractError: It was raised, and the other side has more such columns: it lists all.
    """
    try:
        yield
    except ContractError as error:
        mistakes = _wrong_columns(inputs, schemas)
        both = mistakes.error() if mistakes else error
        if _texts(error) < _texts(both):
            raise both from None
        raise


def _wrong_columns(inputs: Sequence[SidedInput], schemas: Schemas) -> Mistakes:
    """Return what is wrong with the columns that feed an input alone."""
    mistakes = Mistakes()
    for sided in inputs:
        for side, feed in ((each.side, each.feed) for each in sided.feeds):
            if len(sided.feeds) == 1 and not isinstance(feed, Constant):
                with mistakes.collected():
                    plan_input(sided.fed.spec, feed, schemas[side])
    return mistakes


def _texts(error: Tf2SparkError) -> set[str]:
    return {each.text_for("python") for each in error.mistakes or (error,)}


def _check_kept(arguments: RecommendArguments, users: pa.Schema) -> None:
    # The id has a message of its own.
    kept = [name for name in arguments.options.keep or () if name != arguments.user_id]
    options = evolve(arguments.options, keep=tuple(kept), id_columns=None)
    bind_inputs(Request((), ()), users, options, ModelRef("", (), ""))


def check_not_swapped(request: Request, arguments: RecommendArguments, schemas: Schemas) -> None:
    """Check that users and items haven't taken each other's place.

    Raises:
        ContractError: A table lacks columns that a call names, and if the tables were exchanged,
            both would have all of them.
    """
    paths = request.paths
    prefixed = {
        side: [path.removeprefix(side) for path in paths if path.startswith(side)]
        for side in ("user:", "item:")
    }
    lists = [name for name in (arguments.exclude, arguments.candidates) if name is not None]
    user_columns = [arguments.user_id, *(arguments.options.keep or ()), *lists, *prefixed["user:"]]
    item_columns = [arguments.item_id, *prefixed["item:"]]
    users, items = schemas["user"], schemas["item"]
    missing = _missing(user_columns, users), _missing(item_columns, items)
    if not any(missing) or _missing(user_columns, items) or _missing(item_columns, users):
        return
    lacking = [
        f"the {name} have no {listed(columns)}, but the {other} do"
        for name, other, columns in zip(
            ("users", "items"), ("items", "users"), missing, strict=True
        )
        if columns
    ]
    raise ContractError(
        f"the tables look swapped: {', and '.join(lacking)}",
        Advice(
            "write recommend(items=..., users=...) with each table under its own name",
            "exchange the tables of --users and --items",
        ),
    )


def _missing(columns: list[str], schema: pa.Schema) -> list[str]:
    return [column for column in dict.fromkeys(columns) if not has_column(schema.names, column)]


def check_tables(arguments: RecommendArguments, tables: Tables) -> None:
    """Check that the columns that a call names exist, and that their types fit.

    Raises:
        ContractError: A column is missing or of a type that doesn't fit.
    """
    users, items = tables.schemas["user"], tables.schemas["item"]
    mistakes, id_type = Mistakes(), None
    with mistakes.collected():
        id_type = item_id_type(items, arguments.item_id)
    with mistakes.collected():
        id_column_type(users, arguments.user_id, "user_id", "the users")
    for argument in ("exclude", "candidates"):
        name: str | None = getattr(arguments, argument)
        if name is not None:
            with mistakes.collected():
                _check_list(argument, name, users, id_type)
    mistakes.raise_all()


def _check_list(argument: str, name: str, users: pa.Schema, id_type: pa.DataType | None) -> None:
    """Check that a column of users has lists of item ids, whose type may not be known."""
    if name not in users.names:
        near = did_you_mean(name, users.names, label="column")
        raise ContractError(f'{argument}: the users have no column "{name}"', near)
    if (count := users.names.count(name)) > 1:
        raise ContractError(
            f'{argument}: the users have {count} columns "{name}"', "rename all but one"
        )
    column_type = users.field(name).type
    if id_type is not None and not _has_lists_of(column_type, id_type):
        raise ContractError(
            f'{argument}: column "{name}" of the users is {type_text(column_type)}, but must have '
            f"lists of item ids, which are {type_text(id_type)}"
        )


def _has_lists_of(column_type: pa.DataType, id_type: pa.DataType) -> bool:
    types = pa.types
    if not (types.is_list(column_type) or types.is_large_list(column_type)):
        return False
    listed = column_type.value_type
    if types.is_null(listed):
        return True
    is_same_kind = types.is_integer if types.is_integer(id_type) else types.is_string
    return bool(is_same_kind(listed))
