"""Turns an exception into one message and an exit status.

Messages of Spark and Python quote names and paths as they are, so they are made safe to show here;
those of our own errors are safe already.
"""

from __future__ import annotations

import re
import signal
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tf2spark import errors
from tf2spark.cli.job_log import JobLog
from tf2spark.shown_text import Lines, shown
from tf2spark.spark.recognize import is_java_error, is_query_error

# 2: the user's arguments, model or data are wrong.
_USER_ERRORS = (errors.ModelError, errors.ContractError, errors.RowError, errors.OutputError)
# How Spark reports a value that an expression refuses, as in a condition of the user's: SQL states
# of class 22 are data exceptions.
_VALUE_ERROR = re.compile(r"\[[A-Z][A-Z0-9_.]+\] ([^\n]*?)\s*SQLSTATE: 22\w{3}")
# How Spark reports files that it can't read, inside the error of the failed job.
_FILE_ERROR = re.compile(
    r"\[((?:FAILED_READ_FILE|CANNOT_READ_FILE_FOOTER|CANNOT_MERGE_SCHEMAS|MALFORMED_\w+"
    r"|PATH_NOT_FOUND|DATA_SOURCE_NOT_FOUND|UNABLE_TO_INFER_SCHEMA)[\w.]*)\] (.*)"
)
# What lies behind it, such as a compressed file that is cut off.
_CAUSE = re.compile(r"^Caused by: [\w.$]+: (.+)$", re.MULTILINE)
# How Spark reports a worker that it has ended after its idle timeout.
_HUNG = re.compile(r"Python worker process terminated due to idle timeout \(timeout: (\d+)")
# Where rows were on their way to a worker that ended, however it ended, also after that timeout.
_CRASHED = "Python worker exited unexpectedly"
# How a Python worker says that its Python lacks a package. PySpark imports pyarrow there before any
# code of ours runs.
_LACKS_PACKAGE = re.compile(
    r"ModuleNotFoundError: No module named '(\w+)|PACKAGE_NOT_INSTALLED\] (\w+) >= "
)


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Print the warnings of a block as messages, without the line of code that they are from."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        click.echo(f"Warning: {shown(str(message))}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextmanager
def termination_as_interruption() -> Iterator[None]:
    """In this block, have SIGTERM end the command as Ctrl-C does.

    Schedulers send it. Without this, the process would end at once: Spark's tasks would go on for
    some time, and the hidden folder that they write to would stay until the next run.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    # PySpark's own handler of SIGINT cancels the jobs, and raises KeyboardInterrupt.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def report_failure(error: Exception, log: JobLog, *, debug: bool = False) -> int:
    """Print one message to stderr, after the traceback if `debug`, and return the exit status."""
    status, message = describe_failure(error)
    trace = Lines.of(_traceback_lines(error)) if debug else None
    if log.format == "json":
        log.error(message, status, **({"traceback": trace} if trace else {}))
        return status
    if trace:
        click.echo(trace, err=True)
    log.error(message, status)
    return status


def _traceback_lines(error: Exception) -> list[str]:
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    return text.expandtabs(4).split("\n")


def report_usage(error: click.ClickException, log: JobLog) -> int:
    """Print what click says of wrong options to stderr, and return the exit status."""
    # Of a command without arguments, the message is its help, which is ours and has lines.
    is_help = type(error).__name__ == "NoArgsIsHelpError"
    for name in ("message", "option_name", "param_hint"):
        value = getattr(error, name, None)
        if isinstance(value, str) and not is_help:
            setattr(error, name, shown(value))
    if log.format == "json":
        log.error(error.format_message(), error.exit_code)
    else:
        log.keep_error(error.format_message(), error.exit_code)
        error.show()
    return error.exit_code


def report_interruption(log: JobLog) -> int:
    """Say on stderr that the user ended the command, and return the exit status."""
    if log.format == "json":
        log.error("interrupted", 1)
    else:
        log.keep_error("interrupted", 1)
        click.echo("interrupted", err=True)
    return 1


def describe_failure(error: Exception) -> tuple[int, str]:
    """Return the exit status for an error and the message to print."""
    own_error = error if isinstance(error, errors.Tf2SparkError) else errors.from_text(str(error))
    if own_error is not None:
        return (2 if isinstance(own_error, _USER_ERRORS) else 1), own_error.text_for("command_line")
    if (ended := _describe_ended_worker(str(error))) is not None:
        return 1, ended
    if not isinstance(error, ImportError) and (match := _LACKS_PACKAGE.search(str(error))):
        return 1, _describe_lean_worker((match[1] or match[2]).lower())
    if is_query_error(error):
        return 2, shown(_first_line(error))
    match = _VALUE_ERROR.search(str(error))
    if match:
        return 2, shown(match[1])
    match = _FILE_ERROR.search(str(error))
    if match:
        return 2, shown(_without_codes(match[2]) + _cause(str(error)))
    line = _first_line(error)
    if "TASK_WRITE_FAILED" in line:  # which says that a task failed, and not why
        line += _cause(str(error))
    return 1, shown(f"{type(error).__name__}: {line} (--debug shows more)")


def _cause(text: str) -> str:
    """Return the innermost cause that Java names, in parentheses; empty if it names none."""
    causes = [cause for cause in _CAUSE.findall(text) if not cause.startswith("[")]
    return f" ({_without_codes(causes[-1])})" if causes else ""


def _describe_lean_worker(package: str) -> str:
    """Return what to say of a Python worker that lacks a package."""
    return (
        f"a worker's Python has no {package}: install pyarrow, numpy, pandas 2 and tensorflow-cpu "
        "there, or name a Python that has them with --conf spark.pyspark.python=PATH; tf2spark "
        "doctor reports what each executor has"
    )


def _describe_ended_worker(text: str) -> str | None:
    """Return what to say of a Python worker that ended without an error of its own."""
    match = _HUNG.search(text)
    if match:
        return (
            f"a Python worker hung: it sent nothing for {match[1]} s, so Spark ended it. If a "
            "batch can take that long, set a lower --batch-rows, or a higher "
            "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"
        )
    if _CRASHED in text:
        return (
            "a Python worker ended without an error: the system killed it, mostly for lack of "
            "memory, TensorFlow crashed, or it was stopped for longer than --task-timeout, or hung "
            "for longer than spark.sql.execution.pyspark.udf.idleTimeoutSeconds (--debug shows "
            "more)"
        )
    return None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if is_java_error(error) and len(lines) > 1:
        # The first line only names the Java method that was called.
        return lines[1].removeprefix(": ")
    return _without_codes(errors.first_line(error))


def _without_codes(line: str) -> str:
    """Remove what only programs read: Spark's error class and SQL state."""
    return re.sub(r"\s*SQLSTATE: \w+\s*$", "", re.sub(r"^\[[A-Z0-9_.]+\]\s*", "", line)).strip()
