from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import venv
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tf2spark.errors import ContractError, SetupError
from tf2spark.spark.session import (
    check_local_python,
    configured_master,
    current_session,
    get_or_create,
    java_range,
    running,
)


def test_running_session_is_used_and_kept(spark: SparkSession) -> None:
    """A session that runs already is used as it is, and outlives the `with`."""
    with running("local[7]") as session:
        assert session is spark
    assert spark.range(3).count() == 3


def program(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that may start a Spark of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=300,
        env={key: value for key, value in os.environ.items() if key != "SPARK_LOCAL_IP"}
        | environment,
        check=False,
    )


@pytest.mark.spark
def test_starts_quietly_with_defaults_that_settings_win_over() -> None:
    """A local session has no web page, this Python in its workers, our settings, and no noise.

    A setting for the Python wins over the variable, as with spark-submit.
    """
    done = program(
        """
        import os, sys
        os.environ["PYSPARK_PYTHON"] = "no-such-python"
        from tf2spark.spark.session import running
        options = os.environ.get("SPARK_SUBMIT_OPTS")
        settings = {"spark.driver.memory": "700m", "spark.pyspark.python": sys.executable}
        with running("local[1]", settings) as spark:
            conf = spark.sparkContext.getConf()
            print(spark.sparkContext.master, conf.get("spark.driver.memory"))
            print(spark.sparkContext.uiWebUrl, os.environ["SPARK_LOCAL_IP"])
            workers = spark.sparkContext.parallelize([0], 1).map(lambda _: sys.executable)
            print(workers.collect() == [sys.executable])
            print("clean" if os.environ.get("SPARK_SUBMIT_OPTS") == options else "changed")
        print(SparkSession.getActiveSession() if "SparkSession" in globals() else "stopped")
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        *("local[1]", "700m", "None", "127.0.0.1", "True", "clean", "stopped")
    ]
    assert done.stderr == ""


def test_master_is_sparks_own_choice_where_none_is_given(tmp_path: Path) -> None:
    """The master in spark-defaults.conf takes precedence over local[*]."""
    (tmp_path / "spark-defaults.conf").write_text("spark.master   local[1]\nspark.app.name x\n")
    text = "from tf2spark.spark.session import configured_master; print(configured_master())"
    assert program(text, SPARK_CONF_DIR=str(tmp_path)).stdout == "local[1]\n"
    assert program(text, SPARK_CONF_DIR=str(tmp_path / "no")).stdout == "None\n"


def test_master_of_submit_arguments_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """PYSPARK_SUBMIT_ARGS may name a master, too."""
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--master yarn pyspark-shell")
    assert configured_master() == "yarn"


@pytest.mark.parametrize("master", ["http://head:7077", "localhost", "local[]", "spark://"])
def test_unknown_master_is_refused(master: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown master is refused before a JVM is started."""
    monkeypatch.setattr("tf2spark.spark.session.current_session", lambda: None)
    with pytest.raises(ContractError) as raised:
        get_or_create(master)
    assert str(raised.value) == (
        f'--master {master}: Spark knows "local[2]", "local[*]", "spark://HOST:PORT", "yarn" '
        'and "k8s://HOST:PORT"'
    )


def test_missing_pyspark_is_one_message() -> None:
    """Without PySpark the message says how to get it."""
    done = program(
        """
        import sys
        sys.modules["pyspark"] = None
        from tf2spark.spark.session import need_pyspark
        need_pyspark()
        """
    )
    assert done.stderr.splitlines()[-1].startswith(
        "tf2spark.errors.SetupError: PySpark can't be imported ("
    )
    assert "pip install 'tf2spark[local]'" in done.stderr


def test_older_spark_runs_on_older_java() -> None:
    """Spark 3 runs on Java 8 to 17, Spark 4 from 17 on."""
    assert (java_range("3.5.9"), java_range("4.3.0")) == ((8, 17), (17, None))


def test_any_thread_has_the_session_of_the_process(spark: SparkSession) -> None:
    """A session is active in the thread that made it; the others find it all the same."""
    sessions: list[SparkSession | None] = []
    thread = threading.Thread(target=lambda: sessions.append(current_session()))
    thread.start()
    thread.join()
    assert sessions == [spark]


def test_a_session_whose_context_was_stopped_is_none(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context that was stopped without its session leaves nothing to use."""
    monkeypatch.setattr("tf2spark.spark.jvm.status.is_stopped", lambda session: session is spark)
    assert current_session() is None


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python of an environment without packages."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "env", with_pip=False)
    return str(folder / "env" / "bin" / "python")


def test_another_python_of_local_workers_is_refused(
    spark: SparkSession, bare_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that somebody else started says at once which Python lacks what, and the remedy."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(spark.sparkContext, "pythonExec", bare_python)
    with pytest.raises(SetupError) as refused:
        check_local_python(spark)
    message = str(refused.value)
    assert message.startswith(f'Spark\'s workers run "{bare_python}"')
    assert "tf2spark, attrs, numpy, pandas, pyarrow, tensorflow; set " in message
    assert f"PYSPARK_PYTHON={sys.executable} before the session starts" in message
    assert f"--conf spark.pyspark.python={sys.executable}" in message


def test_a_python_is_found_as_spark_finds_it(
    spark: SparkSession, bare_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name on the PATH where nothing is set; this Python, or one with the packages, is fine."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(spark.sparkContext, "pythonExec", "python")
    monkeypatch.setenv("PATH", os.path.dirname(bare_python))
    with pytest.raises(SetupError, match=r'run "python" \(.*/env/bin/python\), which lacks'):
        check_local_python(spark)
    for usable in (sys.executable, "no-such-python"):
        monkeypatch.setattr(spark.sparkContext, "pythonExec", usable)
        check_local_python(spark)
