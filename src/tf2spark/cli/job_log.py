"""What a command says on stderr while its job runs: a progress bar, timestamped lines, or JSON."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click

from tf2spark.cli.options import Command
from tf2spark.report.run_record import RunRecord
from tf2spark.shown_text import Lines, shown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tf2spark.spark.progress import JobProgress

LogFormat = Literal["bar", "text", "json", "none"]
_POLL_SECONDS = 1.0
_FIRST_SECONDS, _LAST_SECONDS = 10.0, 60.0
_WARNING = "Warning: "


class ProgressSchedule:
    """When a progress line is due, so that a log shows life and isn't flooded.

    After 10 seconds, then 20 and 40 after the line before, then each minute. A further tenth of the
    tasks is worth a line of its own, if the last one is 10 seconds old.
    """

    def __init__(self) -> None:
        self._last_seconds = 0.0
        self._interval_seconds = _FIRST_SECONDS
        self._tenth = 0

    def is_due(self, seconds: float, share: float) -> bool:
        """Say whether to write a line now, which is then taken for written.

        Args:
            seconds: Since the start.
            share: Which part of the work is done, from 0 to 1.
        """
        since_last, tenth = seconds - self._last_seconds, int(share * 10 + 1e-9)
        late = since_last >= self._interval_seconds
        if not late and not (tenth > self._tenth and since_last >= _FIRST_SECONDS):
            return False
        if late:
            self._interval_seconds = min(2 * self._interval_seconds, _LAST_SECONDS)
        self._last_seconds, self._tenth = seconds, max(self._tenth, tenth)
        return True


class JobLog:
    """The events of one command, written to stderr in one format.

    Attributes:
        format: "bar" for a bar alone, "text" for timestamped lines, "json" for one object a line,
            or "none".
        record: Keeps the events for `tf2spark doctor --last`; None where nothing is kept.
    """

    def __init__(self, format: LogFormat, record: RunRecord | None = None) -> None:
        self.format, self.record = format, record
        self._started = time.monotonic()
        self._has_events = False
        self._duplicate: TextIO | None = None

    def event(self, event: str, message: str, **fields: Any) -> None:
        """Write an event.

        Args:
            event: What happened: "start", "progress", "done" and the like.
            message: The same for people.
            **fields: The same for programs; None for what isn't known.
        """
        self._has_events = True
        now = datetime.now(UTC)
        facts = {key: _safe(value) for key, value in fields.items()}
        if self.record is not None:
            self.record.add(event, shown(message), facts)
        if self.format == "json":
            time_text = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._write(
                json.dumps({"time": time_text, "event": event, "message": shown(message), **facts})
            )
        elif self.format == "text":
            stamp = now.astimezone().isoformat(timespec="seconds")
            self._write(f"{stamp} {event}: {shown(message)}")

    def note(self, message: str) -> None:
        """Say what the command did beside its job, also where a bar is the only other output."""
        if self.format == "bar":
            click.echo(shown(message), err=True)
        self.event("note", message)

    def error(self, message: str, exit_status: int, **fields: Any) -> None:
        """Write why the command failed; in every format, also if it writes nothing else."""
        if self.format == "json":
            facts = {"exit_status": exit_status, "seconds": round(self.seconds(), 3), **fields}
            self.event("error", message, **facts)
            return
        if self._has_events:
            self.event("failed", f"after {self.seconds():.1f} s")
        self.keep_error(message, exit_status)
        click.echo(f"Error: {message}", err=True)

    def keep_error(self, message: str, exit_status: int) -> None:
        """Keep an error in the record, which is said elsewhere."""
        if self.record is not None:
            facts = {"exit_status": exit_status, "seconds": round(self.seconds(), 3)}
            self.record.add("error", shown(message), facts)

    def summary(self, *lines: str) -> None:
        """Print what a job did to stdout; in JSON the event "done" has said it."""
        if self.format != "json":
            click.echo(Lines.of(lines))

    def seconds(self) -> float:
        """Return how long the command has run."""
        return time.monotonic() - self._started

    @contextmanager
    def progress(self, spark: SparkSession, activity: str, rows: str) -> Iterator[None]:
        """Show how far the jobs of the body are: as a bar, or as lines at sensible times.

        Args:
            spark: The session that runs them.
            activity: What it does: "scoring".
            rows: The plural of what it counts: "users".
        """
        from tf2spark.spark.progress import show_bar, watch

        if self.format == "none":
            yield
        elif self.format == "bar":
            with show_bar(spark, activity, rows):
                yield
        else:
            started, schedule = time.monotonic(), ProgressSchedule()

            def report(done: JobProgress) -> None:
                seconds = time.monotonic() - started
                share = done.finished_tasks / done.tasks if done.tasks else 0.0
                if schedule.is_due(seconds, share):
                    self._progress_event(activity, rows, done, seconds)

            with self._kept_stderr(), watch(spark, report, _POLL_SECONDS):
                yield

    def _progress_event(self, activity: str, rows: str, done: JobProgress, seconds: float) -> None:
        if done.tasks:
            percent = 100 * done.finished_tasks // done.tasks
            counted = f"{done.rows:,} {rows}, " if done.rows else ""
            message = f"{counted}{done.finished_tasks:,} of {done.tasks:,} tasks ({percent} %)"
        else:
            message = "no task has started yet"
        self.event(
            "progress",
            f"{activity}: {message}, {seconds:.0f} s",
            activity=activity,
            rows=done.rows,
            tasks_done=done.finished_tasks,
            tasks=done.tasks,
            seconds=round(seconds, 3),
        )

    @contextmanager
    def _kept_stderr(self) -> Iterator[None]:
        """Write to where stderr leads now, even where the body redirects its descriptor."""
        try:
            duplicate = os.fdopen(os.dup(sys.stderr.fileno()), "w")
        except (OSError, AttributeError):  # no file stands behind it
            yield
            return
        with duplicate:
            self._duplicate = duplicate
            try:
                yield
            finally:
                self._duplicate = None

    def _write(self, line: str) -> None:
        stream = self._duplicate or _inner_stderr()
        stream.write(f"{line}\n")
        stream.flush()

    @contextmanager
    def other_lines_as_events(self) -> Iterator[None]:
        """In JSON, turn what the body prints to `sys.stderr` into events as well."""
        if self.format != "json":
            yield
            return
        with contextlib.redirect_stderr(_EventStream(self, sys.stderr)):
            yield


class _EventStream(io.TextIOBase):
    """A stream whose lines become events "warning" and "note"."""

    def __init__(self, log: JobLog, inner: TextIO) -> None:
        self.inner = inner
        self._log = log
        self._rest = ""

    def write(self, text: str, /) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(None, lines):
            is_warning = line.startswith(_WARNING)
            self._log.event("warning" if is_warning else "note", line.removeprefix(_WARNING))
        return len(text)

    def fileno(self) -> int:
        return self.inner.fileno()

    def flush(self) -> None:
        self.inner.flush()


def _inner_stderr() -> TextIO:
    return sys.stderr.inner if isinstance(sys.stderr, _EventStream) else sys.stderr


def _safe(value: Any) -> Any:
    """Return a field with its texts made safe to show: paths can contain passwords."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {shown(str(key)): _safe(each) for key, each in value.items()}
    return [_safe(each) for each in value] if isinstance(value, list | tuple) else value


def log_option(command: Command) -> Command:
    """Add the option that chooses the log's format; `log_of` returns the log."""
    return click.option(
        "--log-format",
        type=click.Choice(["auto", "text", "json", "none"]),
        default="auto",
        show_default=True,
        is_eager=True,
        callback=_open_log,
        help="What the job says on stderr: text is timestamped lines, json one object a line for "
        "programs, auto a progress bar on a terminal and text elsewhere.",
    )(command)


def _open_log(context: click.Context, _: click.Parameter, format: str) -> JobLog:
    log = JobLog(_format_here(format), RunRecord(str(context.info_name)))
    # Where `main.run` finds it when the command fails.
    context.ensure_object(dict)["log"] = log
    context.with_resource(log.other_lines_as_events())
    return log


def _format_here(format: str) -> LogFormat:
    if format == "auto":
        return "bar" if sys.stderr.isatty() else "text"
    return format  # type: ignore[return-value]


def log_of(params: Mapping[str, Any]) -> JobLog:
    """Return the log of a command; one without `log_option` has a bar on a terminal."""
    log: JobLog | None = params.get("log_format")
    return log or JobLog("bar" if sys.stderr.isatty() else "none")


def log_for_failure(settings: Mapping[str, Any], arguments: list[str]) -> JobLog:
    """Return the log in which a failure is reported, also of options that click couldn't parse."""
    log: JobLog | None = settings.get("log")
    if log is not None:
        return log
    pairs = itertools.pairwise(arguments)
    as_json = "--log-format=json" in arguments or ("--log-format", "json") in pairs
    return JobLog("json" if as_json else "none")
