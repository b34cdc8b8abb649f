"""Ray Data: ``read_parquet(...).map_batches(...)``, with its own Ray on this machine.

The function keeps its model for the lifetime of the process, because Ray reuses workers, and takes
whole blocks: Ray then reads and scores in one task, and features don't go through its object store.
Actors (a class for `map_batches`) took 5.5 s for 1,000,000 dense rows, and functions 1.6 s: each
run starts new actors, which load the model again, and two of them leave no CPU for reading.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peer_server import serve

OBJECT_STORE_BYTES = 2**30
# By default Ray ends idle workers after a second, and the next run would import TensorFlow again.
KEEP_WORKERS = {"idle_worker_killing_time_threshold_ms": 600_000}


class Rows:
    """Score a whole table."""

    def __init__(
        self, model: str, table: str, kind: str, column: str = "features", cores: int = 2, **_: Any
    ) -> None:
        assert kind in ("dense", "heavy"), kind
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self.folder = tempfile.TemporaryDirectory(prefix="ray-")
        # Ray's processes authenticate by a token, which it would store in the home folder.
        token = Path(self.folder.name) / "token"
        token.write_text(secrets.token_hex(32))
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
        import ray

        ray.init(
            num_cpus=cores,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=self.folder.name,
            _system_config=KEEP_WORKERS,
        )
        self.model, self.table, self.column = model, table, column
        # A block of a small model at once; a heavy one is faster in runs that fit the cache.
        self.batch_rows = 64 if kind == "heavy" else None

    def run(self) -> None:
        for _ in self._score_batches():
            pass

    def answer(self, file: str) -> None:
        columns = [
            [batch.column(name).to_numpy() for name in ("id", "score")]
            for batch in self._score_batches()
        ]
        ids, scores = (np.concatenate(parts) for parts in zip(*columns, strict=True))
        np.savez(file, id=ids, score=scores)

    def _score_batches(self) -> Any:
        import ray

        from benchmarks.peers.ray_predictor import predict

        read = ray.data.read_parquet(self.table, columns=["id", self.column])
        scored = read.map_batches(
            predict,
            fn_args=(self.model, self.column),
            batch_format="pyarrow",
            batch_size=self.batch_rows,
        )
        yield from scored.iter_batches(batch_format="pyarrow", batch_size=None)


if __name__ == "__main__":
    serve(Rows)
