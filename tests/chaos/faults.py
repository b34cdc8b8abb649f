"""Faults for `pyspark_faulty_worker`: what is to happen, and what has happened."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

_numbers: Iterator[int] = itertools.count()


def settings(folder: Path) -> dict[str, str]:
    """Return the Spark settings with which workers look for faults in a folder."""
    (folder / "injected").touch()
    (folder / "opened").touch()
    (folder / "tasks").touch()
    return {
        "spark.python.worker.module": "pyspark_faulty_worker",
        "spark.executorEnv.TF2SPARK_TEST_FAULTS": str(folder),
        "spark.executorEnv.PYTHONPATH": str(Path(__file__).parent),
    }


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that the driver needs, whose workers on a local master inherit them."""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    return {"TF2SPARK_TEST_FAULTS": str(folder), "PYTHONPATH": ":".join(paths)}


def order(folder: Path, how: str, run: int) -> None:
    """Have the first worker that comes to this run of a task do this."""
    (folder / f"{run}-{how}-{next(_numbers)}").touch()


def withdraw(folder: Path) -> int:
    """Take back what hasn't happened; return how many faults that were."""
    left = list(folder.glob("[0-9]*-*"))
    for fault in left:
        fault.unlink(missing_ok=True)
    return len(left)


def injected(folder: Path) -> list[str]:
    """Return how the faults that happened did, in order."""
    return [line.split("-")[1] for line in (folder / "injected").read_text().splitlines()]


def opened(folder: Path) -> list[str]:
    """Return the worker (its pid) of each session that was opened."""
    return [line.split()[0] for line in (folder / "opened").read_text().splitlines()]


def attempts(folder: Path) -> list[tuple[str, str]]:
    """Return the tasks that have run a model: stage and partition, and the worker's pid."""
    lines = (line.split() for line in (folder / "tasks").read_text().splitlines())
    return [(f"{stage}/{partition}", pid) for stage, partition, pid in lines]
