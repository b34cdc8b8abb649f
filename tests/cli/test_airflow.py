"""The lines that docs/jobs.md gives to Airflow's operators, run as processes as Airflow does."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cases.models import case, path_of

_PAGE = Path(__file__).parents[2] / "docs" / "jobs.md"
_JOB = """
command = "score"
model = "model"
[input]
path = "houses"
[output]
path = "scored"
partition_by = ["dt"]
[options]
keep = ["id", "dt"]
[spark]
"spark.master" = "local[2]"
"""


def block(kind: str, start: str) -> str:
    """Return the page's code block of one kind that starts with a text."""
    found = re.findall(rf"```{kind}\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    (text,) = [each for each in found if each.startswith(start)]
    return str(text)


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """A folder with a model, two days of houses and the job that scores them."""
    (tmp_path / "model").symlink_to(path_of(case("keras_mlp")))
    for day in ("2026-11-27", "2026-11-28"):
        folder = tmp_path / "houses" / f"dt={day}"
        folder.mkdir(parents=True)
        pq.write_table(
            case("keras_mlp").table(5).append_column("id", pa.array(range(5))), folder / "0.parquet"
        )
    (tmp_path / "nightly.toml").write_text(_JOB)
    (tmp_path / "checks.py").write_text("NAME = 'sent'\n")
    return tmp_path


def run_as_airflow(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder of its own, with stderr in the same log as stdout."""
    (folder / "airflow").mkdir(exist_ok=True)
    bin_folders = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder / "airflow",
        env={**os.environ, "PATH": bin_folders, "PYSPARK_PYTHON": sys.executable},
        timeout=300,
        check=False,
    )


def scored_days(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "scored").glob("dt=*"))


@pytest.mark.spark
def test_line_of_a_bash_operator(jobs: Path) -> None:
    """The day of the run is scored, and the log's last lines say so."""
    line = block("sh", "tf2spark run").replace("/srv/jobs", str(jobs))
    done = run_as_airflow(["bash", "-c", line.replace("{{ ds }}", "2026-11-28")], jobs)
    assert done.returncode == 0, done.stdout
    assert "done: 5 rows in, 5 out, 0 refused" in done.stdout
    assert scored_days(jobs) == ["dt=2026-11-28"]


def test_the_dag_has_the_line() -> None:
    """What Airflow runs is the line that is tested."""
    assert block("sh", "tf2spark run") in block("python", "# dags/prices.py")


@pytest.mark.spark
class TestSparkSubmit:
    def run(self, jobs: Path, *more: str) -> subprocess.CompletedProcess[str]:
        line = block("sh", "spark-submit").replace("--master yarn", "--master local[2]")
        main = "import checks\nprint(checks.NAME)\n" + block("python", "import runpy")
        (jobs / "tf2spark_job.py").write_text(main)
        command = shlex.split(line.replace("/srv/jobs", str(jobs)))
        return run_as_airflow([*command, *more], jobs)

    def test_writes_what_the_command_writes(self, jobs: Path) -> None:
        """The main file gets the modules of ``--py-files``, and the job its log and its output."""
        done = self.run(jobs)
        assert done.returncode == 0, done.stdout
        assert "sent\n" in done.stdout
        assert "done: 10 rows in, 10 out, 0 refused" in done.stdout
        assert scored_days(jobs) == ["dt=2026-11-27", "dt=2026-11-28"]

    def test_fails_with_the_status_of_the_command(self, jobs: Path) -> None:
        """Two, as for any mistake of the job; the message is in the log, and there is no output."""
        done = self.run(jobs, "--set", "model=/nowhere")
        assert done.returncode == 2, done.stdout
        assert "/nowhere" in done.stdout
        assert "Traceback" not in done.stdout
        assert not (jobs / "scored").exists()
