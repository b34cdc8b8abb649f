"""`score` on a pyarrow table, or the signature of ``tf.saved_model.load``, in this process.

Both take the whole table from memory, in one call of the model's, and use all of the machine's
threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peer_server import serve, table_files

BATCH_ROWS = 192


class InProcess:
    """Score a column of a table; `scorer` is "tf2spark" or "tensorflow"."""

    def __init__(self, scorer: str, model: str, table: str, column: str, **_: Any) -> None:
        rows = pa.concat_tables([pq.read_table(file) for file in table_files(table)])
        self.table = rows.combine_chunks()
        self.score = {"tf2spark": _ours, "tensorflow": _theirs}[scorer](model, column)

    def run(self) -> None:
        self.score(self.table)

    def answer(self, file: str) -> None:
        np.savez(file, id=self.table["id"].to_numpy(), score=self.score(self.table))


def _ours(path: str, column: str) -> Any:
    import tf2spark

    model = tf2spark.SavedModel(path)

    def score(table: pa.Table) -> Any:
        scored = model.score(
            table, feed={column: column}, fetch=["output_0"], keep=[], batch_rows=BATCH_ROWS
        )
        return scored["output_0"].to_numpy().reshape(-1)

    return score


def _theirs(path: str, column: str) -> Any:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]

    def score(table: pa.Table) -> Any:
        scores = [
            signature(**{column: tf.constant(as_numpy(batch[column]))})["output_0"].numpy()
            for batch in table.to_batches(BATCH_ROWS)
        ]
        return np.concatenate(scores).reshape(-1)

    score.model = loaded  # type: ignore[attr-defined] # a signature doesn't keep it alive
    return score


def as_numpy(column: Any) -> Any:
    """Return a column of lists as an array [rows, length], and one of strings as objects."""
    if pa.types.is_list(column.type):
        return column.flatten().to_numpy().reshape(len(column), -1)
    return column.to_numpy(zero_copy_only=False)


if __name__ == "__main__":
    serve(InProcess)
