"""The tables of a call, whatever kind of table they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pyarrow as pa

from tf2spark.binding.request import Request
from tf2spark.local.pandas_columns import table_to_arrow
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.tables import Tables
from tf2spark.table_types import is_spark


def schema_of(table: Any, paths: Collection[str]) -> pa.Schema:
    """Return the columns of a table as Arrow types; those of pandas only where a path reads them.

    Raises:
        ContractError: The values of a pandas column are not of one type, or of one without a
            tensor.
    """
    if is_spark(table):
        from tf2spark.spark.types import arrow_schema

        return arrow_schema(table.schema)
    return table_to_arrow(table, paths).schema


def recommend_tables(
    users: Any, items: Any, request: Request, arguments: RecommendArguments
) -> Tables:
    """Return the tables of a call of `recommend`.

    Raises:
        ContractError: One is a Spark DataFrame and the other isn't, or a column of a pandas
            DataFrame that is read can't be.
    """
    if is_spark(users) or is_spark(items):
        from tf2spark.spark.recommend.tables import SparkTables

        return SparkTables(users, items, resources=arguments.resources)
    from tf2spark.local.recommend import local_tables

    return local_tables(users, items, request, arguments)
