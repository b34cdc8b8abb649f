"""`spark.jvm`: PySpark's private attributes, and what happens in a release that lacks one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyspark
import pytest
from pyspark import SparkConf, SparkContext, java_gateway
from pyspark.sql import SparkSession

import tf2spark
from tf2spark.errors import SetupError
from tf2spark.spark import progress, worker_checks
from tf2spark.spark.jvm import access, queries, status
from tf2spark.spark.jvm.launch import launch_driver
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.scan.parquet_scan import plan_scan

_SOURCES = Path(tf2spark.__file__).parent
_PRIVATE = re.compile(
    r"\._j[a-z]|_jvm|\._gateway|_ensure_initialized|launch_gateway|_collect_as_arrow"
    r"|pyspark\.sql\.connect"
)


def test_private_attributes_are_used_in_one_folder() -> None:
    """Only `jvm/` touches the JVM's bridge, and only `recognize` names Connect's modules."""
    users = {path for path in _SOURCES.rglob("*.py") if _PRIVATE.search(path.read_text())}
    others = {path.name for path in users if path.parent.name != "jvm"}
    assert others == {"recognize.py"}


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("_jvm", access.jvm),
        ("_jvm", lambda nothing: access.hadoop_path(nothing, "/a")),
        ("_jsparkSession", access.hadoop_configuration),
        ("_gateway", lambda nothing: access.java_array(nothing, None, [])),
        ("_jdf", queries.query_execution),
        ("_jvm", lambda nothing: access.java_class(nothing, "java.lang.Object")),
        ("_jvm", lambda nothing: access.scala_seq(nothing, [])),
    ],
)
def test_a_missing_attribute_is_one_clear_error(name: str, use: Callable[[Any], Any]) -> None:
    """It names PySpark's version, what is missing, and what to use instead."""
    nothing = SimpleNamespace(sparkContext=SimpleNamespace())
    with pytest.raises(SetupError) as caught:
        use(nothing)
    assert str(caught.value).startswith(
        f"PySpark {pyspark.__version__} has no {name} in types.SimpleNamespace, through which "
    )
    assert "use a classic session (no Spark Connect) of PySpark 3.5 to 4.3" in str(caught.value)


def test_arrays_and_paths_are_javas_own(spark: SparkSession) -> None:
    """What these functions return are objects of the JVM, with the values given."""
    array = access.java_array(spark, access.jvm(spark).java.lang.String, ["a", "b"])
    assert list(array) == ["a", "b"]
    assert access.hadoop_path(spark, access.hadoop_path(spark, "/a"), "b").toString() == "/a/b"


def test_executors_are_counted(spark: SparkSession) -> None:
    """A local session has no executor besides the driver; elsewhere they are counted."""
    assert status.executor_count(spark) == 0


def test_workers_are_asked_in_all_rounds_where_executors_are_not_counted(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the private attribute nothing says when all have answered, so all rounds are run."""
    monkeypatch.delattr(spark.sparkContext, "_jsc")
    assert status.executor_count(spark) is None
    rounds = [[(7, "host")]] * worker_checks._MAX_ROUNDS
    remaining = list(rounds)
    answers = worker_checks._ask_all_executors(spark, remaining.pop)
    assert answers == [(7, "host")] * len(rounds)


def test_progress_shows_no_rows_where_metrics_cannot_be_read(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar still counts tasks, by PySpark's public status tracker."""
    monkeypatch.delattr(spark, "_jsparkSession")
    assert status.status_store(spark) is None
    assert progress.rows_done(spark) == 0
    assert progress._active_stages(spark.sparkContext) == {}


def test_files_are_left_to_spark_where_plans_cannot_be_read(spark: SparkSession) -> None:
    """A DataFrame without the private attribute fails no job; workers just can't read it."""
    df = spark.range(3)
    bare = SimpleNamespace(
        schema=df.schema, columns=df.columns, sparkSession=spark, isStreaming=False
    )
    with pytest.raises(NotReadable, match=r"plan can't be examined \(PySpark .* has no _jdf"):
        plan_scan(bare, 64, verify=True)  # type: ignore[arg-type]


class Rows:
    """A DataFrame of PySpark 3.5, as far as collecting it goes."""

    def __init__(self, df: Any) -> None:
        self.schema, self.columns, self.df = df.schema, df.columns, df


def test_rows_are_collected_without_a_public_method(spark: SparkSession) -> None:
    """PySpark 3.5 has no toArrow: the private one gives the same; with neither it is an error."""
    df = spark.range(3).withColumnRenamed("id", "a.b")
    rows: Any = Rows(df)
    with pytest.raises(SetupError, match="has no _collect_as_arrow"):
        queries.collect_arrow(rows)
    rows._collect_as_arrow = df._collect_as_arrow
    assert queries.collect_arrow(rows).to_pydict() == {"a.b": [0, 1, 2]}
    rows._collect_as_arrow = lambda: []
    assert queries.collect_arrow(rows).schema == pa.schema([("a.b", pa.int64())])
    if hasattr(df, "toArrow"):
        assert queries.collect_arrow(df).to_pydict() == {"a.b": [0, 1, 2]}


class TestLaunch:
    @pytest.fixture(autouse=True)
    def no_jvm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is launched for real, and the running JVM is hidden."""
        self.launched: list[Any] = []

        def launch_gateway(conf: Any = None, popen_kwargs: Any = None) -> str:
            self.launched.append((conf, popen_kwargs))
            return "gateway"

        monkeypatch.setattr(SparkContext, "_gateway", None)
        monkeypatch.setattr(java_gateway, "launch_gateway", launch_gateway)
        monkeypatch.setattr(
            SparkContext, "_ensure_initialized", lambda gateway: self.launched.append(gateway)
        )

    def launch(self) -> bool:
        self.conf = SparkConf(loadDefaults=False)
        return launch_driver(self.conf, 7)

    def test_a_jvm_gets_the_stderr_given(self) -> None:
        """It is launched with the settings and the descriptor, and becomes the context's."""
        assert self.launch()
        assert self.launched == [(self.conf, {"stderr": 7}), "gateway"]

    def test_a_running_jvm_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process has one JVM, whose stderr is settled."""
        monkeypatch.setattr(SparkContext, "_gateway", "running")
        assert not self.launch()
        assert self.launched == []

    @pytest.mark.parametrize(
        ("owner", "name"),
        [
            (java_gateway, "launch_gateway"),
            (SparkContext, "_ensure_initialized"),
            (SparkContext, "_gateway"),
        ],
    )
    def test_nothing_is_launched_where_a_part_is_missing(
        self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
    ) -> None:
        """The ordinary way then starts Spark."""
        monkeypatch.delattr(owner, name)
        assert not self.launch()
        assert self.launched == []

    def test_nothing_is_launched_where_stderr_cannot_be_given(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A launch_gateway that takes no popen_kwargs isn't called."""
        monkeypatch.setattr(java_gateway, "launch_gateway", lambda conf: pytest.fail("called"))
        assert not self.launch()


@pytest.mark.spark
def test_spark_starts_without_the_private_attributes() -> None:
    """Where the JVM can't be launched with a stderr of our own, Spark starts in its usual way."""
    program = """
        from tf2spark.spark.jvm import launch
        from tf2spark.spark.session import running
        launch.launch_driver = lambda conf, stderr: False
        with running("local[1]") as spark:
            print(spark.range(3).count())
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ.copy(),
        check=False,
    )
    assert done.stdout == "3\n", done.stderr
