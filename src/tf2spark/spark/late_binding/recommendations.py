"""`recommend` on DataFrames whose columns Spark doesn't tell, and of which no job may run.

Such are the tables inside a query function of Spark Declarative Pipelines; see `tables`. There,
everything that depends on the tables waits for the workers (`late_recommender`). Spark collects the
catalog once a query, by a scalar subquery, and hands it to each task with the task's first user.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    IntegerType,
    LongType,
    StringType,
    StructType,
)

from tf2spark.binding.options import ERROR_COLUMN, Options
from tf2spark.binding.request import Request
from tf2spark.errors import Tf2SparkError
from tf2spark.graph_split.splitter import score_dtype
from tf2spark.plan.recommend import RECOMMENDATIONS
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.catalog.files import refer_to
from tf2spark.recommend.catalog.items import unequal_ids
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.recommend.prepare import Prepared
from tf2spark.spark.arrow_udfs import arrow_udf_of
from tf2spark.spark.late_binding.late_recommender import (
    IDS,
    IDS_HASH,
    ITEMS,
    POSITION,
    SCORE,
    LateCall,
    late_recommender,
    mark_first_row,
)
from tf2spark.spark.late_binding.tables import is_resolved
from tf2spark.spark.memory_limit import check_worker_memory
from tf2spark.spark.recommend.job import recommend_dataframe
from tf2spark.spark.resources import in_pipeline, task_cpus
from tf2spark.spark.score import as_rows, column
from tf2spark.spark.shipping import ship
from tf2spark.spark.types import spark_type
from tf2spark.table_types import is_spark

_SCORED, _IDS = "_tf2spark_recommended", "_tf2spark_item_ids"
_HASH = "_tf2spark_item_ids_hash"


def recommend_any(
    users: DataFrame,
    items: DataFrame,
    request: Request,
    arguments: RecommendArguments,
    prepare: Callable[[], Prepared],
    compiled: Callable[[], PairModel],
) -> DataFrame:
    """Return the users with their recommendations, whether or not the tables' columns are known.

    Args:
        users: The users.
        items: The items.
        request: The inputs, their feeds and the output.
        arguments: The other arguments of `recommend`.
        prepare: Prepares the job, with the items computed.
        compiled: Compiles the model, without a look at the tables.

    Raises:
        ContractError: Tables, arguments and model don't fit. Where columns aren't known, the first
            batch says so instead, while the pipeline runs.
    """
    if is_resolved(users) and (not is_spark(items) or is_resolved(items)):
        return recommend_dataframe(users, prepare())
    if arguments.resources is not None:
        raise in_pipeline("recommends")
    return recommend_unresolved(users, items, compiled(), request, arguments)


def recommend_unresolved(
    users: DataFrame,
    items: DataFrame,
    model: PairModel,
    request: Request,
    arguments: RecommendArguments,
) -> DataFrame:
    """Return the users with their recommendations; no column is looked at, and no job runs."""
    spark = users.sparkSession
    check_worker_memory(spark)
    options = arguments.options
    reference = evolve(
        refer_to(model.folder, model),
        threads=task_cpus(spark),
        limit_seconds=options.task_timeout,
    )
    late = options
    if options.mode == "dropmalformed":
        late = evolve(options, mode="permissive", error_column=ERROR_COLUMN)
    call = LateCall(
        evolve(model, meta_graph=None), ship(spark, reference), request,
        evolve(arguments, options=late),
    )  # fmt: skip
    recommend = arrow_udf_of(late_recommender(call), _returned(model, late))
    mark_first = arrow_udf_of(mark_first_row, BooleanType())
    catalog = F.when(mark_first(F.lit(True)), _catalog(items, arguments.item_id))
    kept = map(column, options.keep or ())
    rows = as_rows(users).select(*kept, recommend(F.struct("*"), catalog).alias(_SCORED))
    if late is not options:
        rows = rows.where(F.col(_SCORED)[ERROR_COLUMN].isNull())
    # A second look at the ids, as a table of one row: a subquery isn't allowed inside `transform`.
    # Whether they are those that the workers have seen, their hash tells.
    ids = items.agg(*_ids_and_hash(arguments.item_id, _IDS, _HASH))
    rows = rows.crossJoin(F.broadcast(ids))
    lists = F.when(
        F.col(_SCORED)[IDS_HASH] == F.col(_HASH),
        F.transform(F.col(_SCORED)[RECOMMENDATIONS], _with_ids(arguments.item_id)),
    ).otherwise(_raise(unequal_ids(arguments.item_id)))
    others = [name for name in (options.error_column, options.model_column) if name is not None]
    return rows.select(
        *map(column, options.keep or ()),
        lists.alias(RECOMMENDATIONS),
        *(F.col(_SCORED)[name].alias(name) for name in others),
    )


def _returned(model: PairModel, options: Options) -> StructType:
    """Return what workers return: recommendations by the items' positions among the sorted ids.

    They can't return the ids, because a query must declare types, and theirs isn't known.
    """
    score = spark_type(score_dtype(model.score.dtype).arrow)
    best = StructType().add(POSITION, IntegerType()).add(SCORE, score)
    struct = StructType().add(RECOMMENDATIONS, ArrayType(best))
    for name in (options.error_column, options.model_column):
        if name is not None:
            struct = struct.add(name, StringType())
    return struct.add(IDS_HASH, LongType())


def _catalog(items: DataFrame, item_id: str) -> Column:
    """Return all items, their ids in Spark's order, and the hash of these, as one value."""
    rows = F.collect_list(F.struct("*")).alias(ITEMS)
    return items.agg(F.struct(*_ids_and_hash(item_id, IDS, IDS_HASH), rows)).scalar()


def _ids_and_hash(item_id: str, name: str, hash_name: str) -> tuple[Column, Column]:
    ids = F.sort_array(F.collect_list(column(item_id)))
    return ids.alias(name), F.xxhash64(ids).alias(hash_name)


def _raise(error: Tf2SparkError) -> Column:
    """Return an expression that fails the job; `errors.from_spark` finds the error in the text."""
    return F.raise_error(F.lit(f"\ntf2spark.errors.{type(error).__name__}: {error}"))


def _with_ids(item_id: str) -> Callable[[Column], Column]:
    """Return the function from a position and a score to the item's id and the score."""

    def with_id(best: Column) -> Column:
        return F.struct(F.get(_IDS, best[POSITION]).alias(item_id), best[SCORE].alias(SCORE))

    return with_id
