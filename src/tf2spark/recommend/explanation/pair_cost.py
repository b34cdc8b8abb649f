"""What all pairs of a call take, measured with its first users."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.options import ERROR_COLUMN
from tf2spark.conversion.arrow_buffers import take_rows
from tf2spark.errors import Tf2SparkError
from tf2spark.plan.recommend import CatalogPlan
from tf2spark.recommend.prepare import Prepared
from tf2spark.worker.model_session import open_model
from tf2spark.worker.recommend.mapped_tables import FolderSession
from tf2spark.worker.recommend.recommend_loop import recommend_batches

# Few users alone are slower than many: each round has more, until it takes long enough.
_ROUNDS = (1, 2, 8, 64, 512)
_LONG_ENOUGH_SECONDS, _TOO_LONG_SECONDS = 0.1, 2.0


@frozen
class PairCost:
    """What pairs take here.

    Attributes:
        core_seconds_per_million_pairs: The time of one core, ranking included, as measured.
        measured_pairs: How many pairs were scored for that.
        cores: The cores that the job has; None where the session doesn't tell.
        users: The number of users; None where counting them would take a job.
        seconds: What all pairs are expected to take on these cores; None where cores or users
            aren't known.
    """

    core_seconds_per_million_pairs: float
    measured_pairs: int
    cores: int | None
    users: int | None
    seconds: float | None


def measure_cost(prepared: Prepared) -> PairCost | None:
    """Recommend to the first users of the call, which may take some seconds; None without any."""
    job, plan = prepared.job, prepared.plan
    batches = job.sample("user").combine_chunks().to_batches()
    if not batches or not plan.items:
        return None
    users = evolve(plan.users, mode="permissive", error_column=ERROR_COLUMN)
    with closing(open_model(users.model, Path(users.model.path))) as session:
        try:
            pairs, seconds = _measure(evolve(plan, users=users), session, batches[0])
        except Tf2SparkError:
            return None  # the job will say what is wrong
    cores, count = job.tables.cores, job.tables.user_count
    total = None
    if cores is not None and count is not None:
        total = seconds / pairs * count * plan.items / cores
    return PairCost(seconds / pairs * 1e6, pairs, cores, count, total)


def _measure(plan: CatalogPlan, session: FolderSession, users: pa.RecordBatch) -> tuple[int, float]:
    """Return how many pairs were scored in the last round, and in how many seconds."""
    timed = list[tuple[int, float]]()
    for count in _ROUNDS:
        # TensorFlow optimizes the graph in the first round, which counts only if it is the last.
        if len(timed) > 1 and timed[-1][1] > _LONG_ENOUGH_SECONDS:
            break
        if timed and timed[-1][1] * count > _TOO_LONG_SECONDS * timed[-1][0]:
            break
        rows = take_rows(users, np.arange(count) % users.num_rows)
        started = time.perf_counter()
        for _ in recommend_batches(plan, session, [rows]):
            pass
        timed.append((count, time.perf_counter() - started))
    count, seconds = timed[-1]
    return count * plan.items, seconds
