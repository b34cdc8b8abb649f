"""TFRecord files as inputs and outputs of commands."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from pyspark.sql import SparkSession

from cases.models import case, path_of
from tf2spark.cli.main import run

Capture = pytest.CaptureFixture[str]
SCHEMA = "id long, rating float, age long, income float"


@pytest.fixture(scope="module")
def scalars() -> str:
    """A model of three columns: rating, age and income."""
    return str(path_of(case("keras_scalars")))


def example(number: int) -> bytes:
    numbers = {"rating": 4.5, "income": 1000.0 + number}
    features = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in numbers.items()
    }
    for name in ("id", "age"):
        features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(message.SerializeToString())


def records_of(folder: Path, compression: str = "") -> int:
    files = [str(path) for path in folder.iterdir() if path.name.startswith("part-")]
    return sum(1 for _ in tf.data.TFRecordDataset(files, compression))


@pytest.mark.usefixtures("spark")
class TestScore:
    @pytest.mark.parametrize(
        ("name", "compression"), [("in.tfrecord", ""), ("in.tfrecord.gz", "GZIP")]
    )
    def test_a_file_is_scored_into_files(
        self, scalars: str, tmp_path: Path, capsys: Capture, name: str, compression: str
    ) -> None:
        """The ending of a path says the format and the compression; a second run is refused."""
        with tf.io.TFRecordWriter(str(tmp_path / name), compression) as writer:
            for number in range(5):
                writer.write(example(number))
        command = ["score", scalars, f"--input={tmp_path / name}", "--input-option"]
        command += [f"schema={SCHEMA}", f"--output={tmp_path}/out-{name}", "--keep=id"]
        assert run([*command, "--dry-run"]) == 0, capsys.readouterr().err
        assert "tfrecord, must not exist yet" in capsys.readouterr().out
        assert run(command) == 0, capsys.readouterr().err
        assert capsys.readouterr().out.startswith("5 rows, ")
        assert records_of(tmp_path / f"out-{name}", compression) == 5
        assert run(command) == 2
        assert "already exists" in capsys.readouterr().err

    def test_a_folder_is_named_by_its_format(
        self, scalars: str, spark: SparkSession, tmp_path: Path, capsys: Capture
    ) -> None:
        """Rows are added to a folder, or replace those in it, but never those that are read."""
        folder = tmp_path / "in"
        folder.mkdir()
        with tf.io.TFRecordWriter(str(folder / "a")) as writer:
            for number in range(5):
                writer.write(example(number))
        command = ["score", scalars, f"--input={folder}", "--input-format=tfrecord", "--where=id>2"]
        command += ["--input-option", f"schema={SCHEMA}", "--output-format=tfrecord", "--output"]
        for rows, flag in ((2, "--append"), (4, "--append"), (2, "--overwrite")):
            assert run([*command, str(tmp_path / "out"), flag]) == 0, capsys.readouterr().err
            assert records_of(tmp_path / "out") == rows
        for output in (folder, folder / "out", tmp_path):
            assert run([*command, str(output), "--overwrite"]) == 2
            assert " the input (--input " in capsys.readouterr().err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--input-option=scheme=id long", 'no option "scheme"'),
            ("--input-option=schema=id longg", "can't be parsed: Syntax error at or near 'longg'"),
            ("--input-option=compression=lz4", 'by "gzip", "zlib" or "none", not "lz4"'),
            ("--partition-by=id", "--partition-by has no effect on TFRecord files"),
            ("", 'its columns are "value"; say what feeds them'),
        ],
    )
    def test_mistakes_are_one_message(
        self, scalars: str, tmp_path: Path, capsys: Capture, options: str, message: str
    ) -> None:
        """Before a row is read."""
        with tf.io.TFRecordWriter(str(tmp_path / "in.tfrecord")) as writer:
            writer.write(example(1))
        command = ["score", scalars, f"--input={tmp_path}/in.tfrecord"]
        command += [f"--output={tmp_path}/out.tfrecord", *([options] if options else [])]
        assert run(command) == 2
        printed = capsys.readouterr().err
        assert message in printed
        assert "Traceback" not in printed
        assert len(printed.splitlines()) <= 5
