"""`spark.tfrecord.source` as Spark calls it, step by step, without Spark."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql.types import BinaryType, DateType, LongType, StringType, StructType

datasource = pytest.importorskip("pyspark.sql.datasource")  # since Spark 4.0

from tf2spark.errors import ContractError, OutputError  # noqa: E402
from tf2spark.spark.tfrecord.source import TFRecordSource, TFRecordWriter  # noqa: E402

RAW = StructType().add("value", BinaryType())
COLUMNS = StructType().add("n", LongType()).add("word", StringType())


def read(schema: StructType = RAW, **options: str) -> list[dict[str, Any]]:
    reader = TFRecordSource(options).reader(schema)
    rows: list[dict[str, Any]] = []
    for partition in reader.partitions():
        task_reader, task = pickle.loads(pickle.dumps((reader, partition)))
        for batch in task_reader.read(task):
            rows += batch.to_pylist()
    return rows


def writer(path: Path, *, overwrite: bool = False, **options: str) -> TFRecordWriter:
    return TFRecordSource({"path": str(path), **options}).writer(COLUMNS, overwrite)


def batches(*rows: int) -> Iterable[pa.RecordBatch]:
    schema = pa.schema([("n", pa.int64()), ("word", pa.string())])
    for row in rows:
        yield pa.RecordBatch.from_pylist([{"n": row, "word": f"w{row}"}], schema=schema)


def write_task(job: TFRecordWriter, *rows: int) -> Any:
    task = pickle.loads(pickle.dumps(job))
    return pickle.loads(pickle.dumps(task.write(iter(batches(*rows)))))


def numbers(path: Path) -> list[int]:
    return sorted(row["n"] for row in read(COLUMNS, path=str(path)))


def beside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_what_tasks_write_is_read_again(tmp_path: Path, compression: str) -> None:
    """Each task has a file, unless it has no rows; a marker says that all are there."""
    path = tmp_path / "out"
    job = writer(path, compression=compression)
    job.commit([write_task(job, 1, 2), write_task(job), write_task(job, 3)])
    assert numbers(path) == [1, 2, 3]
    assert len(list(path.iterdir())) == 3
    assert (path / "_SUCCESS").exists()
    assert beside(path) == ["out"]


def test_nothing_appears_before_the_commit(tmp_path: Path) -> None:
    """And nothing is left of a job that is aborted."""
    path = tmp_path / "out"
    job = writer(path)
    message = write_task(job, 1)
    assert not path.exists()
    job.abort([message, None])
    assert beside(path) == []


def test_files_of_lost_attempts_are_no_rows(tmp_path: Path) -> None:
    """A task that ran twice counts once."""
    path = tmp_path / "out"
    job = writer(path)
    write_task(job, 1)
    job.commit([write_task(job, 1)])
    assert numbers(path) == [1]


def test_rows_are_added_or_replaced(tmp_path: Path) -> None:
    """A job without rows leaves an empty table."""
    path = tmp_path / "out"
    for rows in ((1, 2), (3,)):
        job = writer(path)
        job.commit([write_task(job, *rows)])
    assert numbers(path) == [1, 2, 3]
    job = writer(path, overwrite=True)
    message = write_task(job, 9)
    assert numbers(path) == [1, 2, 3]
    job.commit([message])
    assert numbers(path) == [9]
    job = writer(path, overwrite=True)
    job.commit([write_task(job)])
    assert numbers(path) == []
    assert beside(path) == ["out"]


def test_a_commit_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """A file of a task that is gone by then, for example."""
    path = tmp_path / "out"
    job = writer(path)
    job.commit([write_task(job, 1, 2)])
    job = writer(path)
    messages = [write_task(job, 3), write_task(job, 4)]
    (staged,) = (each for each in tmp_path.iterdir() if each != path)
    (staged / messages[1].file).unlink()
    with pytest.raises(OutputError, match="can't be written"):
        job.commit(messages)
    job.abort(messages)
    assert numbers(path) == [1, 2]
    assert beside(path) == ["out"]


def test_a_file_in_the_place_of_the_folder_is_an_error_before_a_row(tmp_path: Path) -> None:
    """Rows can't be added to it; overwriting replaces it."""
    path = tmp_path / "out"
    path.write_bytes(b"")
    with pytest.raises(OutputError, match="is a file"):
        writer(path)
    job = writer(path, overwrite=True)
    job.commit([write_task(job, 5)])
    assert numbers(path) == [5]


@pytest.mark.parametrize("name", ["with space", "100%25", "a#b", "q?x", "ümläut", "deep/er/still"])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    """As a path, and as the URI that Hadoop makes of it."""
    path = tmp_path / name
    job = writer(path)
    job.commit([write_task(job, 1)])
    assert numbers(path) == [1]
    assert len(read(COLUMNS, path=f"file:{path}")) == 1


def test_a_relative_path_is_that_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks may run in other folders."""
    monkeypatch.chdir(tmp_path)
    job = writer(Path("out"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    messages = [write_task(job, 1)]
    monkeypatch.chdir(tmp_path)
    job.commit(messages)
    reader = TFRecordSource({"path": "out"}).reader(COLUMNS)
    (partition,) = reader.partitions()
    monkeypatch.chdir(tmp_path / "work")
    assert [batch.num_rows for batch in reader.read(partition)] == [1]


def test_several_files_share_a_task_where_there_are_very_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are read, once."""
    monkeypatch.setattr("tf2spark.spark.tfrecord.source._MAX_PARTITIONS", 3)
    path = tmp_path / "out"
    for row in range(7):
        job = writer(path)
        job.commit([write_task(job, row)])
    assert len(TFRecordSource({"path": str(path)}).reader(RAW).partitions()) == 3
    assert numbers(path) == list(range(7))


def test_columns_and_options_are_checked_before_a_row(tmp_path: Path) -> None:
    """In the words of the option."""
    source = TFRecordSource({"path": str(tmp_path), "recordType": "ByteArray"})
    with pytest.raises(ContractError, match="one column of binary"):
        source.reader(COLUMNS)
    with pytest.raises(ContractError, match="one column of strings or binary"):
        source.writer(COLUMNS, overwrite=False)
    with pytest.raises(ContractError, match='no option "schemas"'):
        TFRecordSource({"path": "x", "schemas": "n long"}).schema()
    with pytest.raises(ContractError, match=r'column "day".*can\'t be date32'):
        TFRecordSource({"path": "x"}).reader(StructType().add("day", DateType()))
    assert TFRecordSource({"path": "x", "Schema": "n long"}).schema() == "n long"
    with pytest.raises(ContractError, match="no path"):
        TFRecordSource({}).reader(RAW).partitions()
