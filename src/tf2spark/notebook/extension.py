"""What ``%load_ext tf2spark`` does to an IPython shell, and ``%unload_ext tf2spark`` undoes.

A notebook shows all that is written to descriptor 2 in red: the logs of TensorFlow, of Spark's JVM
and of its local workers. What nobody can act on is left out there.

An action on a table that `score` returned fails with an exception of PySpark that quotes the
worker's error. PySpark has no hook that would let such an exception be another: a method replaced
on the table is gone after the next transformation, and its conversion of exceptions is one for all
jobs of the process. So only what the shell shows changes here; in code, `errors.from_spark` raises
the worker's error itself.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from types import TracebackType
from typing import Any

from tf2spark.errors import from_text
from tf2spark.tensorflow_c.quiet_stderr import ERRORS_ONLY, INFORMATION, LOG_LEVEL, StderrFilter

# What unloading undoes; None while nothing is loaded.
_loaded: ExitStack | None = None


def load(shell: Any) -> None:
    """Show errors of Spark jobs as those of tf2spark, and the progress of a cell's Spark jobs.

    Args:
        shell: IPython's `InteractiveShell`, of a terminal or of a notebook's kernel.
    """
    global _loaded
    if _loaded is not None or find_spec("pyspark") is None:
        return
    _loaded = ExitStack()
    is_notebook = hasattr(shell, "kernel")
    _keep_logs_quiet(_loaded, is_notebook=is_notebook)
    _show_short_errors(_loaded, shell)
    if is_notebook:  # a terminal can't update what it has shown
        _show_progress(_loaded, shell)


def unload(shell: Any) -> None:
    """Undo `load`."""
    global _loaded
    if _loaded is not None:
        _loaded.close()
        _loaded = None


def _keep_logs_quiet(loaded: ExitStack, *, is_notebook: bool) -> None:
    from tf2spark.spark.quiet_logs import CHATTER, log_options

    options = log_options() or os.environ["SPARK_SUBMIT_OPTS"]
    # Spark's own progress bar is written to stderr, too.
    _set_variable(loaded, "SPARK_SUBMIT_OPTS", f"{options} -Dspark.ui.showConsoleProgress=false")
    _ignore_repeated_errors(loaded)
    if LOG_LEVEL in os.environ:  # the user's choice
        return
    _set_variable(loaded, LOG_LEVEL, ERRORS_ONLY)
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_is_warning)
    loaded.callback(logger.removeFilter, _is_warning)
    if is_notebook:
        both = re.compile(b"|".join((CHATTER.pattern, INFORMATION.pattern)))
        loaded.callback(StderrFilter(both).remove)


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _ignore_repeated_errors(loaded: ExitStack) -> None:
    """Ignore the warning by which `toPandas` says what the error that follows says again."""
    warnings.filterwarnings("ignore", r"(?s)toPandas attempted Arrow.*tf2spark\.errors\.")
    filters: Any = warnings.filters
    entry = filters[0]
    loaded.callback(lambda: filters.remove(entry) if entry in filters else None)


def _set_variable(loaded: ExitStack, name: str, value: str) -> None:
    before = os.environ.get(name)
    os.environ[name] = value
    if before is None:
        loaded.callback(os.environ.pop, name, None)
    else:
        loaded.callback(os.environ.__setitem__, name, before)


def _show_short_errors(loaded: ExitStack, shell: Any) -> None:
    from tf2spark.spark.jvm.access import JOB_ERRORS

    shell.set_custom_exc(JOB_ERRORS, _show_exception)
    loaded.callback(shell.set_custom_exc, (), None)


def _show_progress(loaded: ExitStack, shell: Any) -> None:
    from tf2spark.notebook.cell_progress import CellProgress

    progress = CellProgress()
    loaded.callback(progress.stop)
    events: dict[str, Callable[..., None]] = {
        "pre_run_cell": progress.start,
        "post_run_cell": progress.stop,
    }
    for event, call in events.items():
        shell.events.register(event, call)
        loaded.callback(shell.events.unregister, event, call)


def _show_exception(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    frames: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """Show an exception of PySpark; IPython calls this as a method of the shell."""
    own = from_text(str(error))
    if own is None:
        shell.showtraceback((kind, error, frames), tb_offset=tb_offset)
    else:
        own.__context__ = error
        shell.showtraceback((type(own), own.with_traceback(frames), frames))
