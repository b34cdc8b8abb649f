"""What `make chaos` counts, in ``figures.json``, and the table of docs/reliability.md made of it.

``python -m chaos.figures`` writes the table anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

_FILE = Path(__file__).with_name("figures.json")
_PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_START, _END = "<!-- figures of make chaos -->\n", "<!-- end of figures -->"

PROMISES = {
    "workers": (
        "Python workers end (SIGKILL, SIGSEGV, exit, abort) at a random run of the model",
        "rows are those of an undisturbed job, by key and bits",
    ),
    "executors": ("executors are killed", "the same, and counts are those of the table"),
    "stopped_worker": (
        "a worker of the standalone cluster is killed with its executor",
        "the same",
    ),
    "speculation": (
        "a task lags, and Spark starts it again on another host",
        "the same; files, counts and refused rows aren't doubled",
    ),
    "overwritten_model": (
        "the model is overwritten at its source, and an executor is lost",
        "all rows have the digest of the model at the call",
    ),
    "hangs": (
        "a worker is stopped (SIGSTOP), a run deadlocks or never ends",
        "found within `task_timeout`, then tried again; in the end one error with the stack",
    ),
    "driver": (
        "the command is killed at random points: new output, `--overwrite`, `--append`, partitions",
        "the output is the old or the new one, whole; running it again succeeds",
    ),
    "s3": (
        "S3 resets, cuts, delays or refuses (503) requests, or is away for seconds; "
        "an object or a key is missing",
        "what passes is healed, with the same bits; what stays fails in under a minute, named, "
        "and leaves no output",
    ),
    "hdfs": (
        "a DataNode or the NameNode is killed and started again; a block is damaged; safe mode; "
        "a quota; a user without permission",
        "the same; a damaged block that Spark reads, after about 80 s",
    ),
    "memory": (
        "the least memory that is documented: an address space of 2 GiB; on YARN, which ends "
        "what uses more, an overhead of 1 GiB; rows of 300 MB",
        "it is enough; a smaller address space, and a container in which a model can't be loaded, "
        "are refused before a job runs, with the figure",
    ),
    "versions": (
        "a host has another TensorFlow, and another tf2spark of its own; one has no TensorFlow",
        "told for each host by `doctor` and before the first job; every host runs the tf2spark of "
        "the job",
    ),
    "scheduling": (
        "executors come and go by dynamic allocation; two CPUs a task; several executors a host",
        "rows are complete, and TensorFlow has as many threads as a task has CPUs",
    ),
    "tasks": (
        "10,000 tasks; 990 of 1,000 partitions empty; one partition of 10,000,000 rows",
        "rows are complete, and a worker opens a model once",
    ),
}
"""By the key of its figures: the fault, and what is promised."""


@frozen
class Figures:
    """What was counted while a fault was injected.

    Attributes:
        jobs: The jobs that ran.
        faults: The faults that were injected, each of them seen to happen.
        rows: The rows that the jobs returned, wrote or left in place.
        rows_lost: Rows that were missing.
        rows_doubled: Rows that were there more than once.
        rows_changed: Rows with other bits than without the fault.
        note: What else was measured.
    """

    jobs: int
    faults: int
    rows: int
    rows_lost: int = 0
    rows_doubled: int = 0
    rows_changed: int = 0
    note: str = ""


def record(key: str, figures: Figures) -> None:
    """Keep the figures of a fault, in the place of those of an earlier run."""
    assert key in PROMISES, key
    known = _read()
    known[key] = asdict(figures)
    _FILE.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def _read() -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = json.loads(_FILE.read_text()) if _FILE.exists() else {}
    return known


def table() -> str:
    """Return the table of all figures, in Markdown."""
    lines = [
        "| fault | promise | jobs | faults injected | rows | lost, doubled or changed |",
        "|---|---|---:|---:|---:|---:|",
    ]
    known = _read()
    for key, (fault, promise) in PROMISES.items():
        if key in known:
            figures = Figures(**known[key])
            wrong = figures.rows_lost + figures.rows_doubled + figures.rows_changed
            note = f" ({figures.note})" if figures.note else ""
            counts = f"{figures.jobs:,} | {figures.faults:,} | {figures.rows:,} | {wrong:,}"
            lines.append(f"| {fault} | {promise}{note} | {counts} |")
    return "\n".join(lines) + "\n"


def filled(page: str) -> str:
    """Return the page with the table of today's figures."""
    before, start, rest = page.partition(_START)
    end = rest.partition(_END)[2]
    assert start, "the page has no place for the table"
    return f"{before}{start}\n{table()}\n{_END}{end}"


if __name__ == "__main__":
    _PAGE.write_text(filled(_PAGE.read_text()))
