"""What the executors' Python has, as a tiny job reports it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from attrs import evolve, frozen
from pyspark.sql import SparkSession

from tf2spark.plan.score import ModelRef
from tf2spark.spark.jvm.status import executor_count
from tf2spark.spark.session import runs_here
from tf2spark.spark.shipping import CACHE_SETTING, ship
from tf2spark.worker.spark_tasks import model_opener

_MAX_TASKS = 64
_MAX_ROUNDS = 5
_HOLD_SECONDS = 0.5
Answer = tuple[Any, ...]
"""What a task reports: the id of its executor's daemon, its host, and the findings."""


@frozen
class WorkerPython:
    """A Python on a host that runs tasks.

    Attributes:
        host: The host's name.
        executable: The Python that Spark starts there.
        python: Its version.
        packages: The versions of the packages that scoring needs; "" where one is missing.
        library: The path of TensorFlow's C library; "" where there is none.
        cpu: Which of AVX2, AVX-512 and AMX its CPU has.
        memory_limit_bytes: The limit of a worker's address space; None where there is none.
        cache: The folder that models are unpacked in.
        cache_free_bytes: The free space on its disk; None where the folder isn't writable.
        executors: How many executors of the host gave this answer.
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
    """How long a model took to open on the executors of a host, at most; or why it didn't open."""

    host: str
    seconds: float
    error: str
    executors: int = 1


def inspect_workers(spark: SparkSession) -> list[WorkerPython]:
    """Run a small task on every slot, at most 64, and return the distinct answers by host."""
    context, tasks = spark.sparkContext, _task_count(spark)
    # An RDD needs nothing but Python on the executors, so it runs where pyarrow is missing.
    inspect_python = _make_inspector(spark.conf.get(CACHE_SETTING, None), _hold_seconds(spark))
    numbers = context.parallelize(range(tasks), tasks)
    answers = _ask_all_executors(spark, lambda: numbers.mapPartitions(inspect_python).collect())
    # Without the executor's id, and without the free space, which differs from answer to answer.
    groups = _group(answers, lambda answer: answer[1:-1])
    workers = [
        evolve(WorkerPython(*group[0][1:]), executors=_count_executors(group)) for group in groups
    ]
    return sorted(workers, key=lambda worker: worker.host)


def open_on_workers(spark: SparkSession, model: ModelRef) -> list[OpenedModel]:
    """Open a model in a worker of every slot, at most 64, as scoring would; one answer a host."""
    model, tasks = ship(spark, model), _task_count(spark)
    rows = spark.range(0, tasks, 1, tasks).mapInArrow(
        model_opener(model, _hold_seconds(spark)),
        "executor long, host string, seconds double, error string",
    )
    answers = _ask_all_executors(spark, lambda: [tuple(row) for row in rows.collect()])
    groups = _group(answers, lambda answer: answer[1])
    return sorted(map(_slowest, groups), key=lambda opened: opened.host)


def _slowest(answers: list[Answer]) -> OpenedModel:
    """Return a host's slowest answer: that worker unpacked the model. Errors come before times."""
    _, host, seconds, error = max(answers, key=lambda answer: (bool(answer[3]), answer[2]))
    return OpenedModel(host, seconds, error, _count_executors(answers))


def _task_count(spark: SparkSession) -> int:
    return min(max(spark.sparkContext.defaultParallelism, 2), _MAX_TASKS)


def _hold_seconds(spark: SparkSession) -> float:
    """Return how long a task keeps its slot, so that the next one goes to another executor."""
    return 0.0 if runs_here(str(spark.sparkContext.master)) else _HOLD_SECONDS


def _ask_all_executors(spark: SparkSession, ask: Callable[[], list[Answer]]) -> list[Answer]:
    """Ask until every registered executor has answered, but only a few times.

    Where their number isn't known, ask as often as allowed: one that is asked twice counts once.
    """
    answers: list[Answer] = []
    for _ in range(_MAX_ROUNDS):
        answers += ask()
        registered = executor_count(spark)
        if registered is not None and _count_executors(answers) >= min(registered, _MAX_TASKS):
            break
    return answers


def _group(answers: list[Answer], key: Callable[[Answer], Hashable]) -> Iterable[list[Answer]]:
    groups: dict[Hashable, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(key(answer), []).append(answer)
    return groups.values()


def _count_executors(answers: list[Answer]) -> int:
    return len({answer[:2] for answer in answers})


def _make_inspector(
    cache: str | None, hold_seconds: float
) -> Callable[[Iterable[int]], Iterator[Answer]]:
    """Return the function that inspects the Python that runs it.

    It travels by value, as nested functions do, and so does everything that it calls: the
    executors may not have tf2spark. So its helpers and imports are in here too.
    """

    def inspect_python(_: Iterable[int]) -> Iterator[Answer]:
        import os
        import platform
        import socket
        import sys
        import time

        time.sleep(hold_seconds)
        yield (
            os.getppid(),  # the workers of an executor are children of its one daemon
            socket.gethostname(),
            sys.executable,
            platform.python_version(),
            package_versions(),
            tensorflow_library(),
            cpu_features(),
            address_space_bytes(),
            *cache_and_free_bytes(),
        )

    def package_versions() -> tuple[tuple[str, str], ...]:
        tensorflow = version("tensorflow", "tensorflow-cpu", "tensorflow-intel")
        others = [(name, version(name)) for name in ("tf2spark", "pyarrow", "numpy", "pandas")]
        return (*others, ("tensorflow", tensorflow))

    def version(*distributions: str) -> str:
        import importlib.metadata

        for distribution in distributions:
            try:
                return importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
        return ""

    def tensorflow_library() -> str:
        import glob
        import importlib.util

        spec = importlib.util.find_spec("tensorflow")
        folders = list(spec.submodule_search_locations or []) if spec else []
        paths = [path for folder in folders for path in glob.glob(f"{folder}/libtensorflow_cc*")]
        return paths[0] if paths else ""

    def cpu_features() -> str:
        try:
            with open("/proc/cpuinfo") as lines:
                flags = next((line for line in lines if line.startswith("flags")), "").split()
        except OSError:
            flags = []
        return ", ".join(flag for flag in ("avx2", "avx512f", "amx_tile") if flag in flags)

    def address_space_bytes() -> int | None:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return None if limit == resource.RLIM_INFINITY else limit

    def cache_and_free_bytes() -> tuple[str, int | None]:
        import os
        import shutil
        import tempfile

        folder = cache or os.environ.get("TF2SPARK_CACHE") or tempfile.gettempdir()
        parent = os.path.dirname(folder)
        writable = os.access(folder if os.path.exists(folder) else parent, os.W_OK)
        return folder, shutil.disk_usage(parent).free if writable else None

    return inspect_python
