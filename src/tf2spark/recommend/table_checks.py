"""Checks users, items and arguments against each other before anything is computed."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.columns import has_column
from tf2spark.binding.messages import did_you_mean, listed, type_text
from tf2spark.binding.request import Request
from tf2spark.errors import Advice, ContractError
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.items import id_column_type, item_id_type
from tf2spark.recommend.sides import Schemas
from tf2spark.recommend.tables import Tables


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
    id_type = item_id_type(items, arguments.item_id)
    id_column_type(users, arguments.user_id, "user_id", "the users")
    for argument in ("exclude", "candidates"):
        name: str | None = getattr(arguments, argument)
        if name is not None:
            _check_list(argument, name, users, id_type)


def _check_list(argument: str, name: str, users: pa.Schema, id_type: pa.DataType) -> None:
    """Check that a column of users has lists of item ids."""
    if name not in users.names:
        near = did_you_mean(name, users.names, label="column")
        raise ContractError(f'{argument}: the users have no column "{name}"', near)
    column_type = users.field(name).type
    if not _has_lists_of(column_type, id_type):
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
