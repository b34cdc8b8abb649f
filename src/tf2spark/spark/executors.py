"""What the executors' Python has, learnt by a tiny job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import frozen
from pyspark.sql import SparkSession

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
    """

    host: str
    executable: str
    python: str
    packages: tuple[tuple[str, str], ...]
    library: str


def look_at_workers(spark: SparkSession) -> list[WorkerPython]:
    """Run one small task on every slot, at most 64, and return the different answers."""
    context = spark.sparkContext
    tasks = min(max(context.defaultParallelism, 2), _MOST_TASKS)
    # An RDD needs nothing but Python over there, so what is missing can still be told.
    answers = context.parallelize(range(tasks), tasks).mapPartitions(_looker()).collect()
    return sorted({WorkerPython(*answer) for answer in answers}, key=lambda one: one.host)


def _looker() -> Callable[[Iterable[int]], Iterator[tuple[Any, ...]]]:
    # A function made here travels by value: the executors may not have tf2spark.
    def look(_: Iterable[int]) -> Iterator[tuple[Any, ...]]:
        import glob
        import importlib.metadata
        import importlib.util
        import platform
        import socket
        import sys

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
        yield (
            socket.gethostname(),
            sys.executable,
            platform.python_version(),
            tuple(packages),
            found[0] if found else "",
        )

    return look
