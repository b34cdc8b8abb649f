from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tf2spark.errors import OutputError, SetupError
from tf2spark.package import publish
from tf2spark.spark.hadoop import exists
from tf2spark.spark.output.table_writer import check_local_path, local_path, write
from tf2spark.spark.output.target import SaveMode


def failing(spark: SparkSession) -> DataFrame:
    """A table of two partitions, the second of which can't be computed."""
    refuse = F.when(F.col("id") < 50, F.col("id")).otherwise(F.raise_error(F.lit("refused")))
    return spark.range(0, 100, 1, 2).select(refuse.cast("long").alias("id"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_whole_tables(spark: SparkSession, tmp_path: Path) -> None:
    """A new table has its rows and Spark's mark of success, and leaves nothing next to it."""
    write(spark.range(10), str(tmp_path / "out"))
    assert spark.read.parquet(str(tmp_path / "out")).count() == 10
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert names(tmp_path) == ["out"]


def test_failed_write_leaves_nothing(spark: SparkSession, tmp_path: Path) -> None:
    """A job that fails midway leaves no folder that a reader could take for the table."""
    with pytest.raises(Exception, match="refused"):
        write(failing(spark), str(tmp_path / "out"))
    assert names(tmp_path) == []


def test_failed_overwrite_keeps_the_old_table(spark: SparkSession, tmp_path: Path) -> None:
    """The old table stays in its place until the new one is complete."""
    write(spark.range(10), str(tmp_path / "out"))
    with pytest.raises(Exception, match="refused"):
        write(failing(spark), str(tmp_path / "out"), mode="overwrite")
    assert spark.read.parquet(str(tmp_path / "out")).count() == 10
    assert names(tmp_path) == ["out"]


def test_a_disk_without_room_is_named(spark: SparkSession, tmp_path: Path) -> None:
    """In one sentence; the old table stays, and no part of the new one."""
    write(spark.range(10), str(tmp_path / "out"))
    jvm = int(spark._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]
    limits = resource.prlimit(jvm, resource.RLIMIT_FSIZE)
    resource.prlimit(jvm, resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="out can't be written: File too large; make room"):
            write(spark.range(100_000), str(tmp_path / "out"), mode="overwrite")
    finally:
        resource.prlimit(jvm, resource.RLIMIT_FSIZE, limits)
    assert spark.read.parquet(str(tmp_path / "out")).count() == 10
    assert names(tmp_path) == ["out"]


def test_overwrite_replaces(spark: SparkSession, tmp_path: Path) -> None:
    """Only the new rows remain, and the old folder is gone."""
    write(spark.range(10), str(tmp_path / "out"))
    write(spark.range(3), str(tmp_path / "out"), mode="overwrite")
    assert spark.read.parquet(str(tmp_path / "out")).count() == 3
    assert names(tmp_path) == ["out"]


def test_table_can_replace_the_one_it_was_read_from(spark: SparkSession, tmp_path: Path) -> None:
    """The input may be the output: it is read completely before it is replaced."""
    path = str(tmp_path / "table")
    write(spark.range(10), path)
    spark.catalog.clearCache()
    write(spark.read.parquet(path).withColumn("x", F.col("id") * 2), path, mode="overwrite")
    spark.catalog.refreshByPath(path)
    assert spark.read.parquet(path).columns == ["id", "x"]
    assert spark.read.parquet(path).count() == 10


def test_an_output_that_appears_meanwhile_stays(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without overwrite, another writer's table isn't replaced at the end, and the run says so."""
    other_writer_comes_before_the_rename(tmp_path / "out", monkeypatch)
    with pytest.raises(OutputError) as raised:
        write(spark.range(3), str(tmp_path / "out"))
    assert str(raised.value) == (
        f"{tmp_path}/out appeared while this run was writing: what another writer put there stays, "
        "and the rows of this run were removed; pass --overwrite to replace it, or choose another "
        "--output"
    )
    assert (tmp_path / "out" / "other").exists()
    assert names(tmp_path) == ["out"]


def test_overwrite_replaces_an_output_that_appears_meanwhile(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With overwrite, it is one whole table at the end, not one inside the other."""
    other_writer_comes_before_the_rename(tmp_path / "out", monkeypatch)
    write(spark.range(3), str(tmp_path / "out"), mode="overwrite")
    assert spark.read.parquet(str(tmp_path / "out")).count() == 3
    assert not (tmp_path / "out" / "other").exists()
    assert names(tmp_path) == ["out"]


def other_writer_comes_before_the_rename(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = publish.publish

    def appear_first(staged: Path, target: Path, *, overwrite: bool) -> None:
        target.mkdir()
        (target / "other").touch()
        rename(staged, target, overwrite=overwrite)

    monkeypatch.setattr(publish, "publish", appear_first)


@pytest.mark.parametrize("mode", ["error", "overwrite"])
def test_a_link_stays_and_leads_to_the_new_table(
    spark: SparkSession, tmp_path: Path, mode: SaveMode
) -> None:
    """What a link leads to is the output, whether it is there already or not."""
    (tmp_path / "out").symlink_to(tmp_path / "real")
    if mode == "overwrite":
        write(spark.range(10), str(tmp_path / "real"))
    write(spark.range(3), str(tmp_path / "out"), mode=mode)
    assert (tmp_path / "out").is_symlink()
    assert spark.read.parquet(str(tmp_path / "real")).count() == 3
    assert names(tmp_path) == ["out", "real"]


def test_a_file_is_replaced_by_a_table(spark: SparkSession, tmp_path: Path) -> None:
    """With overwrite, whatever is at the path is the old output."""
    (tmp_path / "out").write_text("not a table")
    write(spark.range(3), str(tmp_path / "out"), mode="overwrite")
    assert spark.read.parquet(str(tmp_path / "out")).count() == 3
    assert names(tmp_path) == ["out"]


def test_names_with_spaces_and_signs_are_taken_literally(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Also those that mean something in a URI or a pattern."""
    path = tmp_path / "a b%20[c]{d}"
    for rows in (10, 3):
        write(spark.range(rows), f"file:{path}", mode="overwrite")
        assert pq.read_table(path).num_rows == rows
    assert names(tmp_path) == [path.name]


def test_a_parent_that_cannot_be_written_is_refused_before_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after hours: neither a folder without permission nor a file can hold a table."""
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    with pytest.raises(OutputError, match=rf"{tmp_path} is not writable by this user"):
        check_local_path(str(tmp_path / "a" / "b"), mode="error")
    monkeypatch.undo()
    (tmp_path / "file").touch()
    check_local_path(str(tmp_path / "file" / "b"), format="noop", mode="error")
    with pytest.raises(OutputError, match="file is not a folder"):
        check_local_path(str(tmp_path / "file" / "b"), mode="error")


def test_a_mount_point_is_refused_before_the_job() -> None:
    """It couldn't be renamed after hours of work."""
    modes: tuple[SaveMode, ...] = ("error", "overwrite")
    for mode in modes:
        with pytest.raises(OutputError, match=r"/ already exists|a mount point can.t be replaced"):
            check_local_path("/", mode=mode)


def test_a_file_system_that_is_missing_is_named(spark: SparkSession) -> None:
    """As it is for models."""
    with pytest.raises(SetupError, match="needs a jar that this Spark lacks"):
        write(spark.range(3), "oss://user:PASSWORD@bucket/out")


def test_what_a_killed_run_left_is_removed_and_named(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next run to this output says on stderr what it removed, once."""
    program = "from tf2spark.package.run_id import new_run_id; print(new_run_id())"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    left = tmp_path / f".out.tf2spark-{ended.stdout.strip()}"
    (left / "_temporary").mkdir(parents=True)
    write(spark.range(3), str(tmp_path / "out"))
    said = capsys.readouterr().err
    assert said == f"removed {left}, which a run that was killed had left\n"
    assert names(tmp_path) == ["out"]


def test_existing_output_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    """Without overwrite, an existing folder is refused and not touched, even an empty one."""
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError) as raised:
        write(spark.range(3), str(tmp_path / "out"))
    assert str(raised.value) == (
        f"{tmp_path}/out already exists: pass --overwrite to replace it, or choose another --output"
    )
    assert names(tmp_path / "out") == []


def test_other_formats_commit_by_themselves(spark: SparkSession, tmp_path: Path) -> None:
    """A format that isn't files in a folder is saved in its own way."""
    write(spark.range(3), str(tmp_path / "out"), format="noop", mode="overwrite")
    assert names(tmp_path) == []


def test_existence_is_asked_of_the_paths_own_file_system(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Hadoop looks up both plain paths and file: URIs."""
    assert exists(spark, str(tmp_path))
    assert exists(spark, tmp_path.as_uri())
    assert not exists(spark, f"{tmp_path.as_uri()}/no")


class TestLocalPath:
    @pytest.fixture(autouse=True)
    def no_hadoop_configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HADOOP_CONF_DIR", "SPARK_CONF_DIR"):
            monkeypatch.delenv(name, raising=False)

    def test_plain_path_and_file_uri_are_local(self) -> None:
        """Both ways to name a local file give its path, which may contain spaces."""
        assert local_path("/a/b") == Path("/a/b")
        assert local_path("file:///a/b%20c") == Path("/a/b c")

    @pytest.mark.parametrize("path", ["hdfs:///a", "s3a://bucket/a"])
    def test_other_schemes_are_not(self, path: str) -> None:
        """A path on another file system can't be checked without Spark."""
        assert local_path(path) is None

    def test_hadoops_configuration_may_say_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a Hadoop configuration a plain path can be one on HDFS."""
        monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop")
        assert local_path("/a/b") is None
        assert local_path("file:/a/b") == Path("/a/b")

    def test_existing_local_output_is_refused_without_spark(self, tmp_path: Path) -> None:
        """An output that exists on this machine is refused, unless it is to be overwritten."""
        with pytest.raises(OutputError, match="already exists"):
            check_local_path(str(tmp_path), mode="error")
        check_local_path(str(tmp_path), mode="overwrite")
        check_local_path(str(tmp_path / "new"), mode="error")


def test_a_name_that_is_too_long_is_refused_before_the_job(tmp_path: Path) -> None:
    """That of the hidden folder beside it would be."""
    with pytest.raises(OutputError, match="can't be written: its name is too long"):
        check_local_path(str(tmp_path / ("n" * 240)))
