"""What Spark gives the tasks that score, where it isn't what the session's settings say.

That is stage-level scheduling: `DataFrame.mapInArrow` takes a `ResourceProfile` from Spark 4.0 on,
whose stage then runs on executors of that profile, or, if it names only what a task needs, on the
executors that are there.
"""

from __future__ import annotations

import inspect
from typing import Any

import pyspark
from pyspark.resource import ResourceProfile
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from tf2spark.errors import ContractError
from tf2spark.plan.score import Plan
from tf2spark.shown_text import shown
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.session import runs_here
from tf2spark.spark.types import can_reach_python


def check_resources(df: DataFrame, resources: Any) -> ResourceProfile:
    """Return the argument `resources`, if this Spark can give a table's tasks such resources.

    Raises:
        ContractError: It can't, or the argument is something else.
    """
    if not isinstance(resources, ResourceProfile):
        raise ContractError(
            f"resources must be a ResourceProfile of PySpark, not {type(resources).__name__}",
            "from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests; "
            "resources=ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build",
        )
    if "profile" not in inspect.signature(df.mapInArrow).parameters:
        raise ContractError(
            f"PySpark {pyspark.__version__} gives no stage of a DataFrame resources of its own",
            "use Spark 4.0 or later, or set spark.task.cpus for all of the session",
        )
    if not is_connect(df) and runs_here(str(df.sparkSession.sparkContext.master)):
        raise ContractError(
            f"resources need executors, and this session runs on "
            f"{df.sparkSession.sparkContext.master}",
            "leave resources out here; Spark gives stages resources on standalone clusters, YARN "
            "and Kubernetes",
        )
    return resources


def in_pipeline(does: str) -> ContractError:
    """Return the error of `resources` where the columns of tables aren't known."""
    return ContractError(
        f"resources can't be given inside a pipeline, where a column function {does}",
        "leave resources out, and set spark.task.cpus for all of the pipeline",
    )


def check_kept(df: DataFrame, plan: Plan) -> None:
    """Check that kept columns can travel to Python, as those of a stage of its own have to.

    Raises:
        ContractError: One can't.
    """
    for index in plan.keep:
        field = df.schema.fields[index]
        if not can_reach_python(StructType([field])):
            raise ContractError(
                f'with resources, the kept columns travel through Python, and "{field.name}" '
                f"({shown(field.dataType.simpleString())}) can't",
                "name the columns to keep with keep, without this one",
            )


def task_cpus(spark: SparkSession, resources: ResourceProfile | None = None) -> int:
    """Return how many CPUs Spark gives a task, which bounds TensorFlow's threads."""
    request = None if resources is None else resources.taskResources.get("cpus")
    if request is not None:
        return max(1, int(request.amount))
    return int(spark.conf.get("spark.task.cpus", "1") or 1)
