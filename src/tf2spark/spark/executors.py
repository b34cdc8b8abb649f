"""What the executors' Python has, learnt by a tiny job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import frozen
from pyspark.sql import SparkSession

from tf2spark.plan import ModelRef
from tf2spark.spark.shipping import CACHE_SETTING, ship
from tf2spark.spark.worker import model_opener

_MOST_TASKS = 64


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


@frozen
class OpenedModel:
    """How a model opened in an executor's Python: how long it took, or why it didn't."""

    host: str
    seconds: float
    error: str


def look_at_workers(spark: SparkSession) -> list[WorkerPython]:
    """Run one small task on every slot, at most 64, and return the different answers."""
    context = spark.sparkContext
    tasks = min(max(context.defaultParallelism, 2), _MOST_TASKS)
    # An RDD needs nothing but Python over there, so what is missing can still be told.
    look = _looker(spark.conf.get(CACHE_SETTING, None))
    answers = context.parallelize(range(tasks), tasks).mapPartitions(look).collect()
    # Free space changes from one answer of a host to the next.
    found = {answer[:-1]: WorkerPython(*answer) for answer in answers}
    return sorted(found.values(), key=lambda one: one.host)


def open_on_workers(spark: SparkSession, model: ModelRef) -> list[OpenedModel]:
    """Open a model in a worker of every slot, at most 64, as scoring would; one answer a host."""
    model = ship(spark, model)
    tasks = min(max(spark.sparkContext.defaultParallelism, 2), _MOST_TASKS)
    rows = spark.range(0, tasks, 1, tasks).mapInArrow(
        model_opener(model), "host string, seconds double, error string"
    )
    answers = [OpenedModel(row.host, row.seconds, row.error) for row in rows.collect()]
    # The slowest of a host unpacked the model; an error is worth more than any time.
    worst = sorted(answers, key=lambda one: (one.host, bool(one.error), one.seconds))
    return list({one.host: one for one in worst}.values())


def _looker(cache: str | None) -> Callable[[Iterable[int]], Iterator[tuple[Any, ...]]]:
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
