from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services import yarn as yarn_service
from services.hdfs import hdfs
from services.s3 import s3
from services.yarn import yarn

_JOB = Path(__file__).parent / "services" / "service_job.py"


def run_job(conf: Mapping[str, str], *arguments: str, conf_dir: Path | None = None) -> Any:
    """Run the job in a driver of its own and return what it reported."""
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
    if conf_dir:
        environment["HADOOP_CONF_DIR"] = str(conf_dir)
    done = subprocess.run(
        [sys.executable, str(_JOB), *arguments, json.dumps(conf)],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.cluster
class TestServices:
    def test_hdfs_keeps_a_table(self, tmp_path: Path) -> None:
        """A table that Spark wrote to HDFS reads back the same."""
        with hdfs(tmp_path) as url:
            assert run_job({}, "table", f"{url}/folder") == {"same": True, "files": 2}

    def test_s3_keeps_a_table(self, tmp_path: Path) -> None:
        """A table that Spark wrote to the S3 server reads back the same."""
        with s3(tmp_path) as server:
            report = run_job(server.conf(), "table", server.path("folder"))
        assert report == {"same": True, "files": 2}

    def test_yarn_runs_python(self, tmp_path: Path) -> None:
        """A job in client mode runs its Python in a container of YARN's."""
        staging = (tmp_path / "staging").as_uri()
        with yarn(tmp_path, "file:///") as conf_dir:
            conf = yarn_service.spark_conf(staging)
            report = run_job(conf, "map-in-arrow", conf_dir=conf_dir)
        assert report["master"] == "yarn"
        assert report["sum"] == 2 * sum(range(1000))
        assert [one.partition("_")[0] for one in report["containers"]] == ["container"]
