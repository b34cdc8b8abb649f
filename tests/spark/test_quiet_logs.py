from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from tf2spark.spark.quiet_logs import (
    CHATTER,
    log_options,
    own_logging,
    quiet_exceptions,
    stderr_filter,
)


def test_chatter_is_kept_from_stderr_and_all_else_is_passed_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Only notices that nobody can act on are dropped."""
    with stderr_filter(quiet=True) as descriptor:
        child = "import sys; sys.stderr.write('WARNING: Using incubator modules: x\\nreal\\n')"
        subprocess.run([sys.executable, "-c", child], stderr=descriptor, check=True)
    printed = ""
    while "real" not in printed:
        printed += capfd.readouterr().err
    assert printed == "real\n"


def test_the_log_of_debug_is_safe_to_show(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is dropped, but names don't act on the terminal, and passwords are hidden."""
    with stderr_filter(quiet=False) as descriptor:
        line = "WARN x: open s3a://u:PASSWORD@b/\\x1b[2J fs.s3a.secret.key=PASSWORD\\n\\tat y"
        child = f"import sys; sys.stderr.write('WARNING: Using incubator modules\\n{line}\\n')"
        subprocess.run([sys.executable, "-c", child], stderr=descriptor, check=True)
    printed = ""
    while "at y" not in printed:
        printed += capfd.readouterr().err
    assert printed.splitlines() == [
        "WARNING: Using incubator modules",
        r"WARN x: open s3a://***@b/\x1b[2J fs.s3a.secret.key=***",
        "    at y",
    ]


@pytest.mark.parametrize(
    ("line", "dropped"),
    [
        (b"WARNING: Using incubator modules: jdk.incubator.vector", True),
        (b"I0000 00:00:1.1 3778 port.cc:153] oneDNN custom operations are on. You may", True),
        (b"2026-11-23 22:34:23.155 I port.cc:153] oneDNN custom operations are on.", True),
        (b"E0000 00:00:1.1 3778 file.cc:1] something failed", False),
        (b"Traceback (most recent call last):", False),
    ],
)
def test_chatter_is_told_from_news(line: bytes, dropped: bool) -> None:
    """Notices at a start are chatter; errors never are."""
    assert bool(CHATTER.match(line)) is dropped


def test_own_logging_leaves_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of the JVM are kept, and a log4j file among them is not replaced."""
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Xss4m")
    with own_logging():
        assert os.environ["SPARK_SUBMIT_OPTS"].startswith("-Xss4m -Dlog4j2.configurationFile=")
    assert os.environ["SPARK_SUBMIT_OPTS"] == "-Xss4m"
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Dlog4j2.configurationFile=mine")
    assert log_options() is None
    with own_logging():
        assert os.environ["SPARK_SUBMIT_OPTS"] == "-Dlog4j2.configurationFile=mine"


@pytest.mark.parametrize("name", ["SQLQueryContextLogger", "DataFrameQueryContextLogger"])
def test_pyspark_logs_no_exception_that_a_command_reports(name: str) -> None:
    """What PySpark 4 logs of a query is kept back in the block, and only there."""
    logger_class = pytest.importorskip("pyspark.logger").PySparkLogger
    records: list[logging.LogRecord] = []
    logger = logger_class.getLogger(name)
    logger.addFilter(lambda record: records.append(record))
    try:
        with quiet_exceptions():
            logger.error("a column cannot be resolved")
        assert not records
        logger.error("a column cannot be resolved")
        assert len(records) == 1
    finally:
        logger.filters.clear()
