from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import tf2spark
from cases.comparing import same_but_for_rounding
from cases.models import case, path_of
from tf2spark.cli.main import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def lookups() -> str:
    """A model of two columns, city (string) and year (long)."""
    return str(path_of(case("keras_lookups")))


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Twenty rows for it, with a column `id`, as Parquet."""
    rows = case("keras_lookups").table(20).append_column("id", pa.array(range(20)))
    pq.write_table(rows, tmp_path / "in.parquet")
    return str(tmp_path / "in.parquet")


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder).to_pylist()
    return sorted(rows, key=lambda row: row["id"])


@pytest.mark.oldest
@pytest.mark.usefixtures("spark")
class TestScore:
    def test_writes_what_the_same_call_gives_in_python(
        self, lookups: str, table: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """The output has every column and the scores of SavedModel.score, and a line sums up."""
        out = tmp_path / "out"
        assert run(["score", lookups, "--input", table, "--output", str(out)]) == 0
        here = tf2spark.SavedModel(lookups).score(pq.read_table(table))
        assert same_but_for_rounding(rows_of(out), here.to_pylist())
        printed = capsys.readouterr()
        pattern = rf"20 rows, [\d.]+ s, [\d.]+ rows/s: {out}\nmodel .*, digest sha256:\w{{64}}\n"
        assert re.fullmatch(pattern, printed.out)

    def test_options_are_those_of_python(self, lookups: str, table: str, tmp_path: Path) -> None:
        """Feeds, fetches and kept columns arrive as they would from Python."""
        options = ["--keep", "id", "--fetch", "scores=output_0", "--feed", 'city:="Oslo"']
        command = ["score", lookups, "--input", table, "--output", str(tmp_path / "out")]
        assert run([*command, *options, "--batch-rows", "3"]) == 0
        here = tf2spark.SavedModel(lookups).score(
            pq.read_table(table),
            feed={"city": tf2spark.literal("Oslo")},
            fetch={"scores": "output_0"},
            keep=["id"],
            batch_rows=3,
        )
        assert same_but_for_rounding(rows_of(tmp_path / "out"), here.to_pylist())

    def test_read_worker_says_why_it_cannot(
        self, lookups: str, table: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """A table whose rows are counted on the way in is more than its files."""
        command = ["score", lookups, "--input", table, "--read", "worker"]
        assert run([*command, "--output", str(tmp_path / "out")]) == 0
        more = ["--mode", "dropmalformed", "--output", str(tmp_path / "other")]
        assert run([*command, *more]) == 2
        message = last_line(capsys.readouterr().err)
        assert message.startswith("Error: the workers can't read the table themselves: ")
        assert "; --read auto has Spark read such a table" in message

    @pytest.mark.parametrize("kind", ["json", "orc"])
    def test_reads_and_writes_other_formats(
        self, kind: str, lookups: str, table: str, tmp_path: Path, spark: SparkSession
    ) -> None:
        """JSON and ORC tables score as Parquet does."""
        spark.read.parquet(table).write.format(kind).save(str(tmp_path / "in"))
        formats = ["--input-format", kind, "--output-format", kind]
        files = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files, *formats]) == 0
        scored = spark.read.format(kind).load(str(tmp_path / "out")).orderBy("id").collect()
        here = tf2spark.SavedModel(lookups).score(pq.read_table(table)).to_pylist()
        assert [row["id"] for row in scored] == [row["id"] for row in here]
        for row, expected in zip(scored, here, strict=True):
            assert row["output_0"] == pytest.approx(expected["output_0"], rel=1e-6)

    def test_csv_has_a_header_and_types(self, tmp_path: Path) -> None:
        """A CSV file is read with its header, its types inferred, and written with a header."""
        (tmp_path / "in.csv").write_text("id,rating,age,income\n7,4.5,30,1000.5\n")
        files = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out")]
        formats = ["--input-format", "csv", "--output-format", "csv"]
        model = str(path_of(case("keras_scalars")))
        assert run(["score", model, *files, *formats]) == 0
        written = next((tmp_path / "out").glob("part-*.csv")).read_text().splitlines()
        assert written[0].startswith("id,rating,age,income,")
        assert written[1].startswith("7,4.5,30,1000.5,")

    def test_reader_and_writer_options_are_sparks(self, lookups: str, tmp_path: Path) -> None:
        """--input-option and --output-option reach Spark and win over the defaults."""
        (tmp_path / "in.csv").write_text("id;city;year\n7;Oslo;2001\n")
        files = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out")]
        formats = ["--input-format", "csv", "--output-format", "json"]
        options = ["--input-option", "sep=;", "--output-option", "compression=gzip"]
        assert run(["score", lookups, *files, *formats, *options]) == 0
        assert len(list((tmp_path / "out").glob("part-*.json.gz"))) == 1

    def test_version_is_the_models(self, lookups: str, table: str, tmp_path: Path) -> None:
        """--version N scores with that folder."""
        (tmp_path / "ctr").mkdir()
        (tmp_path / "ctr" / "3").symlink_to(lookups)
        (tmp_path / "ctr" / "4").symlink_to(tmp_path / "nowhere")
        files = ["--input", table, "--output", str(tmp_path / "out")]
        assert run(["score", str(tmp_path / "ctr"), "--version", "3", *files]) == 0


@pytest.mark.usefixtures("spark")
class TestRowsThatCannotBeScored:
    @pytest.fixture
    def holes(self, tmp_path: Path) -> str:
        """Three rows, the second without a city."""
        rows = {"id": [0, 1, 2], "city": ["Oslo", None, "Rome"], "year": [2001, 2002, 2003]}
        pq.write_table(pa.table(rows), tmp_path / "holes.parquet")
        return str(tmp_path / "holes.parquet")

    def test_failfast_ends_with_2_and_the_row(
        self, lookups: str, holes: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """The job stops, the message names the column and the row, and no output is there."""
        command = ["score", lookups, "--input", holes, "--output", str(tmp_path / "out")]
        assert run(command) == 2
        message = capsys.readouterr().err
        assert '"city"' in message
        assert "null" in message
        assert "row 1" in message
        assert "; --mode permissive scores the other rows" in message
        assert "Traceback" not in message
        assert sorted(path.name for path in tmp_path.iterdir()) == ["holes.parquet"]

    def test_permissive_writes_the_reason(
        self, lookups: str, holes: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """Every row is written, the bad one with its reason, and the closing line counts it."""
        command = ["score", lookups, "--input", holes, "--output", str(tmp_path / "out")]
        assert run([*command, "--mode", "permissive", "--error-column", "why"]) == 0
        reasons = [row["why"] for row in rows_of(tmp_path / "out")]
        assert [reason is None for reason in reasons] == [True, False, True]
        assert capsys.readouterr().out.startswith("3 rows, 1 of them could not be scored, ")

    def test_dropmalformed_counts_what_it_drops(
        self, lookups: str, holes: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """The bad row is left out, and the closing line says so."""
        command = ["score", lookups, "--input", holes, "--output", str(tmp_path / "out")]
        assert run([*command, "--mode", "dropmalformed"]) == 0
        assert [row["id"] for row in rows_of(tmp_path / "out")] == [0, 2]
        assert capsys.readouterr().out.startswith("2 rows, 1 dropped, ")

    def test_failure_with_overwrite_keeps_the_old_output(
        self, lookups: str, holes: str, table: str, tmp_path: Path
    ) -> None:
        """A job that fails leaves the existing table complete, and nothing next to it."""
        out = tmp_path / "out"
        assert run(["score", lookups, "--input", table, "--output", str(out)]) == 0
        before = rows_of(out)
        command = ["score", lookups, "--input", holes, "--output", str(out), "--overwrite"]
        assert run(command) == 2
        assert rows_of(out) == before
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("spark")
class TestRefusedOnTheDriver:
    def test_existing_output(
        self, lookups: str, table: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """An output that exists is refused without --overwrite and replaced with it."""
        out = tmp_path / "out"
        out.mkdir()
        command = ["score", lookups, "--input", table, "--output", str(out)]
        assert run(command) == 2
        assert capsys.readouterr().err == (
            f"Error: {out} already exists: pass --overwrite to replace it, or choose another "
            "--output\n"
        )
        assert run([*command, "--overwrite"]) == 0
        assert len(rows_of(out)) == 20

    def test_missing_input(self, lookups: str, tmp_path: Path, capsys: Capture) -> None:
        """An input that isn't there is named."""
        files = ["--input", str(tmp_path / "no"), "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files]) == 2
        assert capsys.readouterr().err == (
            f"Error: --input {tmp_path}/no: there is no such file or folder\n"
        )

    def test_input_of_another_format(self, lookups: str, tmp_path: Path, capsys: Capture) -> None:
        """A text file given as Parquet is the data's fault, reported in one line."""
        (tmp_path / "in.txt").write_text("not parquet")
        files = ["--input", str(tmp_path / "in.txt"), "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files]) == 2
        message = last_line(capsys.readouterr().err)
        assert message.startswith("Error: ")
        assert "in.txt" in message

    def test_unknown_format(
        self, lookups: str, table: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """A format that Spark doesn't know is named."""
        files = ["--input", table, "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files, "--input-format", "parket"]) == 2
        assert "parket" in capsys.readouterr().err

    def test_column_that_is_not_there(self, lookups: str, tmp_path: Path, capsys: Capture) -> None:
        """A table that doesn't fit gets the option that fixes it."""
        pq.write_table(pa.table({"year": [1], "town": ["Oslo"]}), tmp_path / "in.parquet")
        files = ["--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files]) == 2
        assert "--feed city=" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--feed", "city"], "--feed city can't be parsed; write INPUT=COLUMN"),
            (["--fetch", "output_0"], "--fetch output_0 can't be parsed; write COLUMN=OUTPUT"),
            (["--conf", "spark.x"], "--conf spark.x has no value; write --conf KEY=VALUE"),
            (
                ["--conf", "master=local"],
                "--conf master has no effect: .* write --conf spark.master",
            ),
            (["--where", "x", "--input-table", "a\0b"], "--input-table has a NUL character"),
            (["--input-option", "header"], "; write --input-option KEY=VALUE"),
            (["--error-column", "e"], "; write --mode permissive"),
        ],
        ids=lambda value: value[0] if isinstance(value, list) else "",
    )
    def test_wrong_option(
        self,
        options: list[str],
        message: str,
        lookups: str,
        table: str,
        tmp_path: Path,
        capsys: Capture,
    ) -> None:
        """An option that can't be read is named, with the way to write it."""
        files = ["--input", table, "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files, *options]) == 2
        assert re.search(message, capsys.readouterr().err)

    def test_mistakes_come_at_once(self, lookups: str, tmp_path: Path, capsys: Capture) -> None:
        """Those of the options, and of the names of inputs and outputs, before Spark starts."""
        command = ["score", lookups, "--input", f"{tmp_path}/no", "--error-column=e"]
        assert run([*command, "--feed=q"]) == 2
        first, *lines = capsys.readouterr().err.splitlines()
        assert first == "Error: 4 mistakes:"
        assert [line.split()[1] for line in lines] == ["--feed", "an", "--input", "the"]
        command += ["--output", f"{tmp_path}/out", "--fetch=x=nope", "--fetch=y=no"]
        assert run(command) == 2
        first, *lines = capsys.readouterr().err.splitlines()
        assert first == "Error: 4 mistakes:"
        assert lines[0].endswith("; write --mode permissive")
        assert 'has no output "nope"' in lines[2]

    def test_mistakes_in_options_and_table_come_at_once(
        self, lookups: str, table: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """Whoever corrects an output isn't sent back for a column."""
        files = ["--input", table, "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files, "--fetch=x=nope", "--keep=idd"]) == 2
        first, *lines = capsys.readouterr().err.splitlines()[-3:]
        assert first == "Error: 2 mistakes:"
        assert [line.split()[1] for line in lines] == ["the", "keep:"]

    def test_wrong_master(self, lookups: str, table: str, tmp_path: Path) -> None:
        """A master that Spark doesn't know ends with 2 before a JVM is started."""
        files = ["--input", table, "--output", str(tmp_path / "out")]
        done = command_line("score", lookups, *files, "--master", "http://head:7077")
        assert done.returncode == 2
        message = last_line(done.stderr)
        assert message.startswith("Error: --master http://head:7077: Spark knows ")


def last_line(text: str) -> str:
    return text.splitlines()[-1]


def command_line(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tf2spark", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.oldest
class TestProcess:
    @pytest.mark.spark
    def test_starts_spark_quietly(self, lookups: str, table: str, tmp_path: Path) -> None:
        """It starts its own Spark, which writes nothing of its own to stdout and stderr."""
        files = ["--input", table, "--output", str(tmp_path / "out"), "--log-format", "none"]
        done = command_line("score", lookups, *files, "--master", "local[1]")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("20 rows, ")
        assert len(rows_of(tmp_path / "out")) == 20

    @pytest.mark.spark
    def test_failure_is_one_message(self, lookups: str, tmp_path: Path) -> None:
        """A row that fails the job gives one message, without Spark's or Python's tracebacks."""
        rows = pa.table({"city": ["Oslo", None], "year": [2001, 2002]})
        pq.write_table(rows, tmp_path / "in.parquet")
        files = ["--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out")]
        options = ["--master", "local[1]", "--log-format", "none"]
        done = command_line("score", lookups, *files, *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("Error: ")
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "out").exists()

    def test_existing_output_is_refused_before_spark_starts(self, lookups: str, table: str) -> None:
        """The refusal needs no Java, so it comes before Spark is started."""
        done = command_line(
            "score", lookups, "--input", table, "--output", table, JAVA_HOME="/nowhere"
        )
        assert done.returncode == 2
        assert "already exists" in done.stderr

    def test_no_java_is_one_message(self, lookups: str, table: str, tmp_path: Path) -> None:
        """A JAVA_HOME without a Java ends with 1 and the way to get one."""
        files = ["--input", table, "--output", str(tmp_path / "out")]
        done = command_line("score", lookups, *files, JAVA_HOME="/nowhere")
        assert done.returncode == 1
        message = last_line(done.stderr)
        assert message.startswith("Error: JAVA_HOME is /nowhere, but there is no bin/java in")
