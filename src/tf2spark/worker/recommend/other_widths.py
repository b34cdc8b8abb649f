"""Users whose rows differ in size from those that the graph was split for.

Where a model leaves the length of its rows open (a viewing history, say), the first users set it.
Users with another length aren't refused but scored by the whole graph, which is slower.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import take_indices, take_rows
from tf2spark.conversion.rows import Ints, RowsRefused
from tf2spark.plan.recommend import WHOLE_FOLDER
from tf2spark.plan.score import ModelRef
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.model_session import open_model
from tf2spark.worker.recommend.mapped_tables import FolderSession
from tf2spark.worker.score_loop import Runner

# Each lives as long as the session of its split graph.
_whole_sessions: WeakKeyDictionary[FolderSession, CApiSession] = WeakKeyDictionary()
_lock = threading.Lock()


def whole_session(model: ModelRef, split: FolderSession) -> CApiSession:
    """Return the session for the whole graph, whose folder is inside the split one's.

    It is opened at the first call, and closes when the split graph's session does.
    """
    folder = Path(split.path)
    with _lock:
        if split not in _whole_sessions:
            _whole_sessions[split] = open_model(model, folder / WHOLE_FOLDER, weights=folder)
        return _whole_sessions[split]


def with_fallback(run_split: Runner, make_whole: Callable[[], Runner]) -> Runner:
    """Return a runner that tries the whole graph for rows that the split one can't be fed.

    It raises `RowsRefused` for rows that neither can be fed, with the split graph's reasons.

    Args:
        run_split: Runs the split graph; raises `RowsRefused` for rows that it can't be fed.
        make_whole: Returns what runs the whole graph; called at the first such row.
    """
    run_whole: Runner | None = None

    def run(batch: pa.RecordBatch) -> list[pa.Array]:
        nonlocal run_whole
        try:
            return run_split(batch)
        except RowsRefused as error:
            refused = error
        if run_whole is None:
            run_whole = make_whole()
        pieces = _run_one_by_one(run_whole, batch, refused)
        accepted = np.setdiff1d(np.arange(batch.num_rows), refused.rows)
        if len(accepted):
            pieces.append(run_split(take_rows(batch, accepted)))
        return _in_order(pieces, np.concatenate([refused.rows, accepted]))

    return run


def _run_one_by_one(
    run_whole: Runner, batch: pa.RecordBatch, refused: RowsRefused
) -> list[list[pa.Array]]:
    """Score refused rows one by one, as their sizes may differ; raise for those refused again."""
    pieces, rows, reasons = [], [], []
    for row, reason in zip(refused.rows.tolist(), refused.reasons, strict=True):
        try:
            pieces.append(run_whole(batch.slice(row, 1)))
        except RowsRefused:
            rows.append(row)
            reasons.append(reason)
    if rows:
        raise RowsRefused(np.array(rows), reasons)
    return pieces


def _in_order(pieces: list[list[pa.Array]], rows: Ints) -> list[pa.Array]:
    """Join pieces of the outputs, which have these `rows`, in the order of the rows."""
    order = take_indices(np.argsort(rows))
    return [pa.concat_arrays(list(arrays)).take(order) for arrays in zip(*pieces, strict=True)]
