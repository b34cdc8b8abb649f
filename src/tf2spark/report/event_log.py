"""What a Spark application's event log says of its last job, in one paragraph.

Spark writes the log where ``spark.eventLog.enabled`` is true: lines of JSON, compressed with zstd
by default, in one file or, if it rolls, in a folder of files.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
from attrs import Factory, define

from tf2spark.errors import ContractError
from tf2spark.shown_text import shown

_COMPRESSION = {".zstd": "zstd"}
_CRASHED = "Python worker exited unexpectedly"
SKEWED = 4.0
"""From here on, the slowest task takes too many times as long as the middle one."""
SKEW_ADVICE = "That is skewed: repartition the table, or look at that partition's rows."
Event = dict[str, Any]


@define
class _Stage:
    """The tasks of a stage: seconds by partition, failures, and what was tried again."""

    seconds: dict[int, float] = Factory(dict)
    failures: list[Event] = Factory(list)


@define
class _Job:
    """A job: its number, what it is called, its stages, and why it failed."""

    number: int = -1
    description: str = ""
    stages: list[int] = Factory(list)
    failure: str | None = None
    ended: bool = False


@define
class _History:
    """What an application has done, as far as the paragraph needs it."""

    name: str = ""
    version: str = ""
    jobs: dict[int, _Job] = Factory(dict)
    stages: dict[int, _Stage] = Factory(dict)
    lost_executors: list[str] = Factory(list)


def newest_log(path: Path) -> Path:
    """Return an event log: the path itself, or the newest in a folder of logs.

    Raises:
        ContractError: There is none.
    """
    if path.is_file() or path.name.startswith("eventlog_v2_"):
        return path
    listed = path.iterdir() if path.exists() else ()
    logs = [each for each in listed if not each.name.startswith(".")]
    if not logs:
        raise ContractError(
            f"there is no event log in {path}",
            "Spark writes one with --conf spark.eventLog.enabled=true and --conf "
            "spark.eventLog.dir=FOLDER",
        )
    return max(logs, key=lambda each: each.stat().st_mtime)


def explain_log(path: Path, describe: Callable[[str], str]) -> str:
    """Return a paragraph about the last job of an application that failed, or about the last one.

    Args:
        path: The log.
        describe: Returns the message for people in the text of a Spark exception.

    Raises:
        ContractError: It isn't an event log.
    """
    history = _History()
    for event in _events(path):
        _take(history, event)
    if not history.jobs:
        raise ContractError(f"{path} is no event log of Spark, or no job ran")
    jobs = list(history.jobs.values())
    job = next((each for each in reversed(jobs) if each.failure or not each.ended), jobs[-1])
    stages = [history.stages[number] for number in job.stages if number in history.stages]
    sentences = [
        f'Application "{history.name}" on Spark {history.version}, job {job.number}'
        f"{f' ({job.description})' if job.description else ''}: {_outcome(job, describe)}.",
        *_failures(stages),
        *_losses(history),
        *_durations(stages),
    ]
    return shown(" ".join(sentences))


def _events(path: Path) -> Iterator[Event]:
    files = [path] if path.is_file() else sorted(path.glob("events_*"), key=_number)
    for file in files:
        name = file.name.removesuffix(".inprogress")
        compression = _COMPRESSION.get(Path(name).suffix if "." in name else "")
        with pa.input_stream(str(file), compression=compression) as stream:
            rest = b""
            while chunk := stream.read(1 << 20):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from filter(None, map(_parsed, lines))


def _number(file: Path) -> int:
    match = re.match(r"events_(\d+)_", file.name)
    return int(match[1]) if match else 0


def _parsed(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:  # the last line of an application that was killed, or no event log
        return None
    return event if isinstance(event, dict) else None


def _take(history: _History, event: Event) -> None:
    """Add an event to what is known."""
    match event.get("Event"):
        case "SparkListenerLogStart":
            history.version = str(event.get("Spark Version"))
        case "SparkListenerApplicationStart":
            history.name = str(event.get("App Name"))
        case "SparkListenerExecutorRemoved":
            history.lost_executors.append(str(event.get("Removed Reason")))
        case "SparkListenerJobStart":
            properties = event.get("Properties") or {}
            description = str(properties.get("spark.job.description") or "")
            number = int(event["Job ID"])
            history.jobs[number] = _Job(number, description, list(event.get("Stage IDs", ())))
        case "SparkListenerJobEnd" if job := history.jobs.get(int(event["Job ID"])):
            job.ended = True
            result = event.get("Job Result") or {}
            if result.get("Result") != "JobSucceeded":
                job.failure = str((result.get("Exception") or {}).get("Message"))
        case "SparkListenerTaskEnd":
            _take_task(history.stages.setdefault(int(event["Stage ID"]), _Stage()), event)


def _take_task(stage: _Stage, event: Event) -> None:
    reason, task = event.get("Task End Reason") or {}, event.get("Task Info") or {}
    if reason.get("Reason") == "Success":
        seconds = (task["Finish Time"] - task["Launch Time"]) / 1000
        stage.seconds[int(task["Index"])] = seconds
    elif reason.get("Reason") != "TaskKilled":  # another attempt was faster, or the job had ended
        stage.failures.append({**task, **reason})


def _outcome(job: _Job, describe: Callable[[str], str]) -> str:
    if job.failure is None:
        return "it succeeded" if job.ended else "it hadn't ended when the log did"
    return f"it failed: {describe(job.failure).splitlines()[0]}"


def _failures(stages: Sequence[_Stage]) -> Iterator[str]:
    """Say which tasks failed, how often, and where."""
    failures = [failure for stage in stages for failure in stage.failures]
    if not failures:
        return
    hosts = Counter(str(failure.get("Host")) for failure in failures)
    crashed = sum(_CRASHED in str(failure.get("Description")) for failure in failures)
    lost = sum(failure["Reason"] == "ExecutorLostFailure" for failure in failures)
    partition, times = Counter(int(failure["Index"]) for failure in failures).most_common(1)[0]
    where = ", ".join(f"{count} on {host}" for host, count in hosts.most_common(3))
    attempts = _count(len(failures), "attempt")
    yield f"{attempts} of tasks failed ({where}), {times} of partition {partition}."
    if crashed:
        yield (
            f"In {crashed} of them the Python worker ended without an error: the system killed "
            "it, mostly for lack of memory (raise spark.executor.memoryOverhead), or TensorFlow "
            "crashed."
        )
    if lost:
        yield f"In {lost} of them the executor was lost."


def _losses(history: _History) -> Iterator[str]:
    if history.lost_executors:
        reason, _ = Counter(history.lost_executors).most_common(1)[0]
        yield f"{_count(len(history.lost_executors), 'executor')} went away ({reason})."


def _durations(stages: Sequence[_Stage]) -> Iterator[str]:
    """Say how long tasks took, and which the slowest was, of the stage with the most work."""
    stage = max(stages, key=lambda each: sum(each.seconds.values()), default=_Stage())
    if not stage.seconds:
        return
    partition, longest = max(stage.seconds.items(), key=lambda item: item[1])
    middle, tasks = median(stage.seconds.values()), _count(len(stage.seconds), "task")
    yield (
        f"Of {tasks} that succeeded, the middle one took {middle:.1f} s and the slowest, of "
        f"partition {partition}, {longest:.1f} s."
    )
    if len(stage.seconds) > 1 and longest > SKEWED * max(middle, 0.1):
        yield SKEW_ADVICE


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"
