"""Users whose rows have other sizes than the graph was taken apart for: scored by the whole graph.

Where a model leaves the length of a row open (a history), the first users tell it. One with another
length is not refused, only slower.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import take_indices
from tf2spark.conversion.rows import RowsRefused
from tf2spark.plan.recommend import WHOLE_FOLDER
from tf2spark.plan.score import ModelRef
from tf2spark.tensorflow_c.process import cached_session
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.model_session import open_model
from tf2spark.worker.score_loop import Runner


def whole_session(model: ModelRef, split: CApiSession) -> CApiSession:
    """Return this process's session for the whole graph, which lies beside the split one."""
    folder = Path(split.path)
    return cached_session(
        f"whole {model.digest} {model.threads}",
        lambda: open_model(model, folder / WHOLE_FOLDER, weights=folder),
    )


def with_fallback(run: Runner, make_whole: Callable[[], Runner]) -> Runner:
    """Return a runner that tries the whole graph on rows that the split one can't be fed.

    Args:
        run: The split one. It raises `RowsRefused` for such rows, and for those nothing can score.
        make_whole: Makes the other, at the first such row.
    """
    whole: list[Runner] = []

    def run_either(batch: pa.RecordBatch) -> list[pa.Array]:
        try:
            return run(batch)
        except RowsRefused as error:
            refused = error
        if not whole:
            whole.append(make_whole())
        apart = _apart(whole[0], batch, refused)
        rest = np.setdiff1d(np.arange(batch.num_rows), refused.rows)
        together = run(batch.take(take_indices(rest))) if len(rest) else None
        return _in_order(apart, refused.rows, together, rest)

    return run_either


def _apart(whole: Runner, batch: pa.RecordBatch, refused: RowsRefused) -> list[list[pa.Array]]:
    """Score refused rows one by one; raise for those that the whole graph refuses too."""
    found, bad, reasons = [], [], []
    for row, reason in zip(refused.rows.tolist(), refused.reasons, strict=True):
        try:
            found.append(whole(batch.slice(row, 1)))
        except RowsRefused:
            bad.append(row)
            reasons.append(reason)
    if bad:
        raise RowsRefused(np.array(bad), reasons)
    return found


def _in_order(
    apart: list[list[pa.Array]],
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    together: list[pa.Array] | None,
    rest: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> list[pa.Array]:
    pieces = [*apart, *([together] if together else [])]
    order = np.argsort(np.concatenate([rows, rest]))
    return [
        pa.concat_arrays(list(columns)).take(take_indices(order)) for columns in zip(*pieces, strict=True)
    ]
