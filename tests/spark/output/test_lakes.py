"""Delta and Iceberg, on a Spark for which both have a release: that of `make test-oldest`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyspark
import pytest

from services.jars import fetch

_JOB = Path(__file__).parents[2] / "services" / "lake_job.py"
_SPARK = ".".join(pyspark.__version__.split(".")[:2])
_JARS = {
    "3.5": (
        "io.delta:delta-spark_2.12:3.1.0",
        "io.delta:delta-storage:3.1.0",
        "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.6.1",
    ),
    "4.1": (
        "io.delta:delta-spark_4.1_2.13:4.4.0",
        "io.delta:delta-storage:4.4.0",
        "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0",
    ),
}

pytestmark = [
    pytest.mark.oldest,
    pytest.mark.cluster,
    pytest.mark.skipif(_SPARK not in _JARS, reason=f"they have no release for Spark {_SPARK}"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the job saw: see `lake_job`."""
    jars = ",".join(map(str, fetch("lakes", _JARS[_SPARK])))
    folder = tmp_path_factory.mktemp("lakes")
    command = [sys.executable, str(_JOB), str(folder), jars]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["delta", "iceberg", "path"])
class TestLakes:
    def test_every_mode_writes_its_rows(self, name: str, report: Any) -> None:
        """A new table, rows that are added, partitions and whole tables that are replaced."""
        steps = report[name]
        assert (steps["new"], steps["appended"]) == ([0, 1], [0, 1, 10, 11])
        assert (steps["partitions"], steps["overwritten"]) == ([0, 11, 20], [30])

    def test_a_job_that_fails_changes_nothing(self, name: str, report: Any) -> None:
        """Their own commit comes after the last row."""
        assert report[name]["failed"] == ["refused", [0, 11, 20]]

    def test_what_does_not_fit_is_refused(self, name: str, report: Any) -> None:
        """An output that exists, other columns, and the table that is read."""
        steps = report[name]
        assert "already exists" in steps["again"]
        assert " is the input" in steps["itself"] or " is the same as the input" in steps["itself"]
        assert steps["other"].startswith(("OutputError", "ContractError", "AnalysisException"))


class TestWorkersReadDelta:
    def test_rows_are_those_of_spark(self, report: Any) -> None:
        """By name and path, with filters, of a former version, and after rows were deleted."""
        read = report["read_delta"]
        assert read["rows"] == read["path"] == read["time_travel"] == [60, True]
        assert read["some"] == [26, True]
        assert read["no_vectors_yet"] == [55, True]

    def test_deleted_rows_and_renamed_columns_are_left_to_spark(self, report: Any) -> None:
        """Where files have rows that the table hasn't, or columns by other names."""
        read = report["read_delta"]
        assert "deletion vectors" in read["vectors"][0]
        assert read["vectors_elsewhere"][1:] in ([], [True])
        assert "column mapping (name)" in read["mapped"][0]

    def test_another_version_is_noticed(self, report: Any) -> None:
        """A query that is planned later has the rows of then; its own table is read by Spark."""
        read = report["read_delta"]
        assert read["unchanged"] is True
        assert read["after_delete"] == [False, 55, True]
        assert (read["written_elsewhere"], read["written_to_itself"]) == (1, 0)


class TestWorkersReadIceberg:
    def test_rows_are_those_of_spark(self, report: Any) -> None:
        """With filters of partitions and of columns, after rows were added, after files changed."""
        read = report["read_iceberg"]
        assert read["rows"] == [60, True]
        assert (read["some"], read["partition"]) == ([26, True], [20, True])
        assert read["after_append"] == [False, 61, True]
        assert read["after_delete"] == read["others"] == [60, True]

    def test_what_is_not_in_the_files_is_left_to_spark(self, report: Any) -> None:
        """Renamed columns, deleted rows, other snapshots, and whatever files don't show."""
        read = report["read_iceberg"]
        assert 'its column "fields" has fields' in read["fields"][0]
        assert 'its column "x", which has floats' in read["floats"][0]
        assert 'its column "_pos" isn\'t in the files' in read["numbers"][0]
        assert "snapshot" in read["time_travel"][0]
        assert 'lacks the column "number"' in read["renamed"][0]
        assert 'column "n" is another than the table\'s' in read["added_again"][0]
        assert 'lacks the column "more"' in read["added"][0]
        assert "deleted rows beside its files" in read["deleted"][0]

    def test_another_snapshot_is_noticed(self, report: Any) -> None:
        """A query that is planned later has the rows of then."""
        assert report["read_iceberg"]["unchanged"] is True


class TestWorkersReadHive:
    def test_tables_that_spark_reads_itself(self, report: Any) -> None:
        """Rows are those of Spark, and another partition is noticed."""
        read = report["read_hive"]
        assert (read["rows"], read["partition"]) == ([5, True], [5, True])
        assert read["after_insert"] == [False, 10, True]

    def test_tables_that_hive_reads_are_left_to_spark(self, report: Any) -> None:
        """Text, and Parquet where Spark is told to leave it to Hive."""
        read = report["read_hive"]
        assert "HiveTableRelation" in read["text"][0]
        assert "HiveTableRelation" in read["by_hive"][0]
