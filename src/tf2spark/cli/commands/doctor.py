"""`tf2spark doctor`: what is missing on this machine or cluster, and how to fix it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import evolve

from tf2spark.cli.checks import (
    Finding,
    executors_text,
    finding_of,
    judge_versions,
    judge_worker,
    on_this_machine,
)
from tf2spark.cli.failures import describe_failure
from tf2spark.cli.options import allow_op_option, key_values, op_library_option, spark_options
from tf2spark.errors import SetupError, Tf2SparkError
from tf2spark.shown_text import shown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tf2spark.plan.score import ModelRef
    from tf2spark.spark.worker_checks import OpenedModel

_COLORS = {"ok": "green", "warning": "yellow", "missing": "red"}


@click.command()
@click.argument("model", metavar="[MODEL]", required=False)
@allow_op_option
@op_library_option
@spark_options
@click.option("--no-spark", is_flag=True, help="Check this machine only, without starting Spark.")
@click.option(
    "--event-log",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Explain the last job in this event log of Spark, or in the newest of a folder; checks "
    "nothing.",
)
@click.option(
    "--last",
    is_flag=True,
    help="Explain the last run of score or recommend by this user on this machine: why it failed, "
    "or what was slow; checks nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def doctor(
    context: click.Context,
    model: str | None,
    op_library: tuple[str, ...],
    master: str | None,
    conf: tuple[str, ...],
    allow_op: tuple[str, ...],
    no_spark: bool,
    event_log: Path | None,
    last: bool,
    as_json: bool,
) -> int:
    """Say what is missing on this machine or cluster, and how to fix it.

    It checks this machine, then runs a tiny Spark job that checks every executor: its Python,
    TensorFlow's library, CPU, memory limit and cache. With MODEL it also opens the model on each,
    if its ops are allowed, and with --op-library it loads the libraries of the model's custom ops
    first. Without MODEL, libraries are loaded on this machine only. With --no-spark, the model is
    opened on this machine.

    \b
    Exit status: 0 if nothing is missing (there may be warnings), 1 otherwise.

    \b
    Examples:
      tf2spark doctor
      tf2spark doctor --master spark://head:7077 --conf spark.executor.memory=4g
      tf2spark doctor hdfs:///models/ctr.tf2spark --master yarn
      tf2spark doctor --json
      tf2spark doctor --last
      tf2spark doctor --event-log /var/log/spark/eventlog_v2_app-20261128-0007
    """
    if last or event_log is not None:
        text = _explanation(event_log)
        click.echo(json.dumps({"explanation": text}) if as_json else text)
        return 0
    settings = key_values("--conf", conf)
    findings = [*on_this_machine(), *map(judge_library, op_library)]
    options = {"allow_ops": allow_op, "op_libraries": op_library}
    if no_spark and model is not None:
        findings.append(_open_here(model, options))
    if not no_spark:
        debug = bool((context.obj or {}).get("debug"))
        findings += _on_spark(findings, model, options, master, settings, debug)
    click.echo(_as_json(findings) if as_json else _as_text(findings))
    return int(any(finding.status == "missing" for finding in findings))


def _explanation(event_log: Path | None) -> str:
    """Return what became of the last run, or of the last job of an event log."""

    def describe(failure: str) -> str:
        return describe_failure(RuntimeError(failure))[1]

    if event_log is None:
        from tf2spark.report.last_run import explain_last

        return explain_last(describe)
    from tf2spark.report.event_log import explain_log, newest_log

    return explain_log(newest_log(event_log), describe)


def _on_spark(
    local: Sequence[Finding],
    model: str | None,
    options: Mapping[str, Sequence[str]],
    master: str | None,
    settings: Mapping[str, str],
    debug: bool,
) -> list[Finding]:
    missing = [finding.name for finding in local if finding.status == "missing"]
    if {"PySpark", "Java", "SPARK_HOME"} & set(missing):
        return [Finding("Spark job", "missing", "not tried", f"first fix {', '.join(missing)}")]
    try:
        return list(_job(model, options, master, settings, debug))
    except Exception as error:
        _, message = describe_failure(error)
        return [Finding("Spark job", "missing", "failed", message)]


def _job(
    model: str | None,
    options: Mapping[str, Sequence[str]],
    master: str | None,
    settings: Mapping[str, str],
    debug: bool,
) -> Iterator[Finding]:
    from tf2spark.spark.comet import has_comet
    from tf2spark.spark.session import running
    from tf2spark.spark.worker_checks import inspect_workers

    with running(master, settings, quiet=not debug) as spark:
        comet = ", with Comet" if has_comet(spark) else ""
        yield Finding("Spark", "ok", f"{spark.version} on {spark.sparkContext.master}{comet}")
        if model is None:
            yield from _memory(spark, None)
        workers = inspect_workers(spark)
        for worker in workers:
            yield from judge_worker(worker)
        yield from judge_versions(workers)
        if model is not None:
            yield from _open(model, options, spark)


def _memory(spark: SparkSession, model: ModelRef | None) -> Iterator[Finding]:
    """Check the limits on an executor's memory, as far as settings tell."""
    from tf2spark.spark.memory_limit import low_memory

    try:
        low = low_memory(spark, model)
    except SetupError as error:
        yield finding_of(error, "memory")
    else:
        if low is not None:
            yield evolve(finding_of(low, "memory"), status="warning")


def _open_here(model: str, options: Mapping[str, Sequence[str]]) -> Finding:
    """Open a model in this process, if the ops that this runs are allowed."""
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.worker.model_session import session_of

    start = time.monotonic()
    try:
        runnable = RunnableModel(
            model, allow_ops=options["allow_ops"], op_libraries=options["op_libraries"]
        )
        session_of(runnable.reference_to_open())
    except Tf2SparkError as error:
        return finding_of(error, "model")
    return Finding("model", "ok", f"{shown(model)} opened in {time.monotonic() - start:.1f} s")


def _open(
    model: str, options: Mapping[str, Sequence[str]], spark: SparkSession
) -> Iterator[Finding]:
    """Open a model on every executor, if the ops that this runs are allowed."""
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.spark.worker_checks import open_on_workers

    try:
        runnable = RunnableModel(
            model, allow_ops=options["allow_ops"], op_libraries=options["op_libraries"]
        )
        reference = runnable.reference_to_open()
    except Tf2SparkError as error:
        yield finding_of(error, "model")
        yield from _memory(spark, None)
        return
    limits = list(_memory(spark, reference))
    yield from limits
    if any(limit.status == "missing" for limit in limits):
        return  # the executors would be ended
    for opened in open_on_workers(spark, reference):
        yield judge_opened(model, opened)


def judge_library(name: str) -> Finding:
    """Report whether an op library can be loaded on this machine."""
    from tf2spark.locations.fetch import library_on_this_machine
    from tf2spark.package.op_libraries import find_libraries
    from tf2spark.worker.op_libraries import loaded_library

    label = f"op library {shown(name)}"
    try:
        (library,) = find_libraries([name], library_on_this_machine)
        loaded = loaded_library(library)
    except Tf2SparkError as error:
        return finding_of(error, label)
    return Finding(label, "ok", f"{len(loaded.ops)} op{'s' if len(loaded.ops) != 1 else ''}")


def judge_opened(model: str, opened: OpenedModel) -> Finding:
    """Report whether a model opened on an executor."""
    name = f"model on {executors_text(opened)}"
    if opened.error:
        return Finding(name, "missing", f"{shown(model)} doesn't open", opened.error)
    return Finding(name, "ok", f"{shown(model)} opened in {opened.seconds:.1f} s")


def _as_text(findings: Sequence[Finding]) -> str:
    width = max(len(shown(finding.name)) for finding in findings)
    lines = []
    for finding in findings:
        status = click.style(finding.status.ljust(8), fg=_COLORS[finding.status])
        lines.append(f"{status} {shown(finding.name).ljust(width)}  {shown(finding.found)}")
        if finding.advice:
            lines.append(f"{' ' * (width + 11)}→ {finding.advice}")
    return "\n".join([*lines, "", _summary(findings)])


def _summary(findings: Sequence[Finding]) -> str:
    missing = sum(finding.status == "missing" for finding in findings)
    warnings = sum(finding.status == "warning" for finding in findings)
    if missing:
        return f"to fix before tf2spark can score here: {missing}"
    return f"ready to score ({warnings} warnings)" if warnings else "ready to score"


def _as_json(findings: Sequence[Finding]) -> str:
    listed = [
        {
            "name": finding.name,
            "status": finding.status,
            "found": finding.found,
            "advice": finding.advice or None,
        }
        for finding in findings
    ]
    ready = not any(finding.status == "missing" for finding in findings)
    return json.dumps({"ready": ready, "findings": listed}, indent=2)
