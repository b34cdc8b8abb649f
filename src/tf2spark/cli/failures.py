"""Turns an exception into one message and an exit status."""

from __future__ import annotations

import re

import click

from tf2spark import errors
from tf2spark.spark.recognize import is_java_error, is_query_error

# 2: the user's arguments, model or data are wrong.
_USER_ERRORS = (errors.ModelError, errors.ContractError, errors.RowError, errors.OutputError)
# How Spark reports files that it can't read, inside the error of the failed job.
_FILE_ERROR = re.compile(
    r"\[((?:FAILED_READ_FILE|CANNOT_READ_FILE_FOOTER|CANNOT_MERGE_SCHEMAS|MALFORMED_\w+"
    r"|PATH_NOT_FOUND|DATA_SOURCE_NOT_FOUND|UNABLE_TO_INFER_SCHEMA)[\w.]*)\] (.*)"
)


def report_failure(error: Exception) -> int:
    """Print one message to stderr and return the exit status."""
    status, message = describe_failure(error)
    click.echo(f"Error: {message}", err=True)
    return status


def describe_failure(error: Exception) -> tuple[int, str]:
    """Return the exit status for an error and the message to print."""
    own_error = error if isinstance(error, errors.Tf2SparkError) else errors.from_text(str(error))
    if own_error is not None:
        return (2 if isinstance(own_error, _USER_ERRORS) else 1), own_error.text_for("command_line")
    if is_query_error(error):
        return 2, _first_line(error)
    match = _FILE_ERROR.search(str(error))
    if match:
        return 2, _without_codes(match[2])
    return 1, f"{type(error).__name__}: {_first_line(error)} (--debug shows more)"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if is_java_error(error) and len(lines) > 1:
        # The first line only names the Java method that was called.
        return lines[1].removeprefix(": ")
    return _without_codes(errors.first_line(error))


def _without_codes(line: str) -> str:
    """Remove what only programs read: Spark's error class and SQL state."""
    return re.sub(r"\s*SQLSTATE: \w+\s*$", "", re.sub(r"^\[[A-Z0-9_.]+\]\s*", "", line)).strip()
