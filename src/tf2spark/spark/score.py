"""`score` on a Spark DataFrame: chooses how batches reach the worker; results don't depend on it.

`mapInArrow` sends every kept column to Python and back; an `arrow_udf` (Spark 4.1 and later) sends
only what the model reads and leaves the rest in the JVM. Where the table is a scan of Parquet files
that workers can open, they read them themselves, and only what is kept goes back to the JVM. Of a
query that joins or computes, they read the long columns that Spark would only pass on from such
files (`late_columns`); other arrays and vectors travel as blocks of bytes (`packed`).

A column is renamed once on its way: the plan is bound to the table's own names, then renumbered for
the columns that travel, and from there on columns are found by their position.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    NumericType,
    StructField,
    StructType,
)

from tf2spark.binding.bind import Bind, bind
from tf2spark.binding.options import Options, Read
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError, argument
from tf2spark.plan.score import ModelRef, Plan, read_columns, renumber, traveling_columns
from tf2spark.shown_text import shown
from tf2spark.spark.arrow_udfs import arrow_udf_of
from tf2spark.spark.memory_limit import check_worker_memory
from tf2spark.spark.packed.transport import packed_parts, packed_table
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.resources import check_kept, check_resources, task_cpus
from tf2spark.spark.scan.late_columns import late_parts
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.scan.parquet_scan import plan_scan
from tf2spark.spark.session import check_running
from tf2spark.spark.shipping import ship
from tf2spark.spark.types import arrow_schema, can_reach_python, spark_type
from tf2spark.worker.reading.row_reader import LateColumns
from tf2spark.worker.spark_tasks import (
    Batches,
    Travel,
    column_names,
    column_scorer,
    file_scorer,
    partition_scorer,
)

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile

Carrier = Literal["map_in_arrow", "arrow_udf"]
_SCORED = "_tf2spark_scored"
_log = logging.getLogger("tf2spark.read")
# Spark 4.3 can feed Arrow UDFs straight from a columnar scan.
_COLUMNAR_INPUT = "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled"
_FEW_NUMERIC_COLUMNS = 3


def score_dataframe(
    df: DataFrame,
    request: Request,
    options: Options,
    model: ModelRef,
    *,
    carrier: Carrier | None = None,
    bind: Bind = bind,
    resources: ResourceProfile | None = None,
) -> DataFrame:
    """Return `df` with the model's outputs as columns; nothing runs until an action.

    Args:
        df: The table.
        request: The inputs, their feeds and the outputs.
        options: Which columns are kept, batch size, mode, who reads.
        model: The model that the workers open; its threads are set from ``spark.task.cpus``.
        carrier: How batches reach the worker where Spark reads; chosen from the schema where None.
        bind: Binds the table; it may return plans that it has kept.
        resources: What Spark gives the tasks that score; the session's settings where None.

    Raises:
        ContractError: Table and model don't fit, the workers can't read the files as asked, or
            this Spark has no such resources.
        SetupError: The session was stopped, or its memory limit is too low for TensorFlow or the
            model.
    """
    check_running(df.sparkSession)
    if resources is not None:
        resources = check_resources(df, resources)
    check_worker_memory(df.sparkSession, model, resources)
    model = evolve(model, threads=task_cpus(df.sparkSession, resources))
    # Bound before the model is shipped, so that a mismatch costs nothing.
    plan = bind(request, arrow_schema(df.schema), options, model)
    plan = evolve(plan, model=ship(df.sparkSession, plan.model, for_stream=_is_stream(df)))
    if resources is not None:
        check_kept(df, plan)
    if carrier is None and options.read != "spark":
        scored = _score_files(df, plan, options.read, resources)
        if scored is not None:
            return scored
    late = carrier is None and options.read == "auto"
    return _score_by_spark(df, plan, carrier, resources, late=late)


def scored_schema(
    schema: StructType, request: Request, options: Options, model: ModelRef, bind: Bind
) -> StructType:
    """Return the columns of a scored table; arguments and errors are those of `score_dataframe`."""
    plan = bind(request, arrow_schema(schema), options, model)
    return StructType([schema.fields[index] for index in plan.keep] + output_fields(plan))


def choose_carrier(schema: StructType, plan: Plan) -> Carrier:
    """Choose how batches travel, from the columns that are kept.

    The benchmark `carriers` measures both: where only one to three numbers are kept, neither is
    ahead in every run (`mapInArrow` used between 6 % less and 26 % more CPU). With half a dozen
    numbers, a string or the features themselves, the `arrow_udf` uses 17 to 50 % less.
    """
    # Spark may ignore case, so "n" and "N" can't be told apart by name.
    has_equal_names = len({name.lower() for name in schema.names}) < len(schema.names)
    drops_rows = plan.mode == "dropmalformed"
    if not hasattr(F, "arrow_udf") or not read_columns(plan) or has_equal_names or drops_rows:
        return "map_in_arrow"
    kept = [schema.fields[index] for index in plan.keep]
    if not can_reach_python(StructType(kept)):
        return "arrow_udf"
    all_numeric = all(isinstance(field.dataType, NumericType) for field in kept)
    if all_numeric and len(kept) <= _FEW_NUMERIC_COLUMNS:
        return "map_in_arrow"
    return "arrow_udf"


def _is_stream(df: DataFrame) -> bool:
    try:
        return bool(df.isStreaming)
    except Exception:  # a server of Connect that can't be asked, such as Sail's, has no streams
        return False


def _score_files(
    df: DataFrame, plan: Plan, read: Read, resources: ResourceProfile | None
) -> DataFrame | None:
    """Have the workers read the table's files; None where Spark has to.

    The result keeps `df` in its plan: Spark reads it where it has other files by then.
    """
    columns = traveling_columns(plan)
    names = [df.columns[index] for index in columns]
    try:
        scan = plan_scan(
            select_numbered(df, columns),
            plan.fixed_rows or plan.batch_rows,
            verify=read == "auto",
            names=names,
        )
    except NotReadable as reason:
        if read == "worker":
            raise ContractError(
                f"the workers can't read the table themselves: {reason}",
                argument("read", "auto") + " has Spark read such a table",
            ) from None
        _log.info("Spark reads the table: %s", shown(str(reason)))
        return None
    tasks = scan.tasks
    _log.info("the workers read the table, in %d tasks", len(tasks))
    task_numbers = df.sparkSession.range(0, len(tasks), 1, len(tasks))
    if scan.unchanged is not None and read == "worker":
        task_numbers = _unless_changed(task_numbers, scan.unchanged)
    if scan.unchanged is None or read == "worker":
        task_numbers = _with_source(task_numbers, df)
    by_workers = map_in_arrow(
        task_numbers,
        file_scorer(renumber(plan, columns), tasks),
        _result_fields(df, plan),
        resources,
    )
    if scan.unchanged is None or read == "worker":
        return by_workers
    by_spark = _score_by_spark(df, plan, None, resources, late=False)
    return by_workers.where(scan.unchanged).union(by_spark.where(~scan.unchanged))


def _unless_changed(task_numbers: DataFrame, unchanged: Column) -> DataFrame:
    """Fail the queries for which the table has other files than at the call."""
    message = (
        'the table has other files than when it was scored, and read="worker" reads those: '
        "score it again"
    )
    error = F.raise_error(F.lit(message)).cast("boolean")
    return task_numbers.where(F.when(unchanged, True).otherwise(error))


def _with_source(task_numbers: DataFrame, df: DataFrame) -> DataFrame:
    """Keep a table in a plan, of which Spark reads no row, but sees that it is read.

    So it refuses to overwrite the table, where it would have, and knows which caches are stale.
    """
    return task_numbers.union(df.select(F.lit(0).cast("bigint")).where(F.lit(False)))


def _score_by_spark(
    df: DataFrame,
    plan: Plan,
    carrier: Carrier | None,
    resources: ResourceProfile | None,
    *,
    late: bool,
) -> DataFrame:
    if resources is not None:  # a column function runs with those of its query
        carrier = "map_in_arrow"
    if (carrier or choose_carrier(df.schema, plan)) == "arrow_udf":
        return _score_by_arrow_udf(df, plan, late=late)
    return _score_by_map_in_arrow(df, plan, resources, late=late)


def _score_by_map_in_arrow(
    df: DataFrame, plan: Plan, resources: ResourceProfile | None, *, late: bool
) -> DataFrame:
    columns = traveling_columns(plan)
    table, travel = _carrying(select_numbered(df, columns), plan, late=late)
    score = partition_scorer(renumber(plan, columns), travel)
    return map_in_arrow(table, score, _result_fields(df, plan), resources)


def _carrying(df: DataFrame, plan: Plan, *, late: bool) -> tuple[DataFrame, Travel]:
    """Return the table that carries one whose columns are c0, c1, ..., and how these travel."""
    found = _late_parts(df, range(len(df.columns)), plan) if late else None
    if found is None:
        return packed_table(df)
    table, parts, travel = found
    names = column_names(len(parts))
    named = [part.alias(name) for part, name in zip(parts, names, strict=True)]
    return table.select(*named), travel


def _late_parts(
    df: DataFrame, indices: Sequence[int], plan: Plan, needed: Collection[int] = ()
) -> tuple[DataFrame, list[Column], LateColumns] | None:
    """Return what carries some columns of a table; None where the workers read none of them."""
    try:
        found = late_parts(df, indices, plan.fixed_rows or plan.batch_rows, needed)
    except NotReadable as reason:
        _log.info("Spark reads every column: %s", shown(str(reason)))
        return None
    _log.info("the workers read %d of the columns themselves", len(found[2].late))
    return found


def select_numbered(df: DataFrame, columns: Sequence[int]) -> DataFrame:
    """Select columns by their positions, and name them c0, c1, ... for `mapInArrow`."""
    names, travel_names = df.columns, column_names(len(columns))
    counts = Counter(name.lower() for name in names)
    if all(counts[names[index].lower()] == 1 for index in columns):
        selected = [column(names[index]) for index in columns]
    else:
        # Equal names are told apart by renaming all columns, which takes Spark a second for 8,000.
        numbered = column_names(len(names))
        df = df.toDF(*numbered)
        selected = [F.col(numbered[index]) for index in columns]
    return df.select(
        *(source.alias(name) for source, name in zip(selected, travel_names, strict=True))
    )


def map_in_arrow(
    df: DataFrame,
    function: Callable[[Batches], Batches],
    fields: Sequence[StructField],
    resources: ResourceProfile | None = None,
) -> DataFrame:
    """Map a table's batches to batches of these fields, which the function names c0, c1, ..."""
    travel_names = column_names(len(fields))
    returns = StructType(
        [
            StructField(name, field.dataType, field.nullable, field.metadata)
            for name, field in zip(travel_names, fields, strict=True)
        ]
    )
    # Spark 3.5 has no such argument.
    profile: dict[str, Any] = {} if resources is None else {"profile": resources}
    return df.mapInArrow(function, returns, **profile).toDF(*(field.name for field in fields))


def _result_fields(df: DataFrame, plan: Plan) -> list[StructField]:
    return [df.schema.fields[index] for index in plan.keep] + output_fields(plan)


def _score_by_arrow_udf(df: DataFrame, plan: Plan, *, late: bool) -> DataFrame:
    read = read_columns(plan)
    # Kept columns stay in the JVM, except for the ids, by which messages name rows.
    sent = [*read, *(each.column for each in plan.shown if each.is_id and each.column not in read)]
    fields = output_fields(plan)
    # Sail, a server that takes no files, can't filter by a partition's number, nor needs to.
    is_sail = is_connect(df.sparkSession) and plan.model.storage != "shipped"
    rows = df if is_sail else as_rows(df)
    found = _late_parts(rows, sent, plan, needed=plan.keep) if late else None
    table, arguments, travel = found or packed_parts(
        rows,
        [column(df.columns[index]) for index in sent],
        StructType([df.schema.fields[index] for index in sent]),
    )
    score = column_scorer(renumber(evolve(plan, keep=()), sent), len(sent), travel)
    udf = arrow_udf_of(score, StructType(fields))
    scored = table.withColumn(_SCORED, udf(*arguments))
    kept = [column(df.columns[index]) for index in plan.keep]
    outputs = [F.col(_SCORED)[field.name].alias(field.name) for field in fields]
    return scored.select(*kept, *outputs)


def as_rows(df: DataFrame) -> DataFrame:
    """Keep an Arrow UDF from Spark 4.3's columnar input, by a filter that every row passes.

    In the benchmark `carriers` the columnar input uses up to 1.8 times the CPU, and it fails on
    MLlib's vectors ("UNSUPPORTED_DATATYPE"). It can't be turned off for a single query, but a
    filter outputs rows, and the optimizer doesn't see that this one is always true.
    """
    try:  # without a default, because Spark returns a given default instead of its own
        columnar = df.sparkSession.conf.get(_COLUMNAR_INPUT) == "true"
    except Exception:  # this Spark has no such setting; Connect and classic raise different errors
        columnar = False
    if not columnar:
        return df
    return df.where(F.spark_partition_id() >= 0)


def output_fields(plan: Plan) -> list[StructField]:
    """Return the columns that scoring adds, as Spark fields."""
    return [StructField(field.name, spark_type(field.type), True) for field in plan.output_fields()]


def column(name: str) -> Column:
    """Return a column by its own name, which may contain dots and backquotes."""
    return F.col("`" + name.replace("`", "``") + "`")
