"""`udf` and `register`: a model as a Column expression and as a SQL function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from attrs import evolve
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StructType

from tf2spark.binding.feeds import columns_of
from tf2spark.binding.options import Options
from tf2spark.binding.outputs import plan_output
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError
from tf2spark.plan.score import ModelRef
from tf2spark.spark.arrow_udfs import arrow_udf_of, pandas_udf_of
from tf2spark.spark.late_binding import late_column_scorer
from tf2spark.spark.memory_limit import check_worker_memory
from tf2spark.spark.score import column, task_cpus
from tf2spark.spark.shipping import ship
from tf2spark.spark.types import spark_type


def argument_names(request: Request) -> tuple[str, ...]:
    """Return the columns that the inputs read, in the order of the inputs: a udf's arguments."""
    needed = [fed for fed in request.inputs if not fed.optional]
    paths = [one.path for fed in needed for one in columns_of(fed.feed)]
    heads = [path.partition(".")[0] for path in paths]
    return tuple(dict.fromkeys(heads))


def make_udf(request: Request, options: Options, model: ModelRef) -> Callable[..., Column]:
    """Return the function from columns to a column of scores.

    It takes the columns in the order of `argument_names`, or by those names. One output gives a
    column of its type, several give a struct.

    Raises:
        ContractError: The model takes no column, or the call has not as many as it takes.
    """
    names = argument_names(request)
    if not names:
        raise ContractError("a udf needs at least one input that is fed from a column")
    function = _function(request, options, model, names)

    def score(*columns: Column | str, **by_name: Column | str) -> Column:
        given = _arguments(names, columns, by_name)
        scores: Column = function(*(column(one) if isinstance(one, str) else one for one in given))
        return scores

    return score


def register(
    spark: SparkSession, name: str, request: Request, options: Options, model: ModelRef
) -> None:
    """Make the model a SQL function of this session: ``SELECT name(features) FROM t``."""
    spark.udf.register(name, _function(request, options, model, argument_names(request)))


def _function(request: Request, options: Options, model: ModelRef, names: tuple[str, ...]) -> Any:
    returns, single = _return_type(request, options)
    spark = SparkSession.getActiveSession()
    if spark is not None:
        check_worker_memory(spark)
        model = ship(spark, evolve(model, threads=task_cpus(spark)))
    scorer = late_column_scorer(request, options, model, names, single)
    if hasattr(F, "arrow_udf"):
        return arrow_udf_of(scorer, returns)
    return pandas_udf_of(scorer, returns)


def _return_type(request: Request, options: Options) -> tuple[DataType, bool]:
    fields = [
        pa.field(one.column, plan_output(one.column, one.spec, binary=one.output.binary).arrow)
        for one in request.outputs
    ]
    if options.error_column is not None:
        fields.append(pa.field(options.error_column, pa.string()))
    if len(fields) == 1:
        return spark_type(fields[0].type), True
    returns = StructType()
    for one in fields:
        returns = returns.add(one.name, spark_type(one.type), True)
    return returns, False


def _arguments(
    names: tuple[str, ...], columns: tuple[Any, ...], by_name: dict[str, Any]
) -> list[Any]:
    listed = ", ".join(names)
    if len(columns) > len(names):
        raise ContractError(f"the model takes {len(names)} columns ({listed}), got {len(columns)}")
    given = dict(zip(names, columns, strict=False))
    for name, value in by_name.items():
        if name not in names or name in given:
            what = "twice" if name in given else "and takes no such column"
            raise ContractError(f"{name} was given {what}: the model takes ({listed})")
        given[name] = value
    if missing := [name for name in names if name not in given]:
        raise ContractError(
            f"the model takes the columns ({listed}), {', '.join(missing)} was not given"
        )
    return [given[name] for name in names]
