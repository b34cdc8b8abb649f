"""``--report``: a page about the job, gathered while it runs and written after it."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import tf2spark
from tf2spark.cli.options import Command
from tf2spark.errors import OutputError
from tf2spark.package.digests import digest_text
from tf2spark.shown_text import shown

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tf2spark.binding.request import Request
    from tf2spark.cli.job_log import JobLog
    from tf2spark.cli.jobs import Counts, Job
    from tf2spark.cli.tables import Source
    from tf2spark.report.facts import Pairs, WrittenTable
    from tf2spark.spark.output.target import Target

# Said elsewhere on the page, or of no interest once the job has run.
_OTHER_OPTIONS = frozenset({"model", "report", "log_format", "feed", "conf", "master", "dry_run"})
_TABLE_OPTIONS = ("_path", "_table", "_sql", "_where")
_PACKAGES = ("pyarrow", "numpy", "tensorflow", "tensorflow-cpu")


def report_option(command: Command) -> Command:
    """Add the option that asks for a report."""
    return click.option(
        "--report",
        metavar="FILE.html",
        help="Write a page about the job to this file: scores and their distribution, refused "
        "rows, speed, model, settings. Needs tf2spark[report].",
    )(command)


class JobReport:
    """The report of one job.

    Attributes:
        path: Where it goes; None where none was asked for, and then nothing is gathered.
    """

    def __init__(self, params: Mapping[str, Any], target: Target) -> None:
        """Check that a report can be written, before the job runs.

        Raises:
            OutputError: It can't.
            SetupError: Jinja isn't installed.
        """
        self._params, self._target = params, target
        self._started, self._clock = datetime.now().astimezone(), time.monotonic()
        self._result: DataFrame | None = None
        self._older_files: frozenset[str] = frozenset()
        self._opened = self._clock
        self.path: Path | None = None
        if params["report"] is not None:
            from tf2spark.report.page import need_jinja
            from tf2spark.report.write import check_report_path
            from tf2spark.spark.output.table_writer import local_path

            need_jinja()
            output = local_path(target.path) if target.path is not None else None
            self.path = check_report_path(params["report"], output)

    def watch(
        self, job: Job, run: Callable[[DataFrame], DataFrame]
    ) -> Callable[[DataFrame], DataFrame]:
        """Return `run`, whose result the report will be about."""
        if self.path is None:
            return run
        self._opened = time.monotonic()
        if self._target.mode in ("append", "overwrite_partitions"):
            self._older_files = self._files_there(job)

        def run_watched(rows: DataFrame) -> DataFrame:
            self._result = run(rows)
            return self._result

        return run_watched

    def _files_there(self, job: Job) -> frozenset[str]:
        from tf2spark.spark.output.read_back import file_names

        try:
            if self._target.table is not None:
                return file_names(job.spark.table(self._target.table))
            reader = job.spark.read.format(self._target.path_format)
            return file_names(reader.load(self._target.path))
        except Exception:  # there is no table yet, or it has no files that could be told apart
            return frozenset()

    def write(
        self,
        job: Job,
        counts: Counts,
        log: JobLog,
        *,
        unit: str,
        seconds: Mapping[str, float],
        outputs: Sequence[str],
        tables: Pairs,
        feed: Pairs,
        plan: Sequence[str] | None = None,
        pairs: int | None = None,
    ) -> None:
        """Write the report of a job that has succeeded.

        Args:
            job: The job.
            counts: Its rows.
            log: Where to say that the report was written.
            unit: The plural of a row: "users".
            seconds: How long each part of the job took.
            outputs: The columns that the model computed.
            tables: What was read and written.
            feed: What feeds each input.
            plan: How it ran; Spark's own plan where None.
            pairs: How many pairs of a user and an item were scored.

        Raises:
            OutputError: It can't be written.
        """
        if self.path is None or self._result is None:
            return
        from tf2spark.report.facts import JobFacts
        from tf2spark.report.page import render
        from tf2spark.report.write import write_report
        from tf2spark.spark.facts import application
        from tf2spark.worker.statistics.task import peak_bytes

        started = time.monotonic()
        params, model = self._params, job.model
        facts = JobFacts(
            command=str(click.get_current_context().info_name),
            unit=unit,
            model=model.contract.path,
            digest=digest_text(model.digest),
            contract=model.contract,
            started=self._started,
            phases={"opening": self._opened - self._clock, **seconds},
            rows_in=counts.rows_in,
            rows_out=counts.written,
            refused=counts.refused,
            drops=params["mode"] == "dropmalformed",
            pairs=pairs,
            k=params.get("k"),
            tables=tables,
            feed=feed,
            plan=application.plan_lines(self._result) if plan is None else plan,
            options=_options(params),
            settings=application.settings_of(job.spark),
            versions=[
                ("tf2spark", tf2spark.__version__),
                *application.versions_of(job.spark),
                *_package_versions(),
            ],
            written=self._read_back(job, outputs, log),
            driver_peak_bytes=peak_bytes(),
            tasks=counts.tasks.pairs() if counts.tasks else (),
            jvm_peaks=application.jvm_peaks(job.spark),
        )
        try:
            write_report(self.path, render(facts))
        except OutputError as error:
            raise OutputError(f"the output is complete, but {error.problem}") from error
        took = time.monotonic() - started
        log.event(
            "report", f"{self.path}, {took:.1f} s", path=str(self.path), seconds=round(took, 3)
        )

    def _read_back(self, job: Job, outputs: Sequence[str], log: JobLog) -> WrittenTable:
        from tf2spark.report.facts import WrittenTable
        from tf2spark.spark.output.read_back import MAX_OUTPUTS, Written, read_back

        assert self._result is not None
        schema = self._result.schema
        there = [name for name in outputs if name in schema.names]
        permissive = self._params["mode"] == "permissive"
        target = self._target
        written = Written(
            path=target.path,
            table=target.table,
            format=target.path_format,
            options=target.options,
            schema=schema,
            outputs=there[:MAX_OUTPUTS],
            error_column=(self._params["error_column"] or "_error") if permissive else None,
            partition_by=target.partition_by,
            older_files=self._older_files,
        )
        with log.progress(job.spark, "summing up for the report", "summaries"):
            found = read_back(job.spark, written)
        left_out = len(there) - len(written.outputs)
        note = f"The first {MAX_OUTPUTS} outputs; {left_out} more aren't shown." if left_out else ""
        return WrittenTable(
            outputs=written.outputs,
            statistics=found.statistics,
            note=found.why_none or note,
            group_column=found.group_column,
            refused_rows=found.refused_rows,
            seconds=found.seconds,
        )


def table_pairs(sources: Sequence[Source], target: Target) -> list[tuple[str, str]]:
    """Return what a job reads and writes."""
    read = [
        (source.name, source.value + (f" where {source.where}" if source.where else ""))
        for source in sources
    ]
    mode = "" if target.mode == "error" else f" ({target.mode.replace('_', ' ')})"
    return [*read, ("output", target.name + mode)]


def feed_pairs(request: Request) -> list[tuple[str, str]]:
    """Return the inputs of a request, and what feeds each."""
    return [(f"{fed.spec.name} ({fed.spec.dtype.name})", str(fed.feed)) for fed in request.inputs]


def _options(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the options that aren't defaults, as they are written."""
    command = click.get_current_context().command
    changed = []
    for option in command.params:
        value = params.get(option.name or "")
        name = option.name or ""
        if name in _OTHER_OPTIONS or name.endswith(_TABLE_OPTIONS):
            continue
        if not isinstance(option, click.Option):
            continue
        if value in (None, False, (), option.default):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        changed.append((option.opts[0], "yes" if value is True else shown(text)))
    return changed


def _package_versions() -> list[tuple[str, str]]:
    versions = []
    for name in _PACKAGES:
        try:
            versions.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue  # a cluster's driver may have no TensorFlow
    return versions
