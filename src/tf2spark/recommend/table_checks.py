"""Users, items and arguments held against each other before anything is computed."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.messages import did_you_mean, type_text
from tf2spark.errors import ContractError
from tf2spark.recommend.arguments import Asked
from tf2spark.recommend.items import check_id, id_type
from tf2spark.recommend.tables import Tables


def check_tables(asked: Asked, tables: Tables) -> None:
    """Make sure that the columns that a call names are there, and of types that fit.

    Raises:
        ContractError: One isn't.
    """
    id_type(tables.schemas["item"], asked.item_id)
    users = tables.schemas["user"]
    check_id(users, asked.user_id, "user_id", "the users")
    for argument, name in (("exclude", asked.exclude), ("candidates", asked.candidates)):
        if name is not None:
            _check_list(argument, name, users, tables.schemas["item"].field(asked.item_id).type)


def _check_list(argument: str, name: str, users: pa.Schema, kind: pa.DataType) -> None:
    if name not in users.names:
        near = did_you_mean(name, users.names, label="column")
        raise ContractError(f'{argument}: the users have no column "{name}"; {near}')
    own = users.field(name).type
    inner = own.value_type if pa.types.is_list(own) or pa.types.is_large_list(own) else None
    same = inner is not None and (
        pa.types.is_null(inner)
        or (pa.types.is_integer(inner) and pa.types.is_integer(kind))
        or (not pa.types.is_integer(kind) and pa.types.is_string(inner))
    )
    if not same:
        raise ContractError(
            f'{argument}: column "{name}" of the users is {type_text(own)}; it takes lists of item '
            f"ids, which are {type_text(kind)}"
        )
