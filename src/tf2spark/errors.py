"""Every error that tf2spark raises.

Each is also the builtin that a caller would expect::

    Tf2SparkError (Exception)
    ├── ModelError (ValueError)                the SavedModel can't be read, or can't run as is
    │   ├── ModelNotFoundError (FileNotFoundError)   there is no SavedModel at that path
    │   └── UnsafeModelError (PermissionError)       it has an op that is not allowed
    ├── ContractError (ValueError)             table and model don't fit, or an argument is wrong
    ├── RowError (ValueError)                  a row can't be scored, and the mode is "failfast"
    ├── RowCountError (RuntimeError)           a partition would have lost or gained rows
    ├── RunError (RuntimeError)                TensorFlow failed, and no single row is the cause
    ├── SetupError (RuntimeError)              Java, PySpark or TensorFlow is missing, or too old
    ├── StorageError (OSError)                 a file system or store refuses, or is unreachable
    └── OutputError (OSError)                  an output exists already, or can't be written

An error has a problem and, in most cases, advice. The advice is data: the same argument is written
``mode="permissive"`` in Python and ``--mode permissive`` on the command line, and `text_for` writes
it for either. Spark passes on a worker's error as text, so a worker's message is written for the
audience that its plan names, and `from_text` recovers the error from the text of a Spark exception.

Messages quote names of models, tables and files. Whatever these contain, a message shows it as text
on one line, without passwords and keys: see `tf2spark.shown_text`.
"""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import EllipsisType, TracebackType
from typing import Literal, get_args

from attrs import evolve, frozen

from tf2spark.shown_text import Lines, shown

Audience = Literal["python", "command_line", "pandas", "arrow", "sql", "udf"]
"""Who reads a message: a user of Spark DataFrames in Python, of the command line, of pandas, of
pyarrow tables, of a function that is registered for Spark SQL, or of a column function."""


@frozen
class Advice:
    """What to do about an error, in the terms of each audience.

    Attributes:
        python: As a user of PySpark writes it.
        command_line: As options of the command ``tf2spark``, or Spark SQL.
        pandas: For pandas; the same as `python` if None.
        arrow: For pyarrow; the same as `python` if None.
        sql: For a query that calls a registered function; the same as `python` if None.
        udf: For a column function; the same as `python` if None.
    """

    python: str
    command_line: str
    pandas: str | None = None
    arrow: str | None = None
    sql: str | None = None
    udf: str | None = None

    def text_for(self, audience: Audience) -> str:
        """Return the advice in the terms of one audience."""
        text: str | None = getattr(self, audience)
        return self.python if text is None else text

    def __add__(self, more: str | Advice) -> Advice:
        return _join(self, more)

    def __radd__(self, text: str) -> Advice:
        return _join(text, self)


def _join(first: str | Advice, second: str | Advice) -> Advice:
    return Advice(
        *(
            _text_for(first, audience) + _text_for(second, audience)
            for audience in get_args(Audience)
        )
    )


def _text_for(advice: str | Advice, audience: Audience) -> str:
    """Return advice in the terms of one audience; text is the same for all."""
    return advice if isinstance(advice, str) else advice.text_for(audience)


def argument(name: str, value: str | int | EllipsisType = ...) -> Advice:
    """Write a keyword argument of a call: ``mode="permissive"``, ``--mode permissive``.

    A value of ``...`` stands for what the user has to choose; True is a flag on the command line.
    """
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return Advice(f"{name}=True", option)
    if value is ...:
        return Advice(f"{name}=...", f"{option} ...")
    return Advice(
        f"{name}={json.dumps(value, ensure_ascii=False)}", f"{option} {shlex.quote(str(value))}"
    )


def _modes(permissive: str, others: str, left_out: str) -> Advice:
    """Return the advice to choose another mode.

    A column function can't leave rows out, and its mode is an argument of what makes it.

    Args:
        permissive: What "permissive" does.
        others: What a column function does in that mode.
        left_out: What "dropmalformed" does.
    """
    advice = (
        argument("mode", "permissive")
        + f" {permissive}, "
        + argument("mode", "dropmalformed")
        + f" {left_out}"
    )
    return evolve(
        advice,
        sql="register the function with "
        f'model.register(spark, "NAME", mode="permissive"), {others}',
        udf=f'make the function with model.udf(mode="permissive"), {others}',
    )


OTHER_MODES = _modes(
    "scores the other rows and gives the reason in a column",
    "which scores the other rows and returns the reason in the field _error",
    "leaves such rows out",
)

OTHER_BATCHES = _modes(
    "scores the other batches and gives the reason in a column",
    "which scores the other batches and returns the reason in the field _error",
    "leaves the rows of this batch out",
)


OVERWRITE_ADVICE = argument("overwrite", True) + " replaces it"


class Tf2SparkError(Exception):
    """The root of all errors that tf2spark raises.

    Attributes:
        problem: What is wrong, safe to show. If it has several lines, the advice gets its own.
        advice: What to do about it; None if the problem says it, or if nothing helps.
        audience: The audience that ``str(error)`` is written for.
        mistakes: The errors that this one lists, if it stands for several; see `Mistakes`.
    """

    def __init__(self, problem: str = "", advice: str | Advice | None = None) -> None:
        problem = shown(problem)
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        self.audience: Audience = "python"
        self.mistakes: tuple[Tf2SparkError, ...] = ()

    def text_for(self, audience: Audience) -> str:
        """Return problem and advice in the terms of one audience."""
        if self.mistakes:
            count = f"{len(self.mistakes)} mistakes:"
            return "\n- ".join([count, *(each.text_for(audience) for each in self.mistakes)])
        advice = self.advice_for(audience)
        if not advice:
            return self.problem
        separator = "\n" if isinstance(self.problem, Lines) else "; "
        return f"{self.problem}{separator}{advice}"

    def advice_for(self, audience: Audience) -> str:
        """Return the advice in the terms of one audience, empty if there is none."""
        return shown(_text_for(self.advice or "", audience))

    def __str__(self) -> str:
        return self.text_for(self.audience)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the user's own lines that led here, and the message.

        `%xmode Verbose` shows all frames. IPython calls this method of an exception that has it
        (`InteractiveShell.showtraceback`).
        """
        from IPython import get_ipython

        formatter = get_ipython().InteractiveTB
        if formatter.mode == "Verbose":
            lines = formatter.structured_traceback(type(self), self, self.__traceback__)
        else:
            # A copy, which has no cause: the frames of that one aren't the user's either.
            error, frames = copy.copy(self), _own_frames(self.__traceback__)
            lines = formatter.structured_traceback(type(self), error, frames)
        return list(lines)


def _own_frames(frames: TracebackType | None) -> TracebackType | None:
    """Return the frames of a traceback down to the first call of tf2spark or PySpark."""
    own = []
    while frames is not None:
        package = str(frames.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in ("tf2spark", "pyspark", "py4j"):
            break
        own.append(frames)
        frames = frames.tb_next
    rest = None
    for each in reversed(own):
        rest = TracebackType(rest, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return rest


_reader: ContextVar[Audience] = ContextVar("reader", default="python")


def reader() -> Audience:
    """Return the audience of the innermost `addressed_to`: who reads the problem of an error."""
    return _reader.get()


@contextmanager
def addressed_to(audience: Audience | None) -> Iterator[None]:
    """Write the errors of a block in the terms of one audience; without advice if it is None."""
    before = _reader.set(audience or reader())
    try:
        yield
    except Tf2SparkError as error:
        if audience is None:
            for each in (error, *error.mistakes):
                each.advice = None
        else:
            error.audience = audience
        raise
    finally:
        _reader.reset(before)


class RowsDependWarning(UserWarning):
    """A row's outputs depend on the other rows of its batch."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class OutputsLeftOutWarning(UserWarning):
    """Outputs of the signature aren't fetched by default, because no column can hold them."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class ModelError(Tf2SparkError, ValueError):
    """The SavedModel can't be read, or can't run as is."""


def unrestored(path: str, names: Sequence[str], *, has_objects: bool = True) -> ModelError:
    """Return the error of a model whose restore op leaves variables that a run reads unfilled.

    Args:
        path: The model.
        names: The variables.
        has_objects: Whether it has the objects by which TensorFlow 2 restores variables.
    """
    shown_names = ", ".join(map(repr, names[:3]))
    it, subject, has = "it", "variable", "has"
    if len(names) > 1:
        it, subject, has = "them", "variables", "have"
    if len(names) > 3:
        shown_names += f" and {len(names) - 3} more"
    problem = (
        f"{subject} {shown_names} of {path} {has} no value: the model's own restore op doesn't "
    )
    if not has_objects:
        return ModelError(
            f"{problem}fill {it}",
            f"export it from a session that has restored or initialized {it}, with {it} among "
            "tf.compat.v1.global_variables(), which are what the exporter saves",
        )
    return ModelError(
        f"{problem}fill {it}, as in a Keras 3 model that was saved with tf.saved_model.save (only "
        f"tf.saved_model.load in Python can restore {it}; TF Serving can't serve it either). "
        f"Compile the model, which restores {it} in the same way: "
        "SavedModel(path).compile(package) or tf2spark compile MODEL PACKAGE. Or export it again "
        "with model.export(path) or, for an object that holds Keras models, with "
        "keras.export.ExportArchive"
    )


class ModelNotFoundError(ModelError, FileNotFoundError):
    """There is no SavedModel at the path given."""


class UnsafeModelError(ModelError, PermissionError):
    """The model reaches an op that is not on the allow-list."""


class ContractError(Tf2SparkError, ValueError):
    """The table and the model don't fit, or an argument is wrong."""


class Mistakes:
    """The mistakes of one call, which are raised together so that nobody corrects them one by one.

    Each check runs in a block of its own, and the last statement raises what they found::

        mistakes = Mistakes()
        for column in columns:
            with mistakes.collected():
                check(column)
        mistakes.raise_all()
    """

    def __init__(self) -> None:
        self._errors: list[Tf2SparkError] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the `ContractError` of a block for later; any other error passes."""
        try:
            yield
        except ContractError as error:
            self._errors += error.mistakes or (error,)

    def __bool__(self) -> bool:
        return bool(self._errors)

    def raise_all(self) -> None:
        """Raise what was collected, in its order.

        Raises:
            ContractError: A single mistake as it was raised, or one error that lists several.
        """
        if self._errors:
            raise self.error()

    def error(self) -> Tf2SparkError:
        """Return the only mistake as it was raised, or one error that lists all of them."""
        if len(self._errors) == 1:
            return self._errors[0]
        error = ContractError(Lines.of(each.problem for each in self._errors))
        error.mistakes = tuple(self._errors)
        return error


class RowError(Tf2SparkError, ValueError):
    """A row can't be scored, and the mode is "failfast"."""


class RowCountError(Tf2SparkError, RuntimeError):
    """A partition would have lost or gained rows."""


class RunError(Tf2SparkError, RuntimeError):
    """TensorFlow failed in a way that no single row explains."""


class SetupError(Tf2SparkError, RuntimeError):
    """Something that must be installed or configured is missing, too old or incompatible."""


class StorageError(Tf2SparkError, OSError):
    """A file system or an object store can't be reached, or refuses."""


class OutputError(Tf2SparkError, OSError):
    """An output exists already, or can't be written."""


_CLASSES: dict[str, type[Tf2SparkError]] = {
    error_class.__name__: error_class
    for error_class in (
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
# line, to what Spark says about the error and the query, or to the JVM's own stack trace.
_IN_TEXT = re.compile(
    r"^\s*(?:pyspark\S*: )?tf2spark\.errors\.(\w+): (.*?)"
    r"(?=\n\s*\n|\n\s*at \S+\(|\n\s*SQLSTATE: |\n=== Streaming Query"
    r"|\nTraceback|\nJVM stacktrace|\Z)",
    re.DOTALL | re.MULTILINE,
)


def from_text(text: str) -> Tf2SparkError | None:
    """Return the tf2spark error that a worker's traceback inside `text` ends with, or None.

    Its advice is part of its problem: the worker wrote both as one text. Its line breaks are ours.
    """
    matches = list(_IN_TEXT.finditer(text))
    if not matches or matches[-1][1] not in _CLASSES:
        return None
    lines = matches[-1][2].rstrip().split("\n")
    return _CLASSES[matches[-1][1]](Lines.of(lines) if len(lines) > 1 else lines[0])


@contextmanager
def from_spark() -> Iterator[None]:
    """Raise a worker's error as what it is, where Spark raises an exception that quotes it.

    ``with tf2spark.errors.from_spark(): scored.write.parquet(path)``. Spark's exception is the
    ``__context__`` of the error; one that quotes no error of tf2spark passes.

    Raises:
        Tf2SparkError: The error of the worker, of its own class.
    """
    try:
        yield
    except Tf2SparkError:
        raise
    except Exception as error:
        own = from_text(str(error))
        if own is None:
            raise
        raise own from None


def shortened(value: object, limit: int = 60) -> str:
    """Return the repr of a value for a message, cut off after `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def first_line(error: BaseException) -> str:
    """Return the first non-blank line of an error's message, for a message of ours to quote."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), "no message")
