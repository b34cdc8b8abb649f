"""What became of the last run of a command, in one paragraph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tf2spark.errors import ContractError, Tf2SparkError
from tf2spark.report.event_log import SKEW_ADVICE, SKEWED, explain_log
from tf2spark.report.run_record import Record, is_running, last_record, runs_folder
from tf2spark.shown_text import shown

_RETRIES = {
    1: "A retry may help.",
    2: "The arguments, the model or the data are wrong: a retry won't help.",
}
_KILLED = (
    "It was killed before it could say why: by the system for lack of memory, by SIGKILL, or with "
    "its machine. Its output is the old or the new one, whole, and running it again is safe (with "
    "--append, look first whether the rows are there)."
)


def explain_last(describe: Callable[[str], str]) -> str:
    """Return a paragraph about the last run of this user on this machine.

    Args:
        describe: Returns the message for people in the text of a Spark exception.

    Raises:
        ContractError: There is none.
    """
    record = last_record()
    if record is None:
        raise ContractError(
            f"no run of tf2spark score or recommend is recorded in {runs_folder()}",
            "of a Spark job, tf2spark doctor --event-log PATH explains Spark's event log",
        )
    return shown(" ".join(_sentences(record, describe)))


def _sentences(record: Record, describe: Callable[[str], str]) -> Iterator[str]:
    events: dict[str, dict[str, Any]] = record["events"]
    what = events.get("start", {}).get("message") or f"tf2spark {record['command']}"
    when = datetime.fromisoformat(record["started"]).astimezone().isoformat(" ", "seconds")
    yield f"The last run, {when} in {record['folder']}: {what}."
    yield from _outcome(record, events)
    if "tasks" in events:
        yield f"Of its tasks: {events['tasks']['message']}."
        if (events["tasks"].get("skew") or 0) > SKEWED:
            yield SKEW_ADVICE
    if "done" not in events:
        yield from _spark_says(record, describe)


def _outcome(record: Record, events: dict[str, dict[str, Any]]) -> Iterator[str]:
    if "error" in events:
        error = events["error"]
        status, message = error["exit_status"], error["message"].rstrip(".")
        yield f"It failed after {error['seconds']:.1f} s, with exit status {status}: {message}."
        yield "" if message == "interrupted" else _RETRIES.get(status, "")
    elif "done" in events:
        yield f"It succeeded: {events['done']['message']}."
    else:
        running = is_running(record)
        yield f"It is still running, as process {record['process']}." if running else _KILLED
        name, last = list(events.items())[-1]
        yield f"The last that it said, at {last['time']}: {name}: {last['message']}."


def _spark_says(record: Record, describe: Callable[[str], str]) -> Iterator[str]:
    """Yield what Spark's event log says of a run that didn't succeed, where there is one."""
    folder, application = record.get("event_log_folder"), record.get("application")
    if not folder or not application:
        return
    try:
        logs = [each for each in Path(folder).iterdir() if application in each.name]
        text = explain_log(logs[0], describe) if logs else ""
    except (OSError, Tf2SparkError):  # on another file system, or no job ran
        return
    if text:
        yield f"Spark's event log has more: {text}"
