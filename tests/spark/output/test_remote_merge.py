from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from tf2spark.errors import OutputError
from tf2spark.spark.output import local_merge, remote_merge
from tf2spark.spark.output.table_writer import write


@pytest.fixture(autouse=True)
def no_local_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has neither hard links nor exchanges of names, as HDFS."""
    monkeypatch.setattr(local_merge, "merge", lambda *_: False)


def days(spark: SparkSession, *names: str, start: int = 0) -> DataFrame:
    rows = [(start + day, name) for day, name in enumerate(names)]
    return spark.createDataFrame(rows, "id BIGINT, dt STRING")


def ids(spark: SparkSession, path: Path) -> list[int]:
    return sorted(row.id for row in spark.read.parquet(str(path)).collect())


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def run_id_of_an_ended_process() -> str:
    program = "from tf2spark.package.run_id import new_run_id; print(new_run_id())"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return ended.stdout.strip()


def test_append_adds(spark: SparkSession, tmp_path: Path) -> None:
    """To the folders that are there, and to new ones."""
    out = tmp_path / "out"
    write(days(spark, "a", "b"), str(out), partition_by=["dt"])
    write(days(spark, "b", "c", start=10), str(out), mode="append", partition_by=["dt"])
    assert ids(spark, out) == [0, 1, 10, 11]
    assert hidden(tmp_path) == []


def test_partitions_are_replaced(spark: SparkSession, tmp_path: Path) -> None:
    """Those that are written, and no others."""
    out = tmp_path / "out"
    write(days(spark, "a", "b"), str(out), partition_by=["dt"])
    new = days(spark, "b", "c", start=10)
    write(new, str(out), mode="overwrite_partitions", partition_by=["dt"])
    assert ids(spark, out) == [0, 10, 11]
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(("kind", "expected"), [("append", [0, 1, 10]), ("partitions", [0, 10])])
def test_what_a_killed_run_had_finished_is_moved_by_the_next(
    kind: str,
    expected: list[int],
    spark: SparkSession,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All its rows are there once another run starts, and none twice."""
    out = tmp_path / "out"
    write(days(spark, "a", "b"), str(out), partition_by=["dt"])
    left = tmp_path / f".out.{kind}-{run_id_of_an_ended_process()}"
    days(spark, "b", start=10).write.partitionBy("dt").parquet(str(left))
    write(days(spark, "z", start=20), str(out), mode="append", partition_by=["dt"])
    assert ids(spark, out) == [*expected, 20]
    assert "a run was killed while it moved its rows to" in capsys.readouterr().err
    assert hidden(tmp_path) == []


def test_a_move_that_was_cut_off_is_finished(spark: SparkSession, tmp_path: Path) -> None:
    """Files that are there already aren't moved again, and the rest is."""
    out, run = tmp_path / "out", run_id_of_an_ended_process()
    write(days(spark, "a"), str(out), partition_by=["dt"])
    left = tmp_path / f".out.append-{run}"
    days(spark, "b", "c", start=10).write.partitionBy("dt").parquet(str(left))
    (left / "dt=b").rename(out / "dt=b")
    assert len(remote_merge.recover(spark, f"file:{out}")) == 1
    assert ids(spark, out) == [0, 10, 11]


def test_a_folder_that_cannot_be_made_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    """Neither below a file nor in place of one."""
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="can't be written"):
        remote_merge.check_folder(spark, f"file:{tmp_path}/file/out", "error")
    with pytest.raises(OutputError, match="is a file, and rows can be added to a folder only"):
        remote_merge.check_folder(spark, f"file:{tmp_path}/file", "append")
    remote_merge.check_folder(spark, f"file:{tmp_path}/a/b/out", "error")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
