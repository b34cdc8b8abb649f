"""One module per case, with a `run` from a `Bench` to a `Report`."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import (
    calls,
    carriers,
    compiled,
    dense,
    heavy,
    joined,
    memory,
    peer_settings,
    recommend_call,
    recommend_deepfm,
    recommend_floor,
    recommend_million,
    recommend_partitions,
    recommend_scale,
    recommend_scan,
    recommend_top_k,
    recommend_towers,
    recommend_wide_deep,
    remote,
    shipping,
    sparse,
    start,
    stream,
    strings,
)
from benchmarks.growth import catalog, host, tables
from benchmarks.harness import Bench
from benchmarks.reports import Report

CASES: dict[str, Callable[[Bench], Report]] = {
    "dense": dense.run,
    "sparse": sparse.run,
    "strings": strings.run,
    "remote": remote.run,
    "joined": joined.run,
    "heavy": heavy.run,
    "calls": calls.run,
    "start": start.run,
    "stream": stream.run,
    "memory": memory.run,
    "compiled": compiled.run,
    "shipping": shipping.run,
    "carriers": carriers.run,
    "recommend-deepfm": recommend_deepfm.run,
    "recommend-wide-deep": recommend_wide_deep.run,
    "recommend-towers": recommend_towers.run,
    "recommend-call": recommend_call.run,
    "recommend-floor": recommend_floor.run,
    "recommend-top-k": recommend_top_k.run,
    "recommend-scan": recommend_scan.run,
    "recommend-scale": recommend_scale.run,
    "recommend-million": recommend_million.run,
    "recommend-partitions": recommend_partitions.run,
    "growth-rows": tables.rows,
    "growth-columns": tables.columns,
    "growth-width": tables.widths,
    "growth-batch": tables.batches,
    "growth-users": catalog.users,
    "growth-items": catalog.items,
    "growth-workers": host.workers,
    "growth-model": host.model_size,
    "peer-settings": peer_settings.run,
}

PEERS: dict[str, tuple[str, ...]] = {
    "dense": dense.PEERS,
    "sparse": sparse.PEERS,
    "strings": strings.PEERS,
    "remote": remote.PEERS,
    "joined": joined.PEERS,
    "heavy": heavy.PEERS,
    "calls": calls.PEERS,
    "start": ("predict_batch_udf",),
    "stream": stream.PEERS,
    "memory": ("predict_batch_udf",),
    "recommend-deepfm": recommend_deepfm.PEERS,
    "recommend-wide-deep": recommend_wide_deep.PEERS,
    "recommend-towers": recommend_towers.PEERS,
}
"""The peers of each case, by their names for ``--peer``."""

EXTRA = frozenset(
    {"carriers", "peer-settings", "recommend-million", "recommend-partitions", "remote", "shipping"}
)
"""Cases that run only if they are named: they need servers or long, or inform the development."""
