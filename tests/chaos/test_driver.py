"""The command is killed at random points; its output is the old or the new one, whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import frozen

from cases.models import case, path_of
from chaos.figures import Figures, record

_MODES = {
    "new": [],
    "overwrite": ["--overwrite"],
    "append": ["--append"],
    "partitions": ["--overwrite-partitions"],
}
_POINTS, _ROWS, _DAYS = 20, 4_000, 4
State = Counter[tuple[int, int]]
"""How often each row (its id and its day) is there."""


@frozen
class Kind:
    """How the command writes: its options, the folder before, and what may be there after."""

    mode: str
    partitioned: bool

    def command(self, rows: Path, output: Path) -> list[str]:
        partition = ["--partition-by", "day"] if self.partitioned else []
        return [
            *(sys.executable, "-m", "tf2spark", "score", str(path_of(case("keras_mlp")))),
            *("--input", str(rows), "--output", str(output), "--keep", "id,day"),
            *("--master", "local[2]", "--conf", "spark.ui.enabled=false"),
            *_MODES[self.mode],
            *partition,
        ]


KINDS = [Kind(mode, partitioned) for mode in _MODES for partitioned in (False, True)
         if partitioned or mode != "partitions"]  # fmt: skip


def write_rows(path: Path, first: int, days: range) -> State:
    """Write rows whose ids begin with `first`, on these days in turn."""
    table = case("keras_mlp").table(_ROWS).select(["features"])
    ids = list(range(first, first + _ROWS))
    day = [days[number % len(days)] for number in range(_ROWS)]
    table = table.append_column("id", pa.array(ids, pa.int64()))
    pq.write_table(table.append_column("day", pa.array(day, pa.int32())), path, row_group_size=500)
    return Counter(zip(ids, day, strict=True))


def state_of(output: Path) -> State | None:
    """Return what a reader of a table sees; None where it is told that there is no table."""
    if not output.exists():
        return None
    table = pq.read_table(output)
    return Counter(zip(table["id"].to_pylist(), map(int, table["day"].to_pylist()), strict=True))


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def seen_paths(folder: Path, process: subprocess.Popen[bytes], limit: int) -> int:
    """Watch a folder until so many paths have been in it, or the process has ended."""
    seen: set[str] = set()
    while len(seen) < limit and process.poll() is None:
        for parent, folders, files in os.walk(folder):
            seen.update(os.path.join(parent, name) for name in (*folders, *files))
        time.sleep(0.001)
    return len(seen)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def kill_at(command: list[str], folder: Path, paths: int, delay_seconds: float) -> bool:
    """Kill the driver and its JVM after so many paths have appeared, and this long after.

    Returns:
        Whether it ran until then.
    """
    process = start(command)
    seen_paths(folder, process, paths)
    time.sleep(delay_seconds)
    running = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def after(old: State | None, new: State, mode: str) -> State:
    """Return the rows after a run that succeeds."""
    if old is None or mode in ("new", "overwrite"):
        return new
    if mode == "append":
        return old + new
    days = {day for _, day in new}
    return Counter({row: count for row, count in old.items() if row[1] not in days}) + new


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_killed_commands_leave_the_old_or_the_new_output(tmp_path: Path) -> None:
    """At 20 points: half by the clock, half by what the run has written; a rerun succeeds."""
    old_rows = write_rows(tmp_path / "old.parquet", 0, range(_DAYS))
    new_rows = write_rows(tmp_path / "new.parquet", _ROWS, range(_DAYS // 2))
    chance, rows, old_states, kills = random.Random(19), 0, 0, 0
    for point in range(_POINTS):
        kind = KINDS[point % len(KINDS)]
        folder = tmp_path / f"point-{point}"
        folder.mkdir()
        output, old = folder / "out", None
        if kind.mode != "new":
            prepared = tmp_path / f"before-{kind.partitioned}"
            if not prepared.exists():
                run(Kind("new", kind.partitioned).command(tmp_path / "old.parquet", prepared))
            shutil.copytree(prepared, output)
            old = old_rows
        command = kind.command(tmp_path / "new.parquet", output)
        before = len(list(folder.rglob("*")))
        if point % 2:
            paths, delay_seconds = before + chance.randrange(1, 30), chance.uniform(0, 0.05)
        else:
            paths, delay_seconds = 0, chance.uniform(1.0, 9.0)
        kills += kill_at(command, folder, paths, delay_seconds)
        complete, state = after(old, new_rows, kind.mode), state_of(output)
        assert state in (old, complete), f"{kind} at point {point}"
        old_states += state == old
        if state == old:
            run(command)
        assert state_of(output) == complete, f"{kind} at point {point}, run again"
        rows += complete.total()
    assert kills >= _POINTS // 2
    note = f"{old_states} times the old output, {_POINTS - old_states} times the new one"
    record("driver", Figures(_POINTS, kills, rows, note=note))
