"""TensorFlow in one process over Parquet, without Spark: what a single machine can easily do.

PyArrow reads one file after another on a separate thread, so that reading and running overlap. The
signature from `tf.saved_model.load` runs on batches, with all of the machine's threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.peer_server import serve, table_files

# The best of 1,024 to 65,536 on the dense table; the larger ones were equally fast.
BATCH_ROWS = 10_000


class Rows:
    """Score a whole table."""

    def __init__(self, model: str, table: str, kind: str, **_: Any) -> None:
        import tensorflow as tf

        self.model = tf.saved_model.load(model)
        self.score = self.model.signatures["serving_default"]
        self.feed = {"dense": _dense, "sparse": _sparse, "strings": _strings}[kind]
        self.files = table_files(table)

    def run(self) -> None:
        for _ in self._score_batches():
            pass

    def answer(self, file: str) -> None:
        ids, scores = zip(*self._score_batches(), strict=True)
        np.savez(file, id=np.concatenate(ids), score=np.concatenate(scores))

    def _score_batches(self) -> Iterator[tuple[Any, Any]]:
        for batch in _batches(self.files):
            (output,) = self.score(**self.feed(batch)).values()
            yield batch.column("id").to_numpy(), output.numpy().reshape(-1)


def _batches(files: list[str]) -> Iterator[Any]:
    """Yield batches of a file while the next one is read."""
    import pyarrow.parquet as pq

    def read(file: str) -> list[Any]:
        table = pq.read_table(file, memory_map=True).combine_chunks()
        return list(table.to_batches(BATCH_ROWS))

    with ThreadPoolExecutor(1) as reader:
        pending = [reader.submit(read, file) for file in files[:1]]
        for number in range(len(files)):
            batches = pending.pop().result()
            if number + 1 < len(files):
                pending.append(reader.submit(read, files[number + 1]))
            yield from batches


def _dense(batch: Any) -> dict[str, Any]:
    import tensorflow as tf

    floats = batch.column("features").flatten().to_numpy()
    return {"features": tf.constant(floats.reshape(batch.num_rows, -1))}


def _strings(batch: Any) -> dict[str, Any]:
    import tensorflow as tf

    names = ("country", "device", "item")
    return {name: tf.constant(batch.column(name).to_numpy(zero_copy_only=False)) for name in names}


def _sparse(batch: Any) -> dict[str, Any]:
    """Pad ids and values to the longest row, with id 0 and value 0."""
    import tensorflow as tf

    indices, values = (batch.column("features").field(name) for name in ("indices", "values"))
    lengths = np.asarray(indices.value_lengths())
    filled = np.arange(lengths.max(initial=1)) < lengths[:, None]
    ids = np.zeros(filled.shape, np.int64)
    weights = np.zeros(filled.shape, np.float32)
    ids[filled], weights[filled] = indices.flatten().to_numpy(), values.flatten().to_numpy()
    return {"ids": tf.constant(ids), "values": tf.constant(weights)}


make: Callable[..., Rows] = Rows

if __name__ == "__main__":
    serve(make)
