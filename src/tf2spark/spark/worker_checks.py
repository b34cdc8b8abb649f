"""What the executors' Python has, learnt by a tiny job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import evolve, frozen
from pyspark.sql import SparkSession

from tf2spark.plan.score import ModelRef
from tf2spark.spark.session import runs_here
from tf2spark.spark.shipping import CACHE_SETTING, ship
from tf2spark.worker.spark_tasks import model_opener

_MOST_TASKS = 64
_MOST_ROUNDS = 5
_HOLD_SECONDS = 0.5
Answer = tuple[Any, ...]


@frozen
class WorkerPython:
    """A Python on a host that runs tasks.

    Attributes:
        host: The host's name.
        executable: The Python that Spark starts there.
        python: Its version.
        packages: The versions of the packages that scoring needs; "" where one is missing.
        library: TensorFlow's C library; "" where there is none.
        cpu: What its CPU has of AVX2, AVX-512 and AMX.
        memory_limit_bytes: The limit of a worker's address space; None where there is none.
        cache: The folder that models are unpacked in.
        cache_free_bytes: What its disk has left; None where it isn't writable.
        executors: How many executors of the host answered so.
    """

    host: str
    executable: str
    python: str
    packages: tuple[tuple[str, str], ...]
    library: str
    cpu: str = ""
    memory_limit_bytes: int | None = None
    cache: str = ""
    cache_free_bytes: int | None = None
    executors: int = 1


@frozen
class OpenedModel:
    """How a model opened on the executors of a host: how long it took at most, or why it didn't."""

    host: str
    seconds: float
    error: str
    executors: int = 1


def look_at_workers(spark: SparkSession) -> list[WorkerPython]:
    """Run one small task on every slot, at most 64, and return the different answers."""
    context, tasks = spark.sparkContext, _tasks(spark)
    # An RDD needs nothing but Python over there, so what is missing can still be told.
    look = _looker(spark.conf.get(CACHE_SETTING, None), _hold_seconds(spark))
    answers = _of_all_executors(
        spark, lambda: context.parallelize(range(tasks), tasks).mapPartitions(look).collect()
    )
    # Free space changes from one answer of a host to the next.
    alike = _grouped(answers, lambda one: one[1:-1])
    found = [evolve(WorkerPython(*those[0][1:]), executors=_count(those)) for those in alike]
    return sorted(found, key=lambda one: one.host)


def open_on_workers(spark: SparkSession, model: ModelRef) -> list[OpenedModel]:
    """Open a model in a worker of every slot, at most 64, as scoring would; one answer a host."""
    model, tasks = ship(spark, model), _tasks(spark)
    rows = spark.range(0, tasks, 1, tasks).mapInArrow(
        model_opener(model, _hold_seconds(spark)),
        "executor long, host string, seconds double, error string",
    )
    answers = _of_all_executors(spark, lambda: [tuple(row) for row in rows.collect()])
    found = []
    for those in _grouped(answers, lambda one: one[1]):
        # The slowest of a host unpacked the model; an error is worth more than any time.
        _, host, seconds, error = max(those, key=lambda one: (bool(one[3]), one[2]))
        found.append(OpenedModel(host, seconds, error, _count(those)))
    return sorted(found, key=lambda one: one.host)


def _tasks(spark: SparkSession) -> int:
    return min(max(spark.sparkContext.defaultParallelism, 2), _MOST_TASKS)


def _hold_seconds(spark: SparkSession) -> float:
    """Return how long a task keeps its slot, so that the next goes to another executor."""
    return 0.0 if runs_here(str(spark.sparkContext.master)) else _HOLD_SECONDS


def _of_all_executors(spark: Any, ask: Callable[[], list[Answer]]) -> list[Answer]:
    """Ask until every registered executor has answered, or a few times; the first of an answer
    tells the executor.
    """
    answers: list[Answer] = []
    for _ in range(_MOST_ROUNDS):
        answers += ask()
        # The driver is one of these.
        registered = spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1
        if len({answer[:2] for answer in answers}) >= min(registered, _MOST_TASKS):
            break
    return answers


def _grouped(answers: list[Answer], key: Callable[[Answer], Any]) -> Iterable[list[Answer]]:
    groups: dict[Any, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(key(answer), []).append(answer)
    return groups.values()


def _count(answers: list[Answer]) -> int:
    return len({answer[:2] for answer in answers})


def _looker(
    cache: str | None, hold_seconds: float
) -> Callable[[Iterable[int]], Iterator[tuple[Any, ...]]]:
    # A function made here travels by value: the executors may not have tf2spark.
    def look(_: Iterable[int]) -> Iterator[tuple[Any, ...]]:
        import glob
        import importlib.metadata
        import importlib.util
        import os
        import platform
        import resource
        import shutil
        import socket
        import sys
        import tempfile
        import time

        time.sleep(hold_seconds)

        def version(*names: str) -> str:
            for name in names:
                try:
                    return importlib.metadata.version(name)
                except importlib.metadata.PackageNotFoundError:
                    continue
            return ""

        spec = importlib.util.find_spec("tensorflow")
        folders = list(spec.submodule_search_locations or []) if spec else []
        found = [path for one in folders for path in glob.glob(f"{one}/libtensorflow_cc*")]
        packages = [(name, version(name)) for name in ("tf2spark", "pyarrow", "numpy", "pandas")]
        packages.append(("tensorflow", version("tensorflow", "tensorflow-cpu", "tensorflow-intel")))
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        folder = cache or os.environ.get("TF2SPARK_CACHE") or tempfile.gettempdir()
        writable = os.access(folder if os.path.exists(folder) else os.path.dirname(folder), os.W_OK)
        try:
            with open("/proc/cpuinfo") as lines:
                flags = set(next((x for x in lines if x.startswith("flags")), "").split())
        except OSError:
            flags = set()
        yield (
            # The workers of an executor are children of its one daemon.
            os.getppid(),
            socket.gethostname(),
            sys.executable,
            platform.python_version(),
            tuple(packages),
            found[0] if found else "",
            ", ".join(one for one in ("avx2", "avx512f", "amx_tile") if one in flags),
            None if limit == resource.RLIM_INFINITY else limit,
            folder,
            shutil.disk_usage(os.path.dirname(folder)).free if writable else None,
        )

    return look
