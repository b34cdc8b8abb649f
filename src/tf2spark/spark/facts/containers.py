"""The memory of the containers that YARN and Kubernetes run executors in, by a session's settings.

Both end a container whose processes together use more than it asked for: the JVM's heap and memory
beside it, and the overhead, in which Python and TensorFlow live.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen
from pyspark.sql import SparkSession

from tf2spark.spark.jvm.access import hadoop_configuration
from tf2spark.spark.recognize import is_connect

HEAP = "spark.executor.memory"
OVERHEAD = "spark.executor.memoryOverhead"
WORKER_MEMORY = "spark.executor.pyspark.memory"
_FACTORS = ("spark.executor.memoryOverheadFactor", "spark.kubernetes.memoryOverheadFactor")
_LEAST_OVERHEAD = "spark.executor.minMemoryOverhead"
_YARN_FACTOR = 0.1
# What Spark takes on Kubernetes if it starts the driver of an application in Python there.
_KUBERNETES_FACTOR = 0.4
_MIB = {"b": 1 / 1024 / 1024, "k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0 * 1024, "": 1.0}


@frozen
class Container:
    """What an executor's container has, in MiB.

    Attributes:
        platform: Who limits it.
        python_mib: What is set aside for Python: the overhead and ``pyspark.memory``.
        total_mib: All of it, at the most; None where that isn't known, or isn't watched.
        workers: How many tasks, each with a Python worker, run in it at once.
    """

    platform: Literal["YARN", "Kubernetes"]
    python_mib: float
    total_mib: float | None
    workers: int = 1


def container(spark: SparkSession, resources: Any = None) -> Container | None:
    """Return what an executor's container has, by the settings of a session and a profile.

    Args:
        spark: The session.
        resources: The `ResourceProfile` of the tasks; None for the session's settings.

    Returns:
        None where nobody limits it.
    """
    settings = _Settings(spark, _requested(resources))
    master = settings.text("spark.master", "")
    if master == "yarn":
        granted_mib = _granted_mib(spark, settings.total_mib(_YARN_FACTOR))
        return Container(
            "YARN", settings.python_mib(_YARN_FACTOR), granted_mib, settings.tasks_at_once()
        )
    if master.startswith("k8s:"):
        python_mib = settings.python_mib(_KUBERNETES_FACTOR)
        total_mib = settings.total_mib(_KUBERNETES_FACTOR)
        return Container("Kubernetes", python_mib, total_mib, settings.tasks_at_once())
    return None


def memory_mib(text: str) -> float | None:
    """Read a memory size as Spark writes it: ``2g``, ``1536m``; a bare number is in MiB.

    Returns:
        None where the text is not such a size.
    """
    match = re.fullmatch(r"\s*(\d+)\s*([bkmgt]?)b?\s*", text.lower())
    return float(match[1]) * _MIB[match[2]] if match else None


def _granted_mib(spark: SparkSession, requested_mib: float) -> float | None:
    """Return the size of the container that YARN grants; None if it isn't known or not watched."""
    if is_connect(spark):
        return None
    hadoop = hadoop_configuration(spark)
    if not _is_watched(hadoop):
        return None
    step_mib = max(1.0, float(hadoop.get("yarn.scheduler.minimum-allocation-mb", "1024")))
    if "Fair" in str(hadoop.get("yarn.resourcemanager.scheduler.class", "")):
        step_mib = max(step_mib, 1024.0)
    return math.ceil(requested_mib / step_mib) * step_mib


def _is_watched(hadoop: Any) -> bool:
    """Say whether Hadoop's settings have a NodeManager end containers that use too much.

    By default it doesn't, though its check is on: the check leaves containers to cgroups
    (``memory.enforced``), which are off (``memory.enabled``; seen with Hadoop 3.5).
    """

    def is_on(name: str, default: str) -> bool:
        return str(hadoop.get(f"yarn.nodemanager.{name}", default)).lower() == "true"

    if is_on("elastic-memory-control.enabled", "false"):  # as long as the node has memory
        return False
    checks = is_on("pmem-check-enabled", "true") and not is_on("resource.memory.enforced", "true")
    return checks or is_on("resource.memory.enabled", "false")


def _requested(resources: Any) -> Mapping[str, float]:
    """Return what a resource profile asks for, by the names that Spark has for it."""
    if resources is None:
        return {}
    requests = {**resources.executorResources, **resources.taskResources}
    return {name: float(request.amount) for name, request in requests.items()}


@frozen
class _Settings:
    """The settings of a session, and what a profile has in place of some."""

    spark: SparkSession
    requested: Mapping[str, float] = field(factory=dict)

    def text(self, key: str, default: str) -> str:
        return str(self.spark.conf.get(key, default) or default)

    def mib(self, name: str, key: str, default: str) -> float:
        return self.requested.get(name, memory_mib(self.text(key, default)) or 0.0)

    def tasks_at_once(self) -> int:
        cores = self.requested.get("cores", float(self.text("spark.executor.cores", "1")))
        cpus = self.requested.get("cpus", float(self.text("spark.task.cpus", "1")))
        return max(1, int(cores // max(cpus, 1.0)))

    def heap_mib(self) -> float:
        return self.mib("memory", HEAP, "1g")

    def python_mib(self, factor: float) -> float:
        """Return the overhead as Spark computes it, and what Spark adds for Python's own limit."""
        share = next(filter(None, (self.text(key, "") for key in _FACTORS)), str(factor))
        least_mib = memory_mib(self.text(_LEAST_OVERHEAD, "384m")) or 0.0
        usual_mib = max(least_mib, float(share) * self.heap_mib())
        overhead_mib = self.mib("memoryOverhead", OVERHEAD, f"{usual_mib:.0f}m")
        return overhead_mib + self.mib("pyspark.memory", WORKER_MEMORY, "")

    def total_mib(self, factor: float) -> float:
        off_heap = self.text("spark.memory.offHeap.enabled", "false").lower() == "true"
        # A bare number is in bytes there: taken for more, it refuses nothing.
        beside_mib = self.mib("offHeap", "spark.memory.offHeap.size", "") if off_heap else 0.0
        return self.heap_mib() + self.python_mib(factor) + beside_mib
