"""The limits on an executor's memory: one too low to score in is refused before a job starts.

There are two: `spark.executor.pyspark.memory` limits the address space of a Python worker, and YARN
and Kubernetes limit what an executor's container uses (`facts.containers`).

Of a container, only that is refused which can't work: one in which a model doesn't fit even if the
JVM has next to nothing in its heap. What has less than the manual asks for may work, because a heap
is seldom full, so it is logged.
"""

from __future__ import annotations

import logging
import math
import re
from typing import Any

from pyspark.sql import SparkSession

from tf2spark.errors import SetupError
from tf2spark.plan.score import ModelRef
from tf2spark.shown_text import shown
from tf2spark.spark.facts.containers import (
    HEAP,
    OVERHEAD,
    WORKER_MEMORY,
    Container,
    container,
    memory_mib,
)

CHECK_SETTING = "spark.tf2spark.memoryCheck"
_NEEDED_MIB = 1640
# Less than an executor's JVM and a Python worker with TensorFlow were seen to use. Kubernetes
# doesn't count what the system can take back, which is most of TensorFlow's library; YARN does.
_LEAST_MIB = {"YARN": 400, "Kubernetes": 150}
_FIRST_WORKER_MIB, _OTHER_WORKER_MIB = 1024, 512
_OWN_FILES = re.compile(r"saved_model\.pb|variables/variables\.data-.*")
_told: set[tuple[str, str]] = set()
_log = logging.getLogger("tf2spark.memory")


def check_worker_memory(
    spark: SparkSession, model: ModelRef | None = None, resources: Any = None
) -> None:
    """Refuse limits in which TensorFlow or a model can't be loaded; log one that may be too low.

    Arguments and errors are those of `low_memory`.
    """
    low = low_memory(spark, model, resources)
    told = str(spark.conf.get("spark.app.id", "")), str(low)
    if low is not None and told not in _told:
        _told.add(told)
        _log.warning("%s", low)


def low_memory(
    spark: SparkSession, model: ModelRef | None = None, resources: Any = None
) -> SetupError | None:
    """Refuse limits in which TensorFlow or a model can't be loaded; return what may be too low.

    ``spark.executor.pyspark.memory`` limits a worker's address space (RLIMIT_AS). Loading
    TensorFlow's library and opening a session reserves about 1.6 GiB of that, most of which is
    never touched.

    Args:
        spark: The session.
        model: The model; None where it isn't known yet.
        resources: The `ResourceProfile` of the tasks that score; None for the session's settings.

    Raises:
        SetupError: A setting is too small.
    """
    limit = _worker_memory(spark)
    limit_mib = memory_mib(limit)
    if limit_mib is not None and limit_mib < _NEEDED_MIB:
        raise SetupError(
            f"{WORKER_MEMORY}={limit} limits a worker's address space to {limit_mib:,.0f} MiB, and "
            f"TensorFlow needs {_NEEDED_MIB:,} MiB",
            f"set {WORKER_MEMORY}=2g or more, or leave it unset",
        )
    if str(spark.conf.get(CHECK_SETTING, "true")).lower() == "false":
        return None
    limited = container(spark, resources)
    if limited is None:
        return None
    if model is not None:
        refuse_container(limited, model)
    return low_container(limited, model)


def refuse_container(limited: Container, model: ModelRef) -> None:
    """Refuse a container in which no worker can hold a model.

    Raises:
        SetupError: It is too small.
    """
    loaded = loaded_mib(model)
    needed = _LEAST_MIB[limited.platform] + loaded
    if limited.total_mib is None or limited.total_mib >= needed:
        return
    raise SetupError(
        f"{limited.platform} ends an executor that uses more than {limited.total_mib:,.0f} MiB "
        f"({HEAP} and {OVERHEAD}), and one that has loaded {shown(model.path)} uses "
        f"{needed:,.0f} MiB at the least, {loaded:,.0f} MiB of them for its graph and variables",
        f"set {OVERHEAD}={documented_mib(limited, model)}m or more; if {limited.platform} doesn't "
        f"watch memory here, set {CHECK_SETTING}=false",
    )


def low_container(limited: Container, model: ModelRef | None = None) -> SetupError | None:
    """Return what to set where Python has less of a container than the manual asks for."""
    needed = documented_mib(limited, model)
    if limited.python_mib >= needed:
        return None
    name = "TensorFlow" if model is None else shown(model.path)
    workers = f" in {limited.workers:,} workers" if limited.workers > 1 else ""
    return SetupError(
        f"{OVERHEAD} leaves {limited.python_mib:,.0f} MiB of an executor to Python, and {name}"
        f"{workers} may need more, for which {limited.platform} would end the executor",
        f"set {OVERHEAD}={needed}m",
    )


def loaded_mib(model: ModelRef) -> float:
    """Return what each worker has of a model in memory of its own: its graph and its variables.

    The large weights of a package aren't in it: workers of a host share them, and need not read
    all.
    """
    own = (file.size_bytes for file in model.files if _OWN_FILES.fullmatch(file.path))
    return sum(own) / 2**20


def documented_mib(limited: Container, model: ModelRef | None = None) -> int:
    """Return what the manual asks for: 1 GiB and the model's size, and something per worker."""
    others = limited.workers - 1
    needed = float(_FIRST_WORKER_MIB + others * _OTHER_WORKER_MIB)
    if model is not None:
        needed += sum(file.size_bytes for file in model.files) / 2**20 + others * loaded_mib(model)
    return math.ceil(needed)


def _worker_memory(spark: SparkSession) -> str:
    return spark.conf.get(WORKER_MEMORY, "") or ""
