"""From an exception to one message and an exit status."""

from __future__ import annotations

import re
import shlex

import click

from tf2spark import errors

# 2: the user's arguments, model or data are wrong.
_USERS = (errors.ModelError, errors.ContractError, errors.RowError, errors.OutputError)
# Spark's exceptions about a query or its data, by name: this module imports no Spark.
_SPARKS_OF_USERS = ("AnalysisException", "ParseException", "IllegalArgumentException")
_FILES_OF_USERS = re.compile(
    r"\[((?:FAILED_READ_FILE|CANNOT_READ_FILE_FOOTER|CANNOT_MERGE_SCHEMAS|MALFORMED_\w+"
    r"|PATH_NOT_FOUND|DATA_SOURCE_NOT_FOUND|UNABLE_TO_INFER_SCHEMA)[\w.]*)\] (.*)"
)


def report_failure(error: Exception) -> int:
    """Say on stderr what went wrong, in one message, and return the exit status."""
    status, message = explain(error)
    click.echo(f"Error: {as_options(message)}", err=True)
    return status


def explain(error: Exception) -> tuple[int, str]:
    """Return the exit status for an error and the message to print."""
    ours = error if isinstance(error, errors.Tf2SparkError) else errors.from_text(str(error))
    if ours is not None:
        return (2 if isinstance(ours, _USERS) else 1), str(ours)
    if type(error).__module__.startswith("pyspark") and type(error).__name__ in _SPARKS_OF_USERS:
        return 2, _first_line(error)
    of_files = _FILES_OF_USERS.search(str(error))
    if of_files:
        return 2, _without_state(of_files[2])
    return 1, f"{type(error).__name__}: {_first_line(error)} (--debug shows more)"


_VALUE = r'"[^"]*"|\w+\([^()]*\)(?:\.\w+)?|\[[^\[\]]*\]|[\w.+-]+'
_MAPPING = re.compile(rf'\b(feed|fetch)=\{{((?:"[^"]+": (?:{_VALUE})(?:, )?)+)\}}')


def as_options(message: str) -> str:
    """Write the Python arguments that a message advises as options of the command line."""
    message = _MAPPING.sub(_mapping_options, message)
    message = re.sub(r'\b(signature|mode|score)="([^"]+)"', r"--\1 \2", message)
    message = re.sub(r"\b(user|item)_id=\.\.\.", r"--\1-id COL", message)
    return re.sub(r"\bbatch_rows=(\d+)", r"--batch-rows \1", message)


def _mapping_options(found: re.Match[str]) -> str:
    entries = re.findall(rf'"([^"]+)": ({_VALUE})', found[2])
    return " ".join(f"--{found[1]} {_entry(name, value)}" for name, value in entries)


def _entry(name: str, value: str) -> str:
    is_constant = not re.match(r'["\[]|\w+\(', value)
    text = value.lower() if is_constant else value.replace('"', "").strip("[]").replace(", ", ",")
    if "(" in text:
        text = text.replace(",", ", ")
    return shlex.quote(f"{name}{':' * is_constant}={text}")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if type(error).__name__ == "Py4JJavaError" and len(lines) > 1:
        # The first line only names the Java object that was called.
        return lines[1].removeprefix(": ")
    return _without_state(errors.first_line(error))


def _without_state(line: str) -> str:
    """Take off what only programs read: Spark's error class and SQL state."""
    return re.sub(r"\s*SQLSTATE: \w+\s*$", "", re.sub(r"^\[[A-Z0-9_.]+\]\s*", "", line)).strip()
