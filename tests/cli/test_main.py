from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

import tf2spark
from tf2spark import errors
from tf2spark.cli.failures import describe_failure, warnings_on_stderr
from tf2spark.cli.main import commands, run


class AnalysisException(Exception):
    """Stands for pyspark's own: it is recognized by its name and module."""

    __module__ = "pyspark.errors.exceptions.captured"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ContractError("x"), 2),
        (errors.ModelNotFoundError("x"), 2),
        (errors.UnsafeModelError("x"), 2),
        (errors.RowError("x"), 2),
        (errors.OutputError("x"), 2),
        (errors.SetupError("x"), 1),
        (errors.RunError("x"), 1),
        (errors.RowCountError("x"), 1),
        (ZeroDivisionError("x"), 1),
        (AnalysisException("x"), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_status_says_whose_fault_it_is(error: Exception, status: int) -> None:
    """Arguments, model and data that are wrong end with 2, all else with 1."""
    assert describe_failure(error)[0] == status


def test_error_of_a_worker_is_found_in_sparks_text() -> None:
    """A row error that Spark wraps in its own exception keeps its message and its status."""
    text = "Job aborted\nTraceback (most recent call last):\ntf2spark.errors.RowError: row 3: null"
    assert describe_failure(RuntimeError(text)) == (2, "row 3: null")


def test_message_of_spark_loses_its_codes() -> None:
    """Of Spark's message only the first line stays, without error class and SQL state."""
    error = AnalysisException("[PATH_NOT_FOUND] Path does not exist: a. SQLSTATE: 42K03\n\tat x")
    assert describe_failure(error) == (2, "Path does not exist: a.")


def test_a_value_that_an_expression_refuses_is_the_datas_fault() -> None:
    """Of a condition, for example: Spark raises Java's class, and names it in SQL's terms."""
    text = "[CAST_INVALID_INPUT] The value 'x' cannot be cast. SQLSTATE: 22018\n== SQL ==\nid > 'x'"
    assert describe_failure(RuntimeError(text)) == (2, "The value 'x' cannot be cast.")
    assert describe_failure(RuntimeError(text.replace("22018", "XX000")))[0] == 1


def test_file_that_cannot_be_read_is_the_datas_fault() -> None:
    """A broken input file that turns up while the job runs ends with 2."""
    error = RuntimeError("Job aborted.\n[FAILED_READ_FILE.NO_HINT] Error reading file a.parquet.")
    assert describe_failure(error) == (2, "Error reading file a.parquet.")
    causes = "\n\tat x\nCaused by: a.B: failed\n\tat y\nCaused by: java.io.EOFException: cut off\n"
    status, message = describe_failure(RuntimeError(str(error) + causes))
    assert (status, message) == (2, "Error reading file a.parquet. (cut off)")


@pytest.mark.parametrize(
    "line",
    [
        "ModuleNotFoundError: No module named 'pyarrow'",
        "PySparkImportError: [PACKAGE_NOT_INSTALLED] PyArrow >= 18.0.0 must be installed; however",
    ],
)
def test_a_worker_that_lacks_a_package_is_one_sentence(line: str) -> None:
    """PySpark fails in such a worker before any code of ours runs, with a stack trace."""
    error = RuntimeError(f"Job aborted due to stage failure\nTraceback:\n{line}\n\tat x")
    status, message = describe_failure(error)
    assert status == 1
    assert message.startswith("a worker's Python has no pyarrow: install pyarrow, numpy, pandas 2")
    assert "--conf spark.pyspark.python=PATH" in message
    here = ModuleNotFoundError("No module named 'pyarrow'")
    assert "worker" not in describe_failure(here)[1]


def test_a_command_without_arguments_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The first thing that a new user types: the help has lines, not escaped ones."""
    assert run([]) == 2
    output = "".join(capsys.readouterr())
    assert "Commands:\n" in output
    assert "\\n" not in output


def test_unknown_error_names_its_class_and_the_way_to_see_more() -> None:
    """An unforeseen error is one line that points to --debug."""
    assert describe_failure(KeyError("k")) == (1, "KeyError: 'k' (--debug shows more)")


def test_advice_is_written_as_options() -> None:
    """A message says what to write on the command line, whoever it was addressed to before."""
    error = errors.ContractError("wrong", "write " + errors.argument("mode", "permissive"))
    error.audience = "pandas"
    assert describe_failure(error) == (2, "wrong; write --mode permissive")


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the version and ends with 0."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"tf2spark, version {tf2spark.__version__}\n"


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_help_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of every command shows how it is called."""
    assert run([name, "--help"]) == 0
    assert f"Examples:\n    tf2spark {name}" in capsys.readouterr().out


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An option that doesn't exist is named, on stderr."""
    assert run(["inspect", "model", "--jsn"]) == 2
    assert "No such option --jsn" in capsys.readouterr().err.replace("'", "")


def test_error_is_one_message_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """An error prints its message to stderr, nothing to stdout, and no traceback."""
    assert run(["inspect", "no-such-model"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith('Error: there is no SavedModel at "no-such-model"')
    assert "Traceback" not in printed.err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug, before or after the command, the traceback precedes the message."""
    for arguments in (["inspect", "no-such-model", "--debug"], ["--debug", "inspect", "no"]):
        assert run(arguments) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("Traceback (most recent call last):\n  File ")
        assert printed.splitlines()[-1].startswith("Error: there is no SavedModel at ")


@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["", "--debug"])
def test_nothing_that_is_shown_moves_the_cursor_or_forges_a_line(
    debug: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a path nor an option that the user pastes from elsewhere."""
    forged = "a\x1b[2J\nError: all is well\r\x9b2J\u202e"
    for arguments in (["inspect", forged], ["inspect", "m", f"--{forged}"], [forged]):
        assert run([*debug, *arguments]) == 2
        printed = capsys.readouterr().err
        assert r"a\x1b[2J\nError: all is well\r\x9b2J\u202e" in printed.replace("\\\\", "\\")
        assert printed.replace("\n", "").isprintable()
        assert "Error: all is well" not in printed.splitlines()


def test_a_setting_without_a_value_is_named_without_what_may_be_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A key written with a space instead of "=" isn't printed with its password."""
    assert run(["doctor", "--conf", "spark.hadoop.fs.s3a.secret.key PASSWORD"]) == 2
    assert "PASSWORD" not in capsys.readouterr().err


def test_warnings_of_others_are_safe_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    """PySpark and pandas quote names and paths as they are."""
    with warnings_on_stderr():
        warnings.simplefilter("always")
        warnings.warn("s3a://u:PASSWORD@b\x1b[2J", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "Warning: s3a://***@b\\x1b[2J\n"


def test_a_worker_that_hung_is_reported_as_such() -> None:
    """Spark's error for it has the timeout in the middle of a long text."""
    error = RuntimeError(
        "Job aborted due to stage failure: Task 0 in stage 2.0 failed 1 times: "
        "org.apache.spark.api.python.PythonWorkerException: Python worker process terminated due "
        "to idle timeout (timeout: 5 seconds)\n\tat org.apache.spark"
    )
    status, message = describe_failure(error)
    assert status == 1
    assert message.startswith("a Python worker hung: it sent nothing for 5 s, so Spark ended it")
    crashed = RuntimeError("SparkException: Python worker exited unexpectedly (crashed). Consider")
    assert "--task-timeout, or hung for longer than spark.sql" in describe_failure(crashed)[1]


def test_spark_s_own_messages_are_safe_to_show() -> None:
    """What Spark says of a path or a column doesn't show a password, or act on the terminal."""
    error = AnalysisException("[PATH_NOT_FOUND] Path does not exist: s3a://u:PASSWORD@b/\x1b[2J")
    assert describe_failure(error) == (2, r"Path does not exist: s3a://***@b/\x1b[2J")
    other = RuntimeError("denied: jdbc:mysql://u:PASSWORD@h/\x9b2J")
    assert describe_failure(other)[1] == (
        r"RuntimeError: denied: jdbc:mysql://***@h/\x9b2J (--debug shows more)"
    )


def test_python_dash_m_is_the_command() -> None:
    """`python -m tf2spark` works where no script was installed."""
    command = [sys.executable, "-m", "tf2spark", "inspect", "no-such-model"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: there is no SavedModel")
