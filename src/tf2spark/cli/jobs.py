"""What the commands that run a Spark job share: its session, its output and its counts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict, frozen

import tf2spark
from tf2spark.cli.checks import check_workers
from tf2spark.cli.job_log import log_of
from tf2spark.cli.options import key_values, open_model
from tf2spark.cli.tables import Source, check_exists, read
from tf2spark.errors import Mistakes, ModelError, SetupError
from tf2spark.other_formats import is_mlflow_uri
from tf2spark.package.digests import digest_text
from tf2spark.shown_text import shown

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from tf2spark.cli.job_log import JobLog
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.spark.facts.tasks import TaskFacts
    from tf2spark.spark.output.target import Target


@frozen(eq=False)
class Job:
    """A session, and the model and the tables that the command names.

    The command's own stages are those from `first_stage` on.
    """

    spark: SparkSession
    model: RunnableModel
    tables: tuple[DataFrame, ...]
    first_stage: int = 0


def checked_options(
    params: Mapping[str, Any],
    parse: Sequence[Callable[[], Any]],
    check: Sequence[Callable[[], Any]],
    check_model: Callable[..., Any],
) -> list[Any]:
    """Parse and check the options of a command, as far as that needs neither Spark nor a table.

    Args:
        params: The command's options.
        parse: Parse what feeds inputs and which outputs are fetched.
        check: Check the other options.
        check_model: Checks the model for what was parsed. It is called only if options are wrong,
            so that mistakes in the names of inputs and outputs come with them, and only for a model
            on this machine.

    Returns:
        What `parse` and `check` return.

    Raises:
        ContractError: There are mistakes, all of which it lists.
    """
    from tf2spark.locations.paths import needs_spark

    mistakes, values = Mistakes(), list[Any]()
    for each in parse:
        with mistakes.collected():
            values.append(each())
    parsed = tuple(values)
    for each in check:
        with mistakes.collected():
            values.append(each())
    if mistakes and len(parsed) == len(parse) and not needs_spark(params["model"]):
        # Another model than the one demanded comes before anything else that is wrong.
        ignored = (SetupError,) if params.get("digest") else (ModelError, SetupError)
        with suppress(*ignored), mistakes.collected():
            check_model(open_model(params), *parsed)
    mistakes.raise_all()
    return values


@contextmanager
def open_job(
    params: Mapping[str, Any],
    sources: Sequence[Source],
    target: Target | None,
    *,
    debug: bool,
    defaults: Mapping[str, str] | None = None,
) -> Iterator[Job]:
    """Open the model and the tables of a command, in a session that ends with the block.

    Everything on this machine is checked before Spark starts, so that mistakes show at once.

    Args:
        params: The command's options: of the model, and of Spark.
        sources: The tables to read.
        target: The table to write, which its mode must allow; None if none is written.
        debug: Let Spark's own log through.
        defaults: The command's own Spark settings; ``--conf`` overrides them.
    """
    settings = {**(defaults or {}), **key_values("--conf", params["conf"])}
    from tf2spark.locations.paths import needs_spark

    model = None if needs_spark(params["model"]) else open_model(params)
    from tf2spark.spark.session import current_session, need_pyspark, running

    need_pyspark()
    from tf2spark.package.staging import remove_abandoned
    from tf2spark.spark.facts.tasks import next_stage
    from tf2spark.spark.tables.catalog import metastore_settings

    _check_before_spark(sources, target)
    log = log_of(params)
    if params.get("dry_run"):
        log.record = None  # nothing runs
    _log_start(log, params, sources, target)
    for note in remove_abandoned():
        log.note(note)
    fallback = metastore_settings() if _need_metastore(sources, target, settings) else {}
    ends = current_session() is None
    with running(params["master"], settings, quiet=not debug, fallback=fallback) as spark:
        _remember_event_log(log, spark)
        check_workers(spark, log)
        model = model or open_model(params)
        digest = digest_text(model.digest)
        log.event("model", f"{model.contract.path}, digest {digest}", digest=digest)
        tables = _open_tables(spark, model.contract.path, sources, target, ends=ends)
        if log.format != "none":  # which may list many files
            _log_sizes(log, sources, tables)
        with _described(spark, f"{params['model']}, {digest}"):
            yield Job(spark, model, tables, 0 if ends else next_stage(spark))


def _check_before_spark(sources: Sequence[Source], target: Target | None) -> None:
    """Check what needs no session: that the tables exist, and that the output may be written."""
    from tf2spark.spark.output.checks import check_before_spark

    if target is not None:
        check_before_spark(target)
    mistakes = Mistakes()
    for source in sources:
        with mistakes.collected():
            check_exists(source)
    mistakes.raise_all()


def _open_tables(
    spark: SparkSession,
    model: str,
    sources: Sequence[Source],
    target: Target | None,
    *,
    ends: bool,
) -> tuple[DataFrame, ...]:
    """Return the tables to read, once the output is known to overlap neither them nor the model.

    Args:
        spark: The session.
        model: Where the model is.
        sources: The tables to read.
        target: The table to write, or None.
        ends: The session ends with the command.
    """
    from tf2spark.spark.output.checks import check_apart_from_model, check_separate, prepare
    from tf2spark.spark.tables.option_names import check_options

    for source in sources:
        if source.path is not None:
            check_options(spark, f"--{source.name}-option", source.format, source.options)
    if target is not None:
        if not is_mlflow_uri(model):
            check_apart_from_model(spark, target, _uri_of(model))
        prepare(spark, target, ends=ends)
    tables = _read_all(spark, sources)
    if target is not None:
        for source, table in zip(sources, tables, strict=True):
            check_separate(spark, target, table, source.text, source.path)
    return tables


def _read_all(spark: SparkSession, sources: Sequence[Source]) -> tuple[DataFrame, ...]:
    mistakes = Mistakes()
    tables: list[DataFrame] = []
    for source in sources:
        with mistakes.collected():
            tables.append(read(spark, source))
    mistakes.raise_all()
    return tuple(tables)


def _uri_of(path: str) -> str:
    from tf2spark.locations.paths import is_uri

    # Not as_uri(): Hadoop takes %20 literally, not as a space.
    return path if is_uri(path) or path.startswith("file:") else f"file:{os.path.abspath(path)}"


@contextmanager
def _described(spark: SparkSession, model: str) -> Iterator[None]:
    """Have Spark's UI and event log name the command and the model of every job of the block."""
    from tf2spark.spark.recognize import is_connect

    if is_connect(spark):  # its clients can't describe jobs
        yield
        return
    command = click.get_current_context().info_name
    context: Any = spark.sparkContext
    before = context.getLocalProperty("spark.job.description")
    context.setJobDescription(shown(f"tf2spark {command} {model}"))
    try:
        yield
    finally:
        context.setJobDescription(before)


def _need_metastore(
    sources: Sequence[Source], target: Target | None, settings: Mapping[str, str]
) -> bool:
    """Say whether a table may be in the session's own catalog, and not in one of the settings."""
    names = [source.table or source.sql for source in sources if source.path is None]
    names += [target.table] if target is not None and target.table else []
    catalogs = {key.split(".")[3] for key in settings if re.match(r"spark\.sql\.catalog\.", key)}
    others = catalogs - {"spark_catalog"}
    return any((name or "").partition(".")[0].strip("`") not in others for name in names)


def _log_start(
    log: JobLog,
    params: Mapping[str, Any],
    sources: Sequence[Source],
    target: Target | None,
) -> None:
    command = click.get_current_context().info_name
    read = {source.name: source.value for source in sources}
    written = None if target is None else target.name
    tables = [*(f"{name} {path}" for name, path in read.items()), f"output {written}"]
    log.event(
        "start",
        f"tf2spark {tf2spark.__version__} {command}, model {params['model']}, {', '.join(tables)}",
        version=tf2spark.__version__,
        command=command,
        model=params["model"],
        **read,
        output=written,
    )


def _remember_event_log(log: JobLog, spark: SparkSession) -> None:
    """Keep in the record where Spark writes the history of the application, if it does."""
    from tf2spark.spark.recognize import is_connect

    if log.record is None or is_connect(spark):
        return
    settings, application = spark.sparkContext.getConf(), spark.sparkContext.applicationId
    folder = str(settings.get("spark.eventLog.dir", "/tmp/spark-events"))
    if settings.get("spark.eventLog.enabled", "false") == "true":
        log.record.remember(
            application=application, event_log_folder=shown(folder.removeprefix("file:"))
        )


def _log_sizes(log: JobLog, sources: Sequence[Source], tables: Sequence[DataFrame]) -> None:
    from tf2spark.spark.input_size import input_size

    for source, table in zip(sources, tables, strict=True):
        size = input_size(table)
        log.event(
            "reading",
            f"{source.name} {source.value}: {size}",
            table=source.name,
            path=source.value,
            files=size.files,
            bytes=size.size_bytes,
        )


@frozen
class Counts:
    """How many rows were written, not scored, and read, and what became of the tasks.

    None for what wasn't counted.
    """

    written: int
    failed: int | None = None
    read: int | None = None
    tasks: TaskFacts | None = None

    @property
    def rows_in(self) -> int:
        return self.written if self.read is None else self.read

    @property
    def refused(self) -> int:
        return self.failed or self.rows_in - self.written

    def log_done(self, log: JobLog, rows: str, seconds: float, target: Target) -> None:
        """Write the event that ends the log of a job that succeeded."""
        log.event(
            "done",
            f"{self.rows_in:,} {rows} in, {self.written:,} out, {self.refused:,} refused, "
            f"{seconds:.1f} s, {per_second(self.written, seconds)} {rows}/s: {target.name}",
            rows_in=self.rows_in,
            rows_out=self.written,
            rows_refused=self.refused,
            seconds=round(seconds, 3),
            output=target.name,
            exit_status=0,
        )

    def note(self) -> str:
        """Return how many rows have no result, as text; empty if all have one."""
        if self.failed:
            return f", {self.failed:,} of them could not be scored"
        if self.read is not None and self.read > self.written:
            return f", {self.read - self.written:,} dropped"
        return ""


def write_counted(
    job: Job,
    run: Callable[[DataFrame], DataFrame],
    target: Target,
    params: Mapping[str, Any],
    labels: tuple[str, str],
) -> Counts:
    """Write the result of `run`, counting rows on the way.

    Args:
        job: The command's job; its first table is the one to run on.
        run: Gives each row its outputs, in the command's `mode`.
        target: Where the result goes; a job that fails leaves it unchanged.
        params: The command's options.
        labels: The activity and the plural of a row, for the progress bar on a terminal.
    """
    from tf2spark.spark.output.write import write
    from tf2spark.spark.row_counter import RowCounter

    rows, model = job.tables[0], digest_text(job.model.digest)
    drops = params["mode"] == "dropmalformed"
    reads = RowCounter.of(rows, "tf2spark.read", model=model) if drops else None
    result = run(rows if reads is None else reads.table)
    permissive = params["mode"] == "permissive"
    reasons = (params["error_column"] or "_error") if permissive else None
    writes = RowCounter.of(result, "tf2spark.written", model=model, refused=reasons)
    log = log_of(params)
    try:
        with log.progress(job.spark, *labels):
            write(writes.table, target)
    except Exception:
        with suppress(Exception):  # it says more of what failed, if Spark still can
            _logged_tasks(log, job)
        raise
    tasks = _logged_tasks(log, job)
    failed = writes.refused() if permissive else None
    return Counts(writes.rows(), failed, reads.rows() if reads else None, tasks)


def _logged_tasks(log: JobLog, job: Job) -> TaskFacts | None:
    from tf2spark.spark.facts.tasks import task_facts

    facts = task_facts(job.spark, job.first_stage)
    if facts is not None:
        log.event("tasks", str(facts), **asdict(facts), skew=facts.skew)
    return facts


def per_second(count: int, seconds: float) -> str:
    """Return a rate per second as text; of a small job, not as 0."""
    rate = count / seconds if seconds > 0 else 0.0
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
