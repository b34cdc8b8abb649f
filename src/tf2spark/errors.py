"""Every error that tf2spark raises.

Each is also the builtin that a caller would expect::

    Tf2SparkError (Exception)
    ├── ModelError (ValueError)                the SavedModel can't be read, or not run as it is
    │   ├── ModelNotFoundError (FileNotFoundError)   there is no SavedModel at that path
    │   └── UnsafeModelError (PermissionError)       it holds an op that is not allowed
    ├── ContractError (ValueError)             table and model don't fit, or an argument is wrong
    ├── RowError (ValueError)                  a row can't be scored, and the mode is "failfast"
    ├── RowCountError (RuntimeError)           a partition would have lost or gained rows
    ├── RunError (RuntimeError)                TensorFlow failed, and no single row is the cause
    ├── SetupError (RuntimeError)              Java, PySpark or TensorFlow is missing, or too old
    ├── StorageError (OSError)                 a file system or object store refuses, or is away
    └── OutputError (OSError)                  an output exists already, or can't be written

Spark passes an error of a worker on as text, so the message alone says everything, and
`from_text` finds it again in the text of a Spark exception.
"""

from __future__ import annotations

import re


class Tf2SparkError(Exception):
    """The root of all errors that tf2spark raises."""


class ModelError(Tf2SparkError, ValueError):
    """The SavedModel can't be read, or can't be run as it is."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no SavedModel at the path given."""


class UnsafeModelError(ModelError, PermissionError):
    """The model reaches an op that is not on the allow-list."""


class ContractError(Tf2SparkError, ValueError):
    """The table and the model don't fit, or an argument is wrong."""


class RowError(Tf2SparkError, ValueError):
    """A row can't be scored, and the mode is "failfast"."""


class RowCountError(Tf2SparkError, RuntimeError):
    """A partition would have lost or gained rows."""


class RunError(Tf2SparkError, RuntimeError):
    """TensorFlow failed in a way that no single row explains."""


class SetupError(Tf2SparkError, RuntimeError):
    """Something that must be installed or configured is missing, too old or doesn't fit."""


class StorageError(Tf2SparkError, OSError):
    """A file system or an object store can't be reached, or refuses."""


class OutputError(Tf2SparkError, OSError):
    """An output exists already, or can't be written."""


_KINDS: dict[str, type[Tf2SparkError]] = {
    kind.__name__: kind
    for kind in (
        ModelError,
        ModelNotFoundError,
        UnsafeModelError,
        ContractError,
        RowError,
        RowCountError,
        RunError,
        SetupError,
        StorageError,
        OutputError,
    )
}
# The last line of a Python traceback inside a Spark exception; the message runs to the blank
# line or to the JVM's own stack trace.
_IN_TEXT = re.compile(
    r"^\s*(?:pyspark\S*: )?tf2spark\.errors\.(\w+): (.*?)"
    r"(?=\n\s*\n|\n\s*at \S+\(|\nTraceback|\nJVM stacktrace|\Z)",
    re.DOTALL | re.MULTILINE,
)


def from_text(text: str) -> Tf2SparkError | None:
    """Return the tf2spark error that a worker's traceback inside `text` ends with, or None."""
    found = list(_IN_TEXT.finditer(text))
    if not found or found[-1][1] not in _KINDS:
        return None
    return _KINDS[found[-1][1]](found[-1][2].rstrip())


def shortened(value: object, limit: int = 60) -> str:
    """Return the repr of a value for a message, cut off after `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def first_line(error: BaseException) -> str:
    """Return the first line with text of an error's message, for a message of ours to quote."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), "no message")
