"""Keeps what nobody can act on off stderr: notices of the JVM and TensorFlow, and Spark's log.

Spark raises the error that ends a job, so its log says the same again, in hundreds of lines, and
PySpark's log in one line of JSON that is as long.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tf2spark.shown_text import shown

_LOGGING = Path(__file__).with_name("log4j2.properties")
_OPTIONS = "SPARK_SUBMIT_OPTS"
_EXCEPTION_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")

# Notices that the JVM and TensorFlow's library print at every start.
CHATTER = re.compile(
    rb"WARNING: Using incubator modules"
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|\S+ \S+ *\d* *[IW] .*oneDNN custom operations"
    rb"|[IW]\d{4} .*(oneDNN custom operations|cpu_feature_guard)"
    rb"|To enable the following instructions"
)


def log_options() -> str | None:
    """Return ``SPARK_SUBMIT_OPTS`` with our logging settings; None if the user has some there."""
    before = os.environ.get(_OPTIONS)
    if before is not None and "log4j" in before:
        return None
    ours = f'-Dlog4j2.configurationFile="{_LOGGING.as_uri()}"'
    return f"{before} {ours}" if before else ours


@contextmanager
def own_logging() -> Iterator[None]:
    """Give a JVM started in this block our logging settings, unless the user has some."""
    before, options = os.environ.get(_OPTIONS), log_options()
    if options is not None:
        os.environ[_OPTIONS] = options
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_OPTIONS, None)
        else:
            os.environ[_OPTIONS] = before


@contextmanager
def quiet_exceptions() -> Iterator[None]:
    """Keep PySpark 4 from writing exceptions and the JVM's stack to stderr before raising them."""
    try:
        from pyspark.logger import PySparkLogger
    except ImportError:  # PySpark 3.5
        yield
        return
    loggers = [PySparkLogger.getLogger(name) for name in _EXCEPTION_LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled


@contextmanager
def stderr_filter(quiet: bool) -> Iterator[int]:
    """Yield a descriptor for a child's stderr; its lines are passed on, safe to show.

    If `quiet`, chatter is left out.
    """
    reading, writing = os.pipe()
    threading.Thread(target=_pass_on, args=(reading, quiet), daemon=True).start()
    try:
        yield writing
    finally:
        # The child has its own copy. With this one closed, the thread ends when the child does.
        os.close(writing)


def _pass_on(descriptor: int, quiet: bool) -> None:
    with os.fdopen(descriptor, "rb") as lines:
        for line in lines:
            if not (quiet and CHATTER.match(line)):
                text = line.decode(errors="replace").rstrip("\r\n").expandtabs(4)
                os.write(2, f"{shown(text)}\n".encode())
