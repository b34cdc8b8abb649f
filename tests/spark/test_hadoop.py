"""`spark.hadoop`: files through Hadoop's API, on this machine's file system, and its faults."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tf2spark.errors import ModelNotFoundError, SetupError, StorageError
from tf2spark.spark import hadoop
from tf2spark.spark.hadoop import as_hadoop, scheme_of


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("models/ctr", None),
        ("/models/ctr", None),
        ("file:///models/ctr", None),
        ("hdfs://node:8020/ctr", "hdfs"),
        ("hdfs:///ctr", "hdfs"),
        ("s3://bucket/ctr", "s3a"),
        ("S3A://bucket/ctr", "s3a"),
        ("C:/models", None),
    ],
)
def test_a_scheme_is_that_of_the_path(path: str, scheme: str | None) -> None:
    """A path without a scheme, or with file:, is this machine's; s3 means s3a."""
    assert scheme_of(path) == scheme


def test_s3_is_written_as_hadoop_knows_it() -> None:
    """Hadoop's own client is s3a."""
    assert as_hadoop("s3://bucket/ctr/") == "s3a://bucket/ctr"
    assert as_hadoop("hdfs://n/s3/x") == "hdfs://n/s3/x"


def test_files_go_there_and_come_back(spark: SparkSession, tmp_path: Path) -> None:
    """An uploaded file is listed with its size, and is downloaded as the same bytes."""
    (tmp_path / "local").write_bytes(b"12345")
    there = (tmp_path / "there").as_uri()
    hadoop.upload(spark, tmp_path / "local", f"{there}/a/b")
    (file,) = [file for file in hadoop.files(spark, there) if not file.path.endswith(".crc")]
    assert (file.path, file.size_bytes) == ("a/b", 5)
    assert hadoop.folders(spark, there) == ["a"]
    hadoop.download(spark, f"{there}/a/b", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"12345"
    assert not list(tmp_path.glob(".again*"))


def test_a_file_takes_the_place_of_another(spark: SparkSession, tmp_path: Path) -> None:
    """`replace` overwrites the target."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    hadoop.replace(spark, (tmp_path / "a").as_uri(), (tmp_path / "b").as_uri())
    assert (tmp_path / "b").read_text() == "a"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("one_step", [True, False], ids=["in one step", "by copying"])
def test_a_rename_is_never_onto_or_into_another(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_step: bool
) -> None:
    """Hadoop's older interface moves a folder into one that exists; both stay where they are."""
    if not one_step:
        monkeypatch.setattr(hadoop, "OBJECT_STORES", frozenset({None}))
    for name in ("a", "b"):
        (tmp_path / name / name).mkdir(parents=True)
    with pytest.raises(FileExistsError):
        hadoop.rename_new(spark, (tmp_path / "a").as_uri(), (tmp_path / "b").as_uri())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "a", "b", "b"]
    hadoop.rename_new(spark, (tmp_path / "a").as_uri(), (tmp_path / "c").as_uri())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "b", "c"]


def test_an_empty_folder_of_an_object_store_counts_as_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some keep one where a table was, and a new table takes its name."""
    monkeypatch.setattr(hadoop, "OBJECT_STORES", frozenset({None}))
    (tmp_path / "a" / "part").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    hadoop.rename_new(spark, (tmp_path / "a").as_uri(), (tmp_path / "empty").as_uri())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "part"]


def test_a_folder_that_appears_amid_a_rename_is_not_moved_into(
    spark: SparkSession, tmp_path: Path
) -> None:
    """If Hadoop moved one into the other after all, it is moved back."""
    for name in ("a", "b"):
        (tmp_path / name / name).mkdir(parents=True)
    file_system, source = hadoop.resolve(spark, (tmp_path / "a").as_uri())
    _, target = hadoop.resolve(spark, (tmp_path / "b").as_uri())

    class Unseen:
        """The file system as it was before the target appeared, at the first look."""

        looked = False

        def exists(self, path: object) -> bool:
            looked, self.looked = self.looked, True
            return looked and bool(file_system.exists(path))

        def rename(self, source: object, target: object) -> bool:
            return bool(file_system.rename(source, target))

    assert not hadoop._is_empty_folder(file_system, target)

    with pytest.raises(FileExistsError):
        hadoop._rename_and_check(spark, Unseen(), source, target)
    paths = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert paths == ["a", "a/a", "b", "b/b"]


def test_tracebacks_do_not_show_passwords(spark: SparkSession) -> None:
    """Neither the message nor the Java exception behind it has what a URL holds."""
    with pytest.raises(SetupError) as raised:
        hadoop.exists(spark, "zz://user:PASSWORD@x/y")
    text = "".join(traceback.format_exception(raised.value))
    assert "zz://***@x/y" in text
    assert "UnsupportedFileSystemException" in text
    assert "PASSWORD" not in text.replace('"zz://user:PASSWORD@x/y")', "")  # this line of the test


def test_a_missing_folder_is_named(spark: SparkSession, tmp_path: Path) -> None:
    """The error names the path."""
    uri = (tmp_path / "nowhere").as_uri()
    with pytest.raises(ModelNotFoundError, match=f'there is nothing at "{uri}"'):
        hadoop.files(spark, uri)


def test_an_unknown_scheme_says_what_it_needs(spark: SparkSession) -> None:
    """An unknown scheme needs a jar and a setting."""
    with pytest.raises(SetupError, match=r"its jar .* and spark\.hadoop\.fs\.zz\.impl"):
        hadoop.exists(spark, "zz://x/y")


@pytest.mark.parametrize(
    ("path", "coordinate"),
    [
        ("s3://bucket/x", "org.apache.hadoop:hadoop-aws:3"),
        ("oss://bucket/x", "org.apache.hadoop:hadoop-aliyun:3"),
        ("abfss://c@a.dfs/x", "org.apache.hadoop:hadoop-azure:3"),
    ],
)
def test_a_missing_jar_is_named(spark: SparkSession, path: str, coordinate: str) -> None:
    """The message has the coordinate of the jar, in the version of this Hadoop."""
    with pytest.raises(SetupError, match=f"spark.jars.packages={coordinate}"):
        hadoop.exists(spark, path)


def test_a_service_that_is_away_is_named(spark: SparkSession) -> None:
    """A name node that doesn't answer isn't reported as a missing file."""
    with pytest.raises(StorageError, match=r'the service behind "hdfs://127.0.0.1:1/x" doesn\'t'):
        hadoop.exists(spark, "hdfs://127.0.0.1:1/x")


@pytest.mark.parametrize(
    ("java_message", "words"),
    [
        (
            "An error occurred while calling o1.exists.\n: java.nio.file.AccessDeniedException: "
            "s3a://b/x: getFileStatus: Forbidden (Status Code: 403, Request ID: null)",
            "may not be read with these credentials: check spark.hadoop.fs.s3a.access.key",
        ),
        (
            "An error occurred while calling o1.exists.\n: java.io.IOException: disk on fire",
            '"s3a://b/x": disk on fire',
        ),
    ],
)
def test_what_java_throws_is_said_in_one_line(
    spark: SparkSession, java_message: str, words: str
) -> None:
    """The message keeps the cause, without its class and stack."""
    assert words in str(hadoop._explain(spark, "s3a://b/x", java_message))
