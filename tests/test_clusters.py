from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.standalone import standalone
from zoo import case, path_of

_JOB = Path(__file__).parent / "services" / "cluster_job.py"
_ROWS = 40_000


@pytest.fixture(scope="module", params=["local-cluster[2,1,900]", "standalone"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run the cluster job on each kind of cluster."""
    folder = tmp_path_factory.mktemp("cluster")
    if request.param == "standalone":
        with standalone(folder) as master:
            return run_job(master, folder)
    return run_job(request.param, folder)


def run_job(master: str, folder: Path) -> Any:
    """Score a table of many partitions on `master` and return what the driver reported."""
    one = case("mlp_128")
    table = one.table(_ROWS).append_column("id", pa.array(np.arange(_ROWS)))
    pq.write_table(table, folder / "table.parquet", row_group_size=_ROWS // 8)
    done = subprocess.run(
        [sys.executable, str(_JOB), master, str(path_of(one)), str(folder / "table.parquet")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.cluster
class TestCluster:
    def test_scores_on_executors_of_their_own(self, report: dict[str, Any]) -> None:
        """The job ran on two executors and several partitions, not in the driver."""
        assert report["executors"] == 2
        assert report["partitions"] > 2

    def test_scores_are_those_of_one_process(self, report: dict[str, Any]) -> None:
        """Every carrier gives the bits that the same call gives in this process."""
        assert report["same"]
        assert report["same_by_map_in_arrow"]

    def test_killed_worker_costs_nothing_but_time(self, report: dict[str, Any]) -> None:
        """A Python worker that dies with the model open leaves no row out and none twice."""
        assert report["killed"] == 1
        assert report["same_after_kill"]

    def test_workers_never_import_tensorflow(self, report: dict[str, Any]) -> None:
        """After scoring, a worker has TensorFlow's library mapped and no module of its Python."""
        assert "libtensorflow mapped" in report["modules"]
        assert not any("tensorflow," in one or "." in one for one in report["modules"])
