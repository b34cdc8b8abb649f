"""What runs inside Spark's Python workers to watch them. Imports next to nothing, so as not to
change what it watches.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def report_memory(batches: Iterable[Any]) -> Iterator[Any]:
    """For `mapInArrow`: one row on the memory of this process for each batch."""
    import pyarrow as pa

    for _ in batches:
        time.sleep(0.5)  # so that the tasks run side by side, each in a worker of its own
        # Before Arrow makes anything of Python's, importing pandas.
        found = memory_of_this_process()
        yield pa.RecordBatch.from_pylist([found])


def memory_of_this_process() -> dict[str, Any]:
    """Return what `pools.worker_memory` says of a process.

    Source: proc(5), smaps_rollup, in kB.
    """
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    found = {name: int(size) * 1024 for name, size, *_ in map(str.split, lines)}
    return {
        "pid": os.getpid(),
        "private_bytes": found["Private_Clean:"] + found["Private_Dirty:"],
        "shared_bytes": found["Shared_Clean:"] + found["Shared_Dirty:"],
        "written_bytes": found["Anonymous:"],
        "tensorflow_mapped": "libtensorflow" in Path("/proc/self/maps").read_text(),
        "tensorflow_imported": "tensorflow" in sys.modules,
        "pandas_imported": "pandas" in sys.modules,
    }


def seconds_alive() -> float:
    """Return the age of this process, to 10 ms. Source: proc(5), stat, field 22 in clock ticks."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def mark_first(file: str, marks: dict[str, float]) -> None:
    """Write the marks down when the first batch has been scored."""
    if "scored" not in marks:
        marks["scored"] = seconds_alive()
        Path(file).write_text(json.dumps(marks))
