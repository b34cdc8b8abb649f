"""What the commands of this user did last, in small files that `tf2spark doctor --last` explains.

Each run has a file of its own, readable by the user alone, in the folder for state of the XDG base
directories (``~/.local/state/tf2spark/runs``). It has the events of the run's log, whatever the
log's format, and is written with each of them: a run that is killed leaves what it said last.
A run never fails for want of its record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_KEPT_RUNS = 20
_SUFFIX = ".json"
Record = dict[str, Any]


class RunRecord:
    """The record of one run of a command."""

    def __init__(self, command: str) -> None:
        now = datetime.now(UTC)
        self._name = f"{now:%Y%m%dT%H%M%S.%f}-{os.getpid()}{_SUFFIX}"
        self._record: Record = {
            "command": command,
            "started": now.isoformat(timespec="seconds"),
            "folder": os.getcwd(),
            "process": os.getpid(),
            "process_start": process_start(os.getpid()),
            "events": {},
        }

    def remember(self, **facts: str) -> None:
        """Keep facts that are no events of the log; they are written with the next event."""
        self._record.update(facts)

    def add(self, event: str, message: str, fields: Mapping[str, Any]) -> None:
        """Write an event, in place of an earlier one of its kind."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        self._record["events"][event] = {"time": time, "message": message, **fields}
        with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
            folder = runs_folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(folder / self._name, json.dumps(self._record, default=str))
            _remove_oldest(folder)


def runs_folder() -> Path:
    """Return where records lie.

    Raises:
        RuntimeError: The user has no home.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "tf2spark" / "runs"


def last_record() -> Record | None:
    """Return the record of the run that started last; None if there is none."""
    with suppress(OSError, RuntimeError):
        for path in reversed(_records(runs_folder())):
            with suppress(OSError, ValueError):  # removed meanwhile, or cut by a full disk
                record = json.loads(path.read_text(encoding="utf-8"))
                if isinstance(record, dict) and isinstance(record.get("events"), dict):
                    return record
    return None


def is_running(record: Record) -> bool:
    """Say whether the process of a record is still there, and not another of its number."""
    start = process_start(int(record["process"]))
    return start is not None and start == record["process_start"]


def process_start(process: int) -> str | None:
    """Return when a process started, as the system counts; None if there is no such process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return f"{boot} {status.rpartition(')')[2].split()[19]}"  # proc_pid_stat(5)


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(part, path)


def _remove_oldest(folder: Path) -> None:
    for path in _records(folder)[:-_KEPT_RUNS]:
        path.unlink(missing_ok=True)


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{_SUFFIX}"))
