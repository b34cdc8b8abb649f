"""A standalone Spark master with two workers, from the pip package."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark

from tf2spark.spark.java import ensure_java

_SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
_START_SECONDS = 90


@contextmanager
def standalone(
    folder: Path, *, workers: int = 2, cores: int = 1, memory: str = "1500m"
) -> Iterator[str]:
    """Run a master and its workers, each with its own work folder; yields the master's URL."""
    ensure_java()
    with ExitStack() as stack:
        log = stack.enter_context(_daemon(folder, "master", "master.Master", "--webui-port", "0"))
        url = _wait_for(log, r"Starting Spark master at (spark://\S+)")
        for number in range(workers):
            name = f"worker-{number}"
            arguments = ["--webui-port", "0", "--cores", str(cores), "--memory", memory]
            arguments += ["--work-dir", str(folder / name), url]
            worker_log = stack.enter_context(_daemon(folder, name, "worker.Worker", *arguments))
            _wait_for(worker_log, r"(Successfully registered with master)")
        yield url


@contextmanager
def _daemon(folder: Path, name: str, main: str, *arguments: str) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    command = [str(_SPARK_CLASS), f"org.apache.spark.deploy.{main}", "--host", "127.0.0.1"]
    if "master" in main:
        command += ["--port", "0"]
    environment = {
        **os.environ,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_NO_DAEMONIZE": "1",
        "PYSPARK_PYTHON": sys.executable,
    }
    with log.open("w") as out:
        process = subprocess.Popen(
            command + list(arguments),
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if match := re.search(pattern, log.read_text(errors="replace")):
            return match[1]
        time.sleep(0.1)
    raise TimeoutError(f"{log.name} has no {pattern!r}:\n{log.read_text(errors='replace')[-2000:]}")
