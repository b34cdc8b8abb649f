"""`score` on a Spark DataFrame: the carrier of the batches is chosen, the result is the same.

`mapInArrow` sends every kept column through Python and back; an `arrow_udf` (Spark 4.1 and later)
sends only what the model needs and leaves the rest in the JVM. A plain scan of local Parquet files
is read by the worker itself, and only what stays goes through the JVM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from attrs import evolve
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    NumericType,
    StructField,
    StructType,
)

from tf2spark.binding.bind import bind
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError
from tf2spark.plan.score import ModelRef, Plan
from tf2spark.spark.arrow_udfs import arrow_udf_of
from tf2spark.spark.memory_limit import check_worker_memory
from tf2spark.spark.parquet_scan import NotReadable, tasks_of
from tf2spark.spark.shipping import ship
from tf2spark.spark.types import arrow_schema, can_reach_python, spark_type
from tf2spark.worker.spark_tasks import (
    Batches,
    column_scorer,
    file_scorer,
    numbers,
    partition_scorer,
)

Carrier = Literal["map_in_arrow", "arrow_udf"]
_SCORED = "_tf2spark_scored"
# Spark 4.3 has a way of its own for Arrow UDFs straight on a columnar scan.
_COLUMNAR_INPUT = "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled"
_FEW_NUMBERS = 3


def score_dataframe(
    df: DataFrame,
    request: Request,
    options: Options,
    model: ModelRef,
    *,
    carrier: Carrier | None = None,
) -> DataFrame:
    """Return `df` with the model's outputs as columns; nothing runs until an action.

    Args:
        df: The table.
        request: The inputs, their feeds and the outputs.
        options: Which columns stay, batch size, mode, who reads.
        model: The model that the workers open; its threads are set from ``spark.task.cpus``.
        carrier: How batches reach the worker, where Spark reads; chosen from the schema where None.

    Raises:
        ContractError: Table and model don't fit, or the worker is to read what it can't.
        SetupError: The session's limits are too narrow for TensorFlow.
    """
    check_worker_memory(df.sparkSession)
    model = evolve(model, threads=task_cpus(df.sparkSession))
    # Bound before anything is sent: a mismatch costs nothing.
    plan = bind(request, arrow_schema(df.schema), options, model)
    plan = evolve(plan, model=ship(df.sparkSession, model))
    if carrier is None and options.read != "spark":
        scored = _by_reading(df, request, options, plan)
        if scored is not None:
            return scored
    carrier = carrier or choose_carrier(df.schema, plan)
    if carrier == "arrow_udf":
        return _by_arrow_udf(df, plan)
    return _by_map_in_arrow(df, request, options, plan)


def task_cpus(spark: SparkSession) -> int:
    """Return how many CPUs Spark gives a task, which bounds TensorFlow's threads."""
    return int(spark.conf.get("spark.task.cpus", "1") or 1)


def used_columns(plan: Plan) -> list[int]:
    """Return the indices of the columns that the inputs read."""
    return sorted({source.column for one in plan.inputs for source in one.sources})


def choose_carrier(schema: StructType, plan: Plan) -> Carrier:
    """Choose how the batches travel, from the columns that stay.

    Measured by the benchmark `carriers`: where only an id or two like it stay, neither is ahead in
    every run (`mapInArrow` took from 6 % less CPU to 26 % more). With half a dozen numbers, a
    string or the features themselves the `arrow_udf` takes 17 to 50 % less.
    """
    used = used_columns(plan)
    twins = len(set(schema.names)) < len(schema.names)
    if not _has_arrow_udf() or not used or twins or plan.mode == "dropmalformed":
        return "map_in_arrow"
    if not can_reach_python(StructType([schema.fields[index] for index in plan.keep])):
        return "arrow_udf"
    kept = [schema.fields[index].dataType for index in plan.keep]
    if len(kept) <= _FEW_NUMBERS and all(isinstance(kind, NumericType) for kind in kept):
        return "map_in_arrow"
    return "arrow_udf"


def _has_arrow_udf() -> bool:
    return hasattr(F, "arrow_udf")


def _by_reading(df: DataFrame, request: Request, options: Options, plan: Plan) -> DataFrame | None:
    """Have the workers read the table's files; None where Spark has to."""
    df, plan = _narrowed(df, request, options, plan)
    try:
        look = options.read == "auto"
        tasks = tasks_of(df, plan.fixed_rows or plan.batch_rows, look=look)
    except NotReadable as reason:
        if options.read == "worker":
            raise ContractError(
                f'read="worker": the workers can\'t read the table by themselves: {reason}. '
                'read="auto" has Spark read where that is so'
            ) from None
        return None
    numbered = df.sparkSession.range(0, len(tasks), 1, len(tasks))
    function = file_scorer(plan, tuple(df.columns), tasks)
    return mapped_in_arrow(numbered, function, _fields(df, plan))


def _by_map_in_arrow(df: DataFrame, request: Request, options: Options, plan: Plan) -> DataFrame:
    df, plan = _narrowed(df, request, options, plan)
    return mapped_in_arrow(df, partition_scorer(plan, tuple(df.columns)), _fields(df, plan))


def _narrowed(
    df: DataFrame, request: Request, options: Options, plan: Plan
) -> tuple[DataFrame, Plan]:
    """Leave the columns out that neither feed the model nor stay, and bind what is left."""
    needed = sorted({*plan.keep, *used_columns(plan)})
    if len(needed) == len(df.columns):
        return df, plan
    kept = tuple(df.columns[index] for index in plan.keep)
    df = df.select(*(column(df.columns[index]) for index in needed))
    return df, bind(request, arrow_schema(df.schema), evolve(options, keep=kept), plan.model)


def _fields(df: DataFrame, plan: Plan) -> list[StructField]:
    return [df.schema.fields[index] for index in plan.keep] + output_fields(plan)


def mapped_in_arrow(
    df: DataFrame, function: Callable[[Batches], Batches], fields: Sequence[StructField]
) -> DataFrame:
    """Map a table's batches, whose columns are numbered both ways, to one of these fields."""
    # mapInArrow looks columns up by name, both ways, and trips over dots and over equal names.
    numbered = df.toDF(*numbers(len(df.columns)))
    returns = StructType(
        [
            StructField(number, one.dataType, one.nullable, one.metadata)
            for number, one in zip(numbers(len(fields)), fields, strict=True)
        ]
    )
    return numbered.mapInArrow(function, returns).toDF(*(one.name for one in fields))


def _by_arrow_udf(df: DataFrame, plan: Plan) -> DataFrame:
    used = used_columns(plan)
    names = tuple(df.columns[index] for index in used)
    order = {index: position for position, index in enumerate(used)}
    inputs = tuple(
        evolve(one, sources=tuple(evolve(s, column=order[s.column]) for s in one.sources))
        for one in plan.inputs
    )
    sent = evolve(plan, inputs=inputs, keep=())
    fields = output_fields(plan)
    udf = arrow_udf_of(column_scorer(sent, names), StructType(fields))
    scored = _in_rows(df).withColumn(_SCORED, udf(*map(column, names)))
    kept = [column(df.columns[index]) for index in plan.keep]
    return scored.select(*kept, *(F.col(_SCORED)[one.name].alias(one.name) for one in fields))


def _in_rows(df: DataFrame) -> DataFrame:
    """Keep an Arrow UDF from Spark 4.3's columnar input, by a filter that every row passes.

    The benchmark `carriers` has the columnar input take up to 1.8 times the CPU, and it fails on
    MLlib's vectors ("UNSUPPORTED_DATATYPE"). It can't be set for one query; but a filter has rows
    for its output, and of this one the optimizer doesn't see that it is always true.
    """
    try:  # not with a default of ours: where the setting is not set, that would be returned
        columnar = df.sparkSession.conf.get(_COLUMNAR_INPUT) == "true"
    except Exception:  # a Spark that has no such setting; Connect and classic have own errors
        columnar = False
    if not columnar:
        return df
    return df.where(F.spark_partition_id() >= 0)


def output_fields(plan: Plan) -> list[StructField]:
    """Return the columns that scoring adds, as Spark fields."""
    return [StructField(one.name, spark_type(one.type), True) for one in plan.output_fields()]


def column(name: str) -> Column:
    """Return a column by its own name, dots and all."""
    return F.col("`" + name.replace("`", "``") + "`")
