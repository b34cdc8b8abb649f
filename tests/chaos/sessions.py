"""Spark sessions of the driver programs here, and the programs as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

_FOLDER = Path(__file__).parent


def start_session(master: str, settings: Mapping[str, str]) -> SparkSession:
    """Start a session with executors of 600 MB, whose log is silent."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = (
        SparkSession.builder.master(master)
        .appName("tf2spark chaos")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.executor.memory", "600m")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.executorEnv.TF2SPARK_TEST_DRIVER", str(os.getpid()))
    )
    if options := os.environ.get("SPARK_SUBMIT_OPTS"):
        builder = builder.config("spark.executor.extraJavaOptions", options)
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def run_program(
    name: str, *arguments: str, seconds: float, environment: Mapping[str, str] | None = None
) -> Any:
    """Run a driver program of this folder, and return the JSON that it prints last."""
    paths = [str(_FOLDER), str(_FOLDER.parent)]
    done = subprocess.run(
        [sys.executable, str(_FOLDER / name), *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={
            **os.environ,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYTHONPATH": ":".join(paths),
            **(environment or {}),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:] + done.stdout[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
