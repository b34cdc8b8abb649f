"""`score` on a DataFrame whose columns Spark doesn't tell.

Such are the DataFrames inside a query function of Spark Declarative Pipelines: it describes a
dataset before the ones that it reads exist, so Spark refuses to analyze them. There a table is
scored by a column function, whose types the workers find out, as those of a `udf`.
"""

from __future__ import annotations

from attrs import evolve
from pyspark.errors import PySparkException
from pyspark.resource import ResourceProfile
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from tf2spark.binding.bind import Bind, InferShapes, with_declared_ranks
from tf2spark.binding.options import ERROR_COLUMN, Options
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError, argument
from tf2spark.plan.row_names import MAX_SHOWN, is_id_name
from tf2spark.plan.score import ModelRef
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.resources import in_pipeline
from tf2spark.spark.score import as_rows, column, score_dataframe
from tf2spark.spark.udf import argument_names, column_function, declared_type

_NOT_ANALYZED = "ATTEMPT_ANALYSIS_IN_PIPELINE_QUERY_FUNCTION"
_SCORED = "_tf2spark_scored"


def score_any(
    df: DataFrame,
    request: Request,
    options: Options,
    model: ModelRef,
    bind: Bind,
    shapes: InferShapes,
    resources: ResourceProfile | None = None,
) -> DataFrame:
    """Return `df` with the model's outputs as columns, whether or not its columns are known.

    Args:
        df: The table.
        request: The inputs, their feeds and the outputs.
        options: The other arguments of `score`.
        model: The model that the workers open.
        bind: Binds the table.
        shapes: Infers the shapes of outputs whose rank the graph leaves open.
        resources: What Spark gives the tasks that score; the session's settings where None.

    Raises:
        ContractError: Table, arguments and model don't fit. Where columns aren't known, the first
            batch says so instead, while the pipeline runs.
        SetupError: The session's memory limit is too low for TensorFlow.
    """
    if is_resolved(df):
        return score_dataframe(df, request, options, model, bind=bind, resources=resources)
    if resources is not None:
        raise in_pipeline("scores")
    return _score_unresolved(df, with_declared_ranks(request, options, shapes), options, model)


def is_resolved(df: DataFrame) -> bool:
    """Say whether Spark tells the columns of a DataFrame; it raises its errors about the query."""
    if not is_connect(df):
        return True
    try:
        _ = df.schema
    except PySparkException as error:
        if _NOT_ANALYZED not in str(error):
            raise
        return False
    return True


def _score_unresolved(
    df: DataFrame, request: Request, options: Options, model: ModelRef
) -> DataFrame:
    if options.read == "worker":
        raise ContractError(
            "the workers can't read the table themselves: a pipeline doesn't show its plans",
            argument("read", "auto") + " has Spark read such a table",
        )
    drops_rows = options.mode == "dropmalformed"
    if drops_rows:
        options = evolve(options, mode="permissive", error_column=ERROR_COLUMN)
    fed = argument_names(request)
    # Kept columns stay in the JVM, except for the ids, by which messages name rows.
    sent = (*fed, *(name for name in _id_names(options) if name not in fed))
    outputs = declared_type(request, options)
    call = column_function(
        request, evolve(options, keep=sent[len(fed) :]), model, sent, outputs, df.sparkSession
    )
    scored = as_rows(df).select("*", call(*map(column, sent)).alias(_SCORED))
    if drops_rows:
        scored = scored.where(F.col(_SCORED)[ERROR_COLUMN].isNull())
        outputs = StructType([field for field in outputs if field.name != ERROR_COLUMN])
    added = [F.col(_SCORED)[name].alias(name) for name in outputs.names]
    if options.keep is None:
        return scored.select("*", *added).drop(_SCORED)
    return scored.select(*map(column, options.keep), *added)


def _id_names(options: Options) -> tuple[str, ...]:
    """Return the columns by which messages name rows, as far as the call names them."""
    if options.id_columns is not None:
        return options.id_columns
    return tuple(filter(is_id_name, options.keep or ()))[:MAX_SHOWN]
