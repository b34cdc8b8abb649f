"""The Spark job of `recommend`: users with their recommendations, which run lazily."""

from __future__ import annotations

from attrs import evolve
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from tf2spark.dtypes import DType
from tf2spark.graph_split.splitter import score_dtype
from tf2spark.plan.recommend import renumber_users
from tf2spark.plan.score import traveling_columns
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.bind_users import bind_result
from tf2spark.recommend.job_folder import keep_job_folder
from tf2spark.recommend.prepare import Prepared
from tf2spark.spark.recommend.tables import SparkTables
from tf2spark.spark.resources import task_cpus
from tf2spark.spark.score import map_in_arrow, output_fields
from tf2spark.spark.shipping import ship
from tf2spark.worker.spark_tasks import partition_recommender


def recommended_schema(
    tables: SparkTables, arguments: RecommendArguments, score: DType
) -> StructType:
    """Return the columns of the result, before anything is computed.

    Args:
        tables: Users and items.
        arguments: The arguments of the call.
        score: The dtype of the output that ranks.

    Raises:
        ContractError: The users lack a column, or two of the result would have the same name.
    """
    plan = bind_result(arguments, tables.schemas, score_dtype(score))
    kept = [tables.user_table.schema.fields[index] for index in plan.keep]
    return StructType(kept + output_fields(plan))


def recommend_dataframe(users: DataFrame, prepared: Prepared) -> DataFrame:
    """Return the users with their recommendations; nothing runs until an action.

    Args:
        users: The users of the call that was prepared, or others with the same columns.
        prepared: The call.
    """
    spark = users.sparkSession
    keep_job_folder(prepared.folder)
    resources = prepared.job.arguments.resources
    model = evolve(prepared.plan.users.model, threads=task_cpus(spark, resources))
    model = ship(spark, model, for_stream=users.isStreaming)
    plan = evolve(prepared.plan, users=evolve(prepared.plan.users, model=model))
    columns = traveling_columns(plan.users)
    tables = prepared.job.tables
    assert isinstance(tables, SparkTables)
    table, packing = tables.packed_users(users, columns)
    recommend = partition_recommender(renumber_users(plan, columns), packing)
    fields = [users.schema.fields[index] for index in plan.users.keep] + output_fields(plan.users)
    return map_in_arrow(table, recommend, fields, resources)
