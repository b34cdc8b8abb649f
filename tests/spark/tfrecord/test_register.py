"""TFRecord files as a data source of Spark, with TensorFlow as the other side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from pyspark.sql import SparkSession

import tf2spark
from tf2spark import errors
from tf2spark.errors import ContractError, OutputError, SetupError
from tf2spark.spark.output import table_writer
from tf2spark.spark.output.checks import check_before_spark
from tf2spark.spark.output.target import Target
from tf2spark.spark.tfrecord.register import has_python_sources

SCHEMA = "age long, city string, embedding array<float>"


def example(number: int) -> bytes:
    features = {
        "age": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
        "city": tf.train.Feature(bytes_list=tf.train.BytesList(value=[f"c{number}".encode()])),
        "embedding": tf.train.Feature(float_list=tf.train.FloatList(value=[number, 0.5])),
    }
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(message.SerializeToString())


def write(path: Path, numbers: range, compression: str = "") -> None:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for number in numbers:
            writer.write(example(number))


@pytest.fixture(scope="module")
def session(spark: SparkSession) -> SparkSession:
    tf2spark.register_tfrecord(spark)
    return spark


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four files of TensorFlow's, one of them compressed and one empty, and a hidden one."""
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "a.tfrecord", range(10))
    write(folder / "b.tfrecord", range(10, 20))
    write(folder / "c.tfrecord.gz", range(20, 30), "GZIP")
    write(folder / "d.tfrecord", range(0))
    (folder / "_SUCCESS").touch()
    return folder


def read(spark: SparkSession, *paths: Path | str, **options: str) -> Any:
    reader = spark.read.format("tfrecord").options(**options)
    return reader.load([str(path) for path in paths] if len(paths) > 1 else str(paths[0]))


def files(folder: Path) -> list[str]:
    return sorted(str(each) for each in folder.iterdir() if not each.name.startswith("_"))


@pytest.mark.oldest
def test_spark_3_needs_a_jar(spark: SparkSession) -> None:
    """The message names it."""
    if has_python_sources(spark):
        tf2spark.register_tfrecord(spark)
        return
    with pytest.raises(SetupError, match=r"build spark-tfrecord of LinkedIn for its Scala"):
        tf2spark.register_tfrecord(spark)


def test_files_of_tensorflow_are_read(session: SparkSession, folder: Path) -> None:
    """Records as they are, a partition for each file that has any."""
    df = read(session, folder)
    assert df.schema.simpleString() == "struct<value:binary>"
    assert df.rdd.getNumPartitions() == 3
    assert sorted(row.value for row in df.collect()) == sorted(map(example, range(30)))
    assert read(session, f"{folder}/[ab].*").count() == 20
    assert read(session, folder / "a.tfrecord", folder / "d.tfrecord").count() == 10
    assert read(session, folder / "d.tfrecord").count() == 0


def test_a_schema_unpacks_examples(session: SparkSession, folder: Path) -> None:
    """Given to the reader, or as an option."""
    df = session.read.format("tfrecord").schema(SCHEMA).load(str(folder))
    rows = sorted(df.collect())
    assert [tuple(row) for row in rows] == [(n, f"c{n}", [n, 0.5]) for n in range(30)]
    assert sorted(read(session, folder, schema=SCHEMA).collect()) == rows
    assert df.where("age < 3").select("city").count() == 3


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_tensorflow_reads_what_is_written(
    session: SparkSession, folder: Path, tmp_path: Path, compression: str
) -> None:
    """Columns as Examples; tasks without rows write no file."""
    out = tmp_path / "out"
    df = session.read.format("tfrecord").schema(SCHEMA).load(str(folder)).where("age < 25")
    df = df.union(df.where("false"))
    df.write.format("tfrecord").mode("append").option("compression", compression).save(str(out))
    assert len(files(out)) == 3
    assert (out / "_SUCCESS").exists()
    dataset = tf.data.TFRecordDataset(files(out), "GZIP" if compression == "gzip" else "")
    ages = [
        tf.train.Example.FromString(each.numpy()).features.feature["age"].int64_list.value[0]
        for each in dataset
    ]
    assert sorted(ages) == list(range(25))
    assert read(session, out).count() == 25


def test_outputs_are_appended_to_or_replaced_as_a_whole(
    session: SparkSession, folder: Path, tmp_path: Path
) -> None:
    """Nothing else is left beside them, also if a job fails."""
    out = tmp_path / "out"
    df = read(session, folder)
    df.write.format("tfrecord").mode("append").save(str(out))
    df.write.format("tfrecord").mode("append").save(str(out))
    assert read(session, out).count() == 60
    failing = df.selectExpr("if(value is null, value, assert_true(false)) is null as x")
    for mode in ("append", "overwrite"):
        with pytest.raises(Exception, match="USER_RAISED_EXCEPTION"):
            failing.write.format("tfrecord").mode(mode).save(str(out))
        assert read(session, out).count() == 60
    df.limit(7).write.format("tfrecord").mode("overwrite").save(str(out))
    assert read(session, out).count() == 7
    df.where("false").write.format("tfrecord").mode("overwrite").save(str(out))
    assert read(session, out).count() == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "out"]


def test_the_command_line_s_writer_has_all_modes(
    session: SparkSession, folder: Path, tmp_path: Path
) -> None:
    """Also the one that refuses an output that exists."""
    out, df = tmp_path / "out dir", read(session, folder)
    table_writer.write(df, str(out), format="tfrecord")
    with pytest.raises(OutputError, match="already exists"):
        table_writer.write(df, str(out), format="tfrecord")
    table_writer.write(df, str(out), format="tfrecord", mode="append")
    assert read(session, out).count() == 60
    table_writer.write(df, str(out), format="tfrecord", mode="overwrite")
    assert read(session, out).count() == 30
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "out dir"]
    target = Target(str(out), None, "tfrecord", {}, "error", ("age",), None)
    with pytest.raises(ContractError, match="--partition-by has no effect on TFRecord"):
        check_before_spark(target)


def error_of(run: Any) -> str:
    with pytest.raises(Exception, match="tf2spark") as caught:
        run()
    found = errors.from_text(str(caught.value))
    assert found is not None, str(caught.value)
    return str(found)


def test_mistakes_are_one_message(session: SparkSession, folder: Path) -> None:
    """Damage, types that don't fit, paths and options that aren't there."""
    assert "nowhere: there is no such file" in error_of(
        lambda: read(session, f"{folder}/nowhere").count()
    )
    data = bytearray((folder / "b.tfrecord").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "b.tfrecord").write_bytes(data)
    assert re.search(
        r"record at byte \d+ of \S+b\.tfrecord", error_of(lambda: read(session, folder).count())
    )
    wrong = session.read.format("tfrecord").schema("age string").load(f"{folder}/a.tfrecord")
    assert 'feature "age" of record 0' in error_of(wrong.collect)
    assert 'no option "codecs"' in error_of(lambda: read(session, folder, codecs="gzip").count())
    days = session.sql("select current_date() as day, 1 as n")
    save = days.write.format("tfrecord").mode("append").save
    assert 'column "day"' in error_of(lambda: save(f"{folder}/out"))


def test_the_manual_is_right(
    session: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Its examples run in order, and score the records of the first in the second."""
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[3] / "docs" / "tfrecord.md").read_text()
    for name in ("houses", "models/price"):
        page = page.replace(f'"{name}"', f'"{tmp_path / name}"')
    names: dict[str, Any] = {"spark": session}
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), names)
    scored = names["model"].score(names["records"], feed={"examples": "value"}, keep=[])
    assert sorted(row.price for row in scored.collect()) == [135000.0, 150000.0, 270000.0]
    assert "|[roof, lift]|" in capsys.readouterr().out
