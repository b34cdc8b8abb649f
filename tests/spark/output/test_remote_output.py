"""`remote_output`: the renames of HDFS, by Hadoop's interface on this machine's file system."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cases.outputs import OTHER_MACHINE, content, ended_run, names, table
from tf2spark.errors import OutputError, StorageError
from tf2spark.package.run_id import new_run_id
from tf2spark.spark import hadoop
from tf2spark.spark.output import remote_output
from tf2spark.spark.output.remote_output import publish, recover, staged_uri


def staged(spark: SparkSession, target: Path) -> str:
    """Write a new table next to an output; return its URI."""
    uri = staged_uri(spark, target.as_uri())
    table(target.parent / uri.rpartition("/")[2], "new")
    return uri


def test_a_new_output_gets_its_name(spark: SparkSession, tmp_path: Path) -> None:
    """Nothing stays next to it."""
    target = tmp_path / "out"
    publish(spark, staged(spark, target), target.as_uri(), overwrite=False)
    assert content(target) == "new"
    assert names(tmp_path) == ["out"]


def test_an_old_output_is_replaced_only_with_overwrite(spark: SparkSession, tmp_path: Path) -> None:
    """Without it, both stay as they are, neither inside the other."""
    target = table(tmp_path / "out", "old")
    new = staged(spark, target)
    with pytest.raises(FileExistsError):
        publish(spark, new, target.as_uri(), overwrite=False)
    assert content(target) == "old"
    publish(spark, new, target.as_uri(), overwrite=True)
    assert content(target) == "new"
    assert names(tmp_path) == ["out"]


def test_an_output_that_comes_between_the_renames_is_replaced_too(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer's table doesn't hide the new one, and doesn't hold it."""
    target = table(tmp_path / "out", "old")
    rename, others = hadoop.rename_new, iter(["other"])

    def appear_first(spark: SparkSession, source: str, to: str) -> None:
        if ".tf2spark-" in source and not target.exists():
            for other in others:
                table(target, other)
        rename(spark, source, to)

    monkeypatch.setattr(remote_output, "rename_new", appear_first)
    publish(spark, staged(spark, target), target.as_uri(), overwrite=True)
    assert content(target) == "new"
    assert names(tmp_path) == ["out"]


def test_what_was_there_is_never_deleted_before_the_new_table_is(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that never becomes free: the error says where the old table is."""
    target = table(tmp_path / "out", "old")
    rename = hadoop.rename_new

    def never_free(spark: SparkSession, source: str, to: str) -> None:
        if ".tf2spark-" in source:
            raise FileExistsError(to)
        rename(spark, source, to)

    monkeypatch.setattr(remote_output, "rename_new", never_free)
    monkeypatch.setattr(remote_output, "_TRIES", 3)
    with pytest.raises(
        OutputError, match=r"keep writing there; what was there is at .*\.out\.old-"
    ):
        publish(spark, staged(spark, target), target.as_uri(), overwrite=True)
    (old,) = tmp_path.glob(".out.old-*")
    assert content(old) == "old"


def test_a_failed_rename_puts_the_old_table_back(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the new table can't take the name, the old one gets it again."""
    target = table(tmp_path / "out", "old")
    rename = hadoop.rename_new

    def refuse_the_new(spark: SparkSession, source: str, to: str) -> None:
        if ".tf2spark-" in source and not target.exists():
            raise StorageError("no")
        rename(spark, source, to)

    monkeypatch.setattr(remote_output, "rename_new", refuse_the_new)
    with pytest.raises(StorageError, match="no"):
        publish(spark, staged(spark, target), target.as_uri(), overwrite=True)
    assert content(target) == "old"


def test_a_run_killed_between_the_renames_is_finished(spark: SparkSession, tmp_path: Path) -> None:
    """The new table was finished, so it takes the name; what is left is removed and named."""
    run_id, uri = ended_run(), (tmp_path / "out").as_uri()
    table(tmp_path / f".out.old-{run_id}", "old")
    table(tmp_path / f".out.tf2spark-{run_id}", "new")
    first, second = recover(spark, uri)
    assert first == f"a run was killed while it replaced {uri}: its new rows are there now"
    assert second.startswith("removed ")
    assert f".out.old-{run_id}" in second
    assert content(tmp_path / "out") == "new"
    assert names(tmp_path) == ["out"]
    assert recover(spark, uri) == []


def test_a_run_killed_before_or_after_the_renames_leaves_the_output(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Its parts are removed; what has the name keeps it."""
    table(tmp_path / "out", "whole")
    for kind in ("tf2spark", "old"):
        table(tmp_path / f".out.{kind}-{ended_run()}", kind)
    assert len(recover(spark, (tmp_path / "out").as_uri())) == 2
    assert content(tmp_path / "out") == "whole"
    assert names(tmp_path) == ["out"]


def test_an_old_table_of_another_machine_is_put_back(spark: SparkSession, tmp_path: Path) -> None:
    """Whether its run is at work can't be known: nothing of it is removed."""
    table(tmp_path / f".out.old-{OTHER_MACHINE}", "old")
    table(tmp_path / f".out.tf2spark-{OTHER_MACHINE}", "part")
    notes = recover(spark, (tmp_path / "out").as_uri())
    assert "the old rows are there now" in notes[0]
    assert "may belong to a run on another machine" in notes[1]
    assert content(tmp_path / "out") == "old"
    assert names(tmp_path) == [f".out.tf2spark-{OTHER_MACHINE}", "out"]


def test_running_runs_and_names_of_others_are_not_touched(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Only what a run that has ended named is a leftover, also next to a name with wildcards."""
    for name in (f".out.tf2spark-{new_run_id()}", ".out.old-backup", f".o.old-{ended_run()}"):
        table(tmp_path / name, "mine")
    before = names(tmp_path)
    assert recover(spark, (tmp_path / "out").as_uri()) == []
    assert recover(spark, f"{tmp_path.as_uri()}/o*") == []
    assert names(tmp_path) == before


def test_no_parent_means_no_leftovers(spark: SparkSession, tmp_path: Path) -> None:
    """An output may be the first in its folder."""
    assert recover(spark, f"{tmp_path.as_uri()}/none/out") == []


def test_on_object_stores_leftovers_are_named_only(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename there copies, so each name may hold a part of the table."""
    monkeypatch.setattr(remote_output, "OBJECT_STORES", frozenset({None}))
    left = table(tmp_path / f".out.old-{ended_run()}", "old")
    (note,) = recover(spark, (tmp_path / "out").as_uri())
    assert "was left by a run that was killed and may hold a part of" in note
    assert content(left) == "old"
    assert names(tmp_path) == [left.name]
