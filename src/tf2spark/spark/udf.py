"""`udf` and `register`: a model as a Column expression and as a SQL function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
from attrs import evolve
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from tf2spark.binding.advice.expressions import sql_name
from tf2spark.binding.bind import declared_outputs
from tf2spark.binding.feeds import Column as ColumnFeed
from tf2spark.binding.feeds import columns_of
from tf2spark.binding.options import Options
from tf2spark.binding.request import FedInput, Request
from tf2spark.binding.type_rules import spark_name
from tf2spark.errors import ContractError
from tf2spark.plan.score import ModelRef
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.spark.arrow_udfs import arrow_udf_of, pandas_udf_of
from tf2spark.spark.late_binding.column_functions import late_column_scorer
from tf2spark.spark.memory_limit import check_worker_memory
from tf2spark.spark.resources import task_cpus
from tf2spark.spark.session import current_session
from tf2spark.spark.shipping import ship
from tf2spark.spark.types import spark_type
from tf2spark.table_types import is_a, is_arrow, is_pandas, is_spark
from tf2spark.worker.spark_tasks import taken_columns


def argument_names(request: Request) -> tuple[str, ...]:
    """Return the columns that the inputs read, in the order of the inputs: a udf's arguments."""
    names = (
        _argument(fed, column.path)
        for fed in request.inputs
        if not fed.optional
        for column in columns_of(fed.feed)
    )
    return tuple(dict.fromkeys(names))


def _argument(fed: FedInput, path: str) -> str:
    # The name of an input may have dots; in a feed, they lead to fields of an argument.
    return path if fed.by_name else path.partition(".")[0]


def make_udf(request: Request, options: Options, model: ModelRef) -> Callable[..., Column]:
    """Return the function from columns to a column of scores.

    It takes the columns in the order of `argument_names`, or by those names. Text is read as
    PySpark reads it: ``user.age`` is a field, and a column whose own name has a dot is written in
    backquotes. One output gives a column of its type, several give a struct.

    Raises:
        ContractError: No input is fed from a column; or, by the function, the columns of the call
            aren't those that the model takes.
    """
    names = argument_names(request)
    if not names:
        raise ContractError("a udf needs at least one input that is fed from a column")
    function = _function(request, options, model, names, current_session())

    def score(*columns: Column | str, **by_name: Column | str) -> Column:
        arguments = [
            F.col(argument) if isinstance(argument, str) else argument
            for argument in _arguments(names, columns, by_name)
        ]
        _check_columns(names, arguments)
        scores: Column = function(*arguments)
        return scores

    return score


def _check_columns(names: tuple[str, ...], arguments: Iterable[Any]) -> None:
    """Check that the arguments of a call are columns.

    Raises:
        ContractError: One is a number or a table, say, which PySpark would call a wrong type.
    """
    for name, argument in zip(names, arguments, strict=True):
        if isinstance(argument, str) or is_a(argument, "pyspark.sql", "Column"):
            continue
        advice: str = f'write the name of a column or a Column, as in udf(F.col("{name}"))'
        if isinstance(argument, bool | int | float):
            advice = f'write F.lit({argument!r}), or model.udf(feed={{"{name}": {argument!r}}})'
        elif is_spark(argument) or is_pandas(argument) or is_arrow(argument):
            advice = "write model.score(table): a udf is for columns, in df.select or df.withColumn"
        elif isinstance(argument, list | tuple):
            advice = "write its columns one by one: udf(*columns)"
        kind = type(argument).__name__
        raise ContractError(f'the column "{name}" of the call is {kind}, not a column', advice)


def register(
    spark: SparkSession, name: str, request: Request, options: Options, model: ModelRef
) -> None:
    """Make the model a SQL function of this session: ``SELECT name(features) FROM t``."""
    options = evolve(options, audience="sql")
    call = call_text(name, request, options)
    names = argument_names(request)
    spark.udf.register(name, _function(request, options, model, names, spark, call))


def call_text(name: str, request: Request, options: Options) -> str:
    """Write a call of a SQL function with the types that the model gives its arguments.

    That is ``ctr(user BIGINT, tags)`` where `tags` may have one of several types.
    """
    types: dict[str, set[str]] = {argument: set() for argument in argument_names(request)}
    for fed in request.inputs:
        if fed.optional:
            continue
        for column in columns_of(fed.feed):
            argument = _argument(fed, column.path)
            is_alone = argument == column.path and isinstance(fed.feed, ColumnFeed)
            types[argument].add(_sql_type(fed.spec, options) if is_alone else "")
    arguments = (
        " ".join(filter(None, [sql_name(argument), *(kinds if len(kinds) == 1 else ())]))
        for argument, kinds in types.items()
    )
    return f"{sql_name(name)}({', '.join(arguments)})"


def _sql_type(spec: TensorSpec, options: Options) -> str:
    """Return the SQL type of a column that feeds an input, empty where it may have several."""
    leaf = spark_name(spec.dtype)
    # Row by row, a model's first dimension may be the batch or the row's own.
    if leaf is None or spec.kind == "sparse" or not spec.shape or options.batch_rows == 1:
        return ""
    dims = spec.shape[1:]
    depth = 0 if dims == (1,) else len(dims)
    return "ARRAY<" * depth + leaf.upper() + ">" * depth


def _function(
    request: Request,
    options: Options,
    model: ModelRef,
    names: tuple[str, ...],
    spark: SparkSession | None,
    call: str = "",
) -> Any:
    """Return a udf whose value is that of its only output, or a struct of several."""
    return column_function(
        request, options, model, names, declared_type(request, options), spark, call, single=True
    )


def column_function(
    request: Request,
    options: Options,
    model: ModelRef,
    names: tuple[str, ...],
    returned: StructType,
    spark: SparkSession | None,
    call: str = "",
    *,
    single: bool = False,
) -> Any:
    """Return a column function that runs a model, and ship the model.

    Args:
        request: The inputs, their feeds and the outputs.
        options: Batch size, mode, the error column and the model column. Columns to keep only name
            rows.
        model: The model.
        names: The names of the function's arguments, in order.
        returned: What it returns; see `declared_type`.
        spark: The session; None where there is none yet.
        call: How SQL calls the function, for messages.
        single: Return a value instead of a struct where there is only one.
    """
    single = single and len(returned) == 1
    if spark is not None:
        check_worker_memory(spark, model)
        model = evolve(model, limit_seconds=options.task_timeout)
        model = ship(spark, evolve(model, threads=task_cpus(spark)))
    scorer = late_column_scorer(request, options, model, names, single, call)
    return_type: DataType = returned[0].dataType if single else returned
    if hasattr(F, "arrow_udf"):
        return arrow_udf_of(scorer, return_type)
    return pandas_udf_of(scorer, return_type)


def declared_type(request: Request, options: Options) -> StructType:
    """Return what a column function adds: the outputs, the error and the model column.

    Raises:
        ContractError: An output can't become a column.
    """
    fields = [pa.field(plan.column, plan.arrow) for plan in declared_outputs(request, options)]
    for name in (options.error_column, options.model_column):
        if name is not None:
            fields.append(pa.field(name, pa.string()))
    struct = StructType()
    for field in fields:
        struct = struct.add(field.name, spark_type(field.type), True)
    return struct


def _arguments(
    names: tuple[str, ...],
    columns: tuple[Column | str, ...],
    by_name: Mapping[str, Column | str],
) -> list[Column | str]:
    """Put the columns of a call into the order of `names`."""
    listed = ", ".join(names)
    if len(columns) > len(names):
        raise ContractError(f"{taken_columns(names)}, but got {len(columns)}")
    given = dict(zip(names, columns, strict=False))
    for name, value in by_name.items():
        if name not in names or name in given:
            problem = "was given twice" if name in given else "is not a column that it takes"
            raise ContractError(f"the model takes the columns ({listed}); {name} {problem}")
        given[name] = value
    if missing := [name for name in names if name not in given]:
        _check_columns(tuple(given), given.values())
        raise ContractError(
            f"the model takes the columns ({listed}), but {', '.join(missing)} was not given"
        )
    return [given[name] for name in names]
