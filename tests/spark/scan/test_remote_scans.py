"""Tables on a real HDFS and a real S3 server, read by workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cases.models import case, path_of
from services.hdfs import hdfs
from services.s3 import s3

_JOB = Path(__file__).parents[2] / "services" / "scan_job.py"
_SAME = {
    "reader": "worker",
    "reason": "",
    "rows": True,
    "few_columns": True,
    "partition": True,
    "filter": True,
    "shown_secrets": [],
}


def run_job(master: str, base: str, conf: Mapping[str, str]) -> Any:
    """Run the driver program in a process of its own, and return what it reports."""
    settings = [f"{key}={value}" for key, value in conf.items()]
    done = subprocess.run(
        [sys.executable, str(_JOB), master, str(path_of(case("keras_mlp"))), base, *settings],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(_JOB.parents[1])},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.cluster
def test_workers_read_s3(tmp_path: Path) -> None:
    """With the keys of Hadoop's configuration, which nothing shows."""
    with s3(tmp_path) as server:
        report = run_job("local[2]", server.path("m"), server.conf())
    assert report.pop("rows_of_filter") > 100
    assert report == _SAME


@pytest.mark.cluster
def test_workers_read_hdfs(tmp_path: Path) -> None:
    """By executors in processes of their own."""
    with hdfs(tmp_path) as url:
        report = run_job("local-cluster[2,1,900]", f"{url}/m", {})
    assert report.pop("rows_of_filter") > 100
    assert report == _SAME
