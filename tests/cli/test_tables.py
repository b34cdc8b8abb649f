from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cases import recommenders
from cases.models import case, path_of
from tf2spark.cli.main import run

Capture = pytest.CaptureFixture[str]
PAIRS = recommenders.case("doubles")


@pytest.fixture(scope="module")
def scalars() -> str:
    """A model of three columns: rating, age and income."""
    return str(path_of(case("keras_scalars")))


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Iterator[Path]:
    """The folder of the current database, which has the table `people` of two days."""
    spark.sql(f"CREATE DATABASE lake LOCATION '{tmp_path / 'lake'}'")
    spark.sql("USE lake")
    rows = [(i, 4.5, 30 + i, 1000.5, f"2026-11-{27 + i % 2}") for i in range(6)]
    people = spark.createDataFrame(rows, "id INT, rating FLOAT, age INT, income FLOAT, dt STRING")
    people.write.partitionBy("dt").saveAsTable("people")
    yield tmp_path / "lake"
    spark.sql("USE default")
    spark.sql("DROP DATABASE lake CASCADE")


def ids(spark: SparkSession, table: str) -> list[int]:
    return sorted(row.id for row in spark.sql(f"SELECT id FROM {table}").collect())


@pytest.mark.usefixtures("lake")
class TestScore:
    def test_a_table_becomes_a_table_day_by_day(
        self, scalars: str, spark: SparkSession, capsys: Capture
    ) -> None:
        """The first day makes it, the second is added, and a day that is run again is replaced."""
        command = ["score", scalars, "--input-table", "people", "--output-table", "scored"]
        command += ["--partition-by", "dt", "--where"]
        assert run([*command, "dt = '2026-11-27'"]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out.startswith("3 rows, ")
        assert run([*command, "dt = '2026-11-28'", "--append"]) == 0, capsys.readouterr().err
        assert ids(spark, "scored") == [0, 1, 2, 3, 4, 5]
        assert run([*command, "id = 1", "--overwrite-partitions"]) == 0, capsys.readouterr().err
        assert ids(spark, "scored") == [0, 1, 2, 4]
        assert run([*command, "id = 5", "--overwrite"]) == 0, capsys.readouterr().err
        assert ids(spark, "scored") == [5]

    def test_a_query_becomes_files(
        self, scalars: str, spark: SparkSession, tmp_path: Path, capsys: Capture
    ) -> None:
        """As many as asked for in each partition, and with the compression of an option."""
        command = ["score", scalars, "--input-sql", "SELECT * FROM people WHERE id > 0"]
        command += [f"--output={tmp_path}/out.json", "--partition-by=dt", "--output-files=1"]
        assert run([*command, "--output-option=compression=gzip"]) == 0, capsys.readouterr().err
        files = sorted(str(path.parent.name) for path in (tmp_path / "out.json").rglob("*.json.gz"))
        assert files == ["dt=2026-11-27", "dt=2026-11-28"]
        assert ids(spark, f"json.`{tmp_path}/out.json`") == [1, 2, 3, 4, 5]

    def test_dry_run_writes_nothing(
        self, scalars: str, spark: SparkSession, capsys: Capture, tmp_path: Path
    ) -> None:
        """It prints what is read, what feeds what, and what would be written."""
        command = ["score", scalars, "--input-table=people", "--where=id = 1", "--dry-run"]
        command += ["--output-table=scored", "--keep=id,dt", "--partition-by=dt", "--append"]
        assert run(command) == 0
        printed = capsys.readouterr().out
        assert "input    people where id = 1: id int, rating float, age int" in printed
        assert "feed     rating = rating\n" in printed
        assert re.search(r"^columns  id int, dt string, \w+ ", printed, re.MULTILINE)
        assert "output   scored, partitioned by dt, rows there are kept\n" in printed
        assert printed.endswith("dry run: no row was read, and nothing was written\n")
        assert not spark.catalog.tableExists("scored")
        assert sorted(path.name for path in tmp_path.rglob("scored*")) == []

    def test_sigterm_ends_a_job_as_an_interruption_does(
        self, scalars: str, capsys: Capture, tmp_path: Path
    ) -> None:
        """A scheduler's signal is Ctrl-C: the jobs are canceled, and it is said."""
        slow = "SELECT *, java_method('java.lang.Thread', 'sleep', 50L + id) AS slept FROM people"
        slow += " JOIN (SELECT explode(sequence(1, 100)) AS n)"
        command = ["score", scalars, f"--input-sql={slow}", f"--output={tmp_path}/out"]
        ended = threading.Event()

        def terminate() -> None:
            while not ended.wait(0.05) and not list(tmp_path.glob(".out.*/_temporary")):
                pass
            if not ended.wait(1.0):
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=terminate)
        thread.start()
        try:
            status = run(command)
        finally:
            ended.set()
            thread.join()
        assert (status, capsys.readouterr().err.splitlines()[-1]) == (1, "interrupted")
        assert not (tmp_path / "out").exists()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--output=out", "the table to score is missing; write --input PATH, "),
            ("--input-table=people", "write --output PATH or --output-table NAME"),
            ("--input=a --input-table=people --output=out", "--input and --input-table exclude"),
            ("--input-table=people --output=out --output-table=t", "--output-table exclude"),
            ("--input-table=people --output=out --append --overwrite", "--overwrite and --append"),
            ("--input-table=people --input-format=csv --output=out", "--input-format is for files"),
            ("--input-table=peple --output=out", 'no table or view "peple"; did you mean'),
            ("--input-table=people --where=idd=1 --output=out", "--where idd=1: "),
            ("--input-table=people --output-table=people --append", "is the same as the input"),
            ("--input-table=people --output=LAKE/people/out", "is inside the input"),
            ("--input-table=people --output=MODEL --overwrite", "is the same as the model"),
            ("--input-table=people --output=MODEL/out", "is inside the model"),
            ("--input-table=people --output-table=nodb.t", 'no database "nodb"'),
            ("--input-table=people --output=out --partition-by=day", 'no column "day"'),
            ("--input-table=people --output=out --overwrite-partitions", "none are named"),
            ("--input-table=people --output=out --output-option=partitionBy=dt", "--partition-by"),
            ("--input-table=people --output=out --output-option=compresion=gzip", '"compression"?'),
            ("--input-table=people --output-format=delta --output=out", "io.delta:delta-spark_"),
        ],
    )  # fmt: skip
    def test_mistakes_are_found_before_a_row_is_read(
        self,
        options: str,
        message: str,
        scalars: str,
        lake: Path,
        capsys: Capture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Each is one message, and nothing is written."""
        monkeypatch.chdir(lake.parent)
        given = options.replace("LAKE", str(lake)).replace("MODEL", scalars).split(" ")
        status = run(["score", scalars, *given])
        printed = capsys.readouterr().err
        assert message in printed
        assert status == (1 if "delta" in options else 2)
        assert not (lake.parent / "out").exists()


class TestJobFile:
    def test_messages_name_its_keys(self, scalars: str, lake: Path, capsys: Capture) -> None:
        """Instead of options that the file doesn't have."""
        file = lake.parent / "job.toml"
        file.write_text(
            f'command = "score"\nmodel = "{scalars}"\n[input]\ntable = "peple"\n'
            '[output]\npath = "out"\n'
        )
        assert run(["run", str(file)]) == 2
        assert "input.table peple: the catalog has no table or view" in capsys.readouterr().err
        right = ["--set", "input.table=people", "--set", "options.error_column=why"]
        assert run(["run", str(file), *right]) == 2
        assert 'write options.mode = "permissive"' in capsys.readouterr().err
        assert run(["run", str(file), *right[:2], "--dry-run"]) == 0
        assert f"output   {lake.parent}/out, parquet, must not exist yet" in capsys.readouterr().out
        assert run(["run", str(file), *right[:2]]) == 0
        assert (lake.parent / "out" / "_SUCCESS").exists()

    def test_recommend_from_tables(
        self, spark: SparkSession, lake: Path, tmp_path: Path, capsys: Capture
    ) -> None:
        """Users and items are tables of the catalog, and so are the recommendations."""
        for name, table in (("users", PAIRS.users(6)), ("items", PAIRS.items(9))):
            spark.createDataFrame(table.to_pandas()).write.saveAsTable(name)
        file = tmp_path / "job.toml"
        file.write_text(
            f'command = "recommend"\nmodel = "{path_of(PAIRS)}"\n'
            '[users]\ntable = "users"\nwhere = "user_id IS NOT NULL"\n'
            '[items]\nsql = "SELECT * FROM items"\n'
            '[output]\ntable = "best"\n[options]\nk = 2\n'
        )
        assert run(["run", str(file), "--dry-run"]) == 0, capsys.readouterr().err
        assert "each user's best 2" in capsys.readouterr().out
        assert run(["run", str(file)]) == 0, capsys.readouterr().err
        assert [len(row.recommendations) for row in spark.table("best").collect()] == [2] * 6
        assert run(["run", str(file)]) == 2
        assert "output.table best already exists" in capsys.readouterr().err


HIVE = """
import sys
from pyspark.sql import SparkSession
from tf2spark.cli.main import run

def session():
    return SparkSession.builder.master("local[1]").enableHiveSupport().getOrCreate()

spark = session()
for name, kind in (("people", "PARQUET"), ("scored", "ORC"), ("lines", "TEXTFILE")):
    columns = "rating FLOAT, age INT, income FLOAT" if name == "people" else "y FLOAT"
    spark.sql(f"CREATE TABLE {name} (id INT, {columns}) PARTITIONED BY (dt STRING) "
              f"STORED AS {kind}")
spark.sql("INSERT INTO people VALUES (1, 4.5, 30, 9.5, 'a'), (2, 4.5, 30, 9.5, 'b')")
spark.stop()
command = ["score", sys.argv[1], "--input-table=people", "--keep=id,dt", "--fetch=y=output_0"]
command += ["--master=local[1]", "--log-format=none", "--append"]
for day in "ab":
    assert run([*command, f"--where=dt = '{day}'", "--output-table=scored"]) == 0
assert run([*command, "--output-table=lines"]) == 0
spark = session()
for name in ("scored", "lines"):
    rows = spark.sql(f"SELECT id, dt, y IS NOT NULL FROM {name} ORDER BY id").collect()
    print([tuple(row) for row in rows])
"""


@pytest.mark.spark
def test_hives_tables_where_no_catalog_is_configured(scalars: str, tmp_path: Path) -> None:
    """A command that starts its own session reads and writes those of a metastore, as Spark's
    shells do.
    """
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        [sys.executable, "-c", HIVE, scalars],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert lines == ["[(1, 'a', True), (2, 'b', True)]"] * 2
