"""Functions that observe Spark's Python workers from inside.

They import next to nothing, so as not to change what they observe.
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
    """For `mapInArrow`: yield a row about this process's memory for each batch."""
    import pyarrow as pa

    for _ in batches:
        time.sleep(0.5)  # so that the tasks run at the same time, each in a worker of its own
        # Read before Arrow converts Python values, which imports pandas.
        memory = memory_of_this_process()
        yield pa.RecordBatch.from_pylist([memory])


def memory_of_this_process() -> dict[str, Any]:
    """Return this process's row for `pools.worker_memory`.

    Source: proc(5), smaps_rollup, in kB.
    """
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size) * 1024 for name, size, *_ in map(str.split, lines)}
    return {
        "pid": os.getpid(),
        "private_bytes": sizes["Private_Clean:"] + sizes["Private_Dirty:"],
        "shared_bytes": sizes["Shared_Clean:"] + sizes["Shared_Dirty:"],
        "written_bytes": sizes["Anonymous:"],
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
    """Write the marks to `file` when the first batch has been scored."""
    if "scored" not in marks:
        marks["scored"] = seconds_alive()
        Path(file).write_text(json.dumps(marks))
