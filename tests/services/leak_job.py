"""Scores batch after batch and prints the process's memory early and late, in KiB.

Run as ``python leak_job.py MODEL TABLE FEED BATCHES``; FEED is a JSON object, input to column.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

import tf2spark
from tf2spark.binding.bind import bind
from tf2spark.binding.options import make_options
from tf2spark.worker.model_session import session_of
from tf2spark.worker.score_loop import score_batches


def resident_kib() -> int:
    """Return the anonymous resident memory of this process: heap, stacks, written pages.

    Not private memory: pages of TensorFlow's library count as private from the moment when the
    last other process that maps them ends, such as that of a test that runs beside this one.
    """
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def main(model_path: str, table: str, feed: str, batches: int) -> None:
    model = tf2spark.SavedModel(model_path)
    batch = pq.read_table(table).combine_chunks().to_batches()[0]
    request = model._runnable.request(None, json.loads(feed) or None, None)
    options = make_options(mode="permissive", error_column="_error")
    reference = model._runnable.reference_for(request)
    plan = bind(request, batch.schema, options, reference)
    rows, early_kib = 0, 0
    scored = score_batches(plan, session_of(reference), itertools.repeat(batch, batches))
    for number, out in enumerate(scored, 1):
        rows += out.num_rows
        if number == batches // 20:
            early_kib = resident_kib()
    print(json.dumps({"rows": rows, "early_kib": early_kib, "late_kib": resident_kib()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
