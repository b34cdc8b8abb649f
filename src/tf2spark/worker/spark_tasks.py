"""What runs in Spark's Python worker: open the model once per process, then stream batches.

Spark pickles the functions that are made here and runs them in its workers, so they hold plans and
no sessions. Of PySpark they use, imported only there:

- `TaskContext.get()`: the task, or None outside of one. Messages then name no partition.
- `SparkFiles.get(name)`: where this executor keeps a file that `SparkContext.addFile` shipped.

They also assume that `mapInArrow` passes an iterator of record batches, and an `arrow_udf` one of
arrays (of one column) or of tuples of arrays (of several).

A worker process runs many tasks, one after the other, and its sessions outlive them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tf2spark.conversion.packed_arrays import unpacker
from tf2spark.errors import ContractError, ModelError, Tf2SparkError
from tf2spark.package.manifest import FileEntry
from tf2spark.plan.packed import Packing
from tf2spark.plan.score import ModelRef, Plan
from tf2spark.tensorflow_c.run_limit import limit_calls
from tf2spark.tensorflow_c.session import CApiSession, Session
from tf2spark.worker.hang_watch import announce, name_rows, watch_limit
from tf2spark.worker.model_session import session_of
from tf2spark.worker.reading.parquet_reader import ParquetTask, read_batches
from tf2spark.worker.reading.row_reader import LateColumns, with_late_columns
from tf2spark.worker.row_names import row_namer
from tf2spark.worker.score_loop import batch_scorer, error_and_model_columns, score_batches
from tf2spark.worker.task_start import begin_task, use_assigned_gpus

if TYPE_CHECKING:
    from tf2spark.plan.recommend import CatalogPlan

Batches = Iterator[pa.RecordBatch]
Columns = Callable[[Iterable[tuple[pa.Array, ...]]], Iterator[pa.Array]]
Travel = Packing | LateColumns | None
"""How a table's columns travel; as they are where None."""


def model_opener(model: ModelRef, hold_seconds: float = 0.0) -> Callable[[Batches], Batches]:
    """Return the function for `mapInArrow` that opens a model and reports how that went.

    It then keeps its slot for `hold_seconds`, so that the next task goes to another executor.
    """

    def report_opening(batches: Batches) -> Batches:
        import os
        import socket
        import time

        for _ in batches:
            started, error = time.monotonic(), ""
            try:
                open_session(model)
            except Tf2SparkError as failure:
                error = str(failure)
            report = {
                # PySpark forks all workers of an executor from one daemon, so its pid stands for
                # the executor. Without a daemon (spark.python.use.daemon) it is the executor's own.
                "executor": [os.getppid()],
                "host": [socket.gethostname()],
                "seconds": [time.monotonic() - started],
                "error": [error],
            }
            time.sleep(hold_seconds)
            yield pa.RecordBatch.from_pydict(report)

    return report_opening


def open_session(model: ModelRef) -> CApiSession:
    """Return this worker's session for a model; see `session_of`.

    Raises:
        ModelError: The model is that of a `recommend` job on a local Spark whose files are gone.
    """
    if model.storage == "own" and not Path(model.path).is_dir():
        raise ModelError(
            "the files of this recommend job are gone: of the jobs on a local Spark, a process "
            "keeps those of the last 32, until it ends. Call recommend again, or write each result "
            "before the next calls"
        )
    keep_limits(model)
    return session_of(model, shipped_file)


def keep_limits(model: ModelRef) -> None:
    """Have this worker use the task's GPUs, and limit how long its calls may take."""
    use_assigned_gpus()
    limit_calls(model.limit_seconds, announce, name_rows)
    watch_limit(model.limit_seconds)


def shipped_file(entry: FileEntry) -> Path:
    """Return where a shipped file lies on this host.

    Spark fetches files before a task starts. If one is missing all the same, the host's cache says
    so when it opens the path.
    """
    from pyspark import SparkFiles

    return Path(SparkFiles.get(entry.stored))


def column_names(count: int) -> list[str]:
    """Return the names under which columns travel through `mapInArrow`: c0, c1, ...

    `mapInArrow` looks columns up by name in both directions, and fails for dots and duplicates.
    """
    return [f"c{index}" for index in range(count)]


def partition_scorer(plan: Plan, travel: Travel = None) -> Callable[[Batches], Batches]:
    """Return the function for `DataFrame.mapInArrow`, which names columns by `column_names`."""

    def score_partition(batches: Batches) -> Batches:
        begin_task()
        yield from _score(plan, _completed(travel, batches))

    return score_partition


def _completed(travel: Travel, batches: Batches) -> Batches:
    """Return batches with the table's own columns, of those that have traveled."""
    if isinstance(travel, LateColumns):
        return with_late_columns(travel, batches)
    return map(unpacker(travel), batches)


def _score(plan: Plan, batches: Batches) -> Batches:
    names = column_names(len(plan.keep) + len(plan.output_fields()))
    for some in _unless_empty(batches):
        # Only the first task of a worker opens the model; it stays open for the others.
        session = open_session(plan.model)
        yield from score_batches(plan, session, some, location=task_location(), names=names)


def _unless_empty(batches: Batches) -> Iterator[Batches]:
    """Yield all batches of a partition at once; nothing if there are none.

    So an empty partition opens no model.
    """
    for first in batches:
        yield chain([first], batches)


def file_scorer(plan: Plan, tasks: Sequence[ParquetTask]) -> Callable[[Batches], Batches]:
    """Return the function for `mapInArrow` over a column of indices into `tasks`.

    Each task reads its own files; its columns are those of the plan, in the same order.
    """

    def score_files(batches: Batches) -> Batches:
        begin_task()
        for batch in batches:
            for index in batch.column(0).to_pylist():
                yield from _score(plan, read_batches(tasks[index]))

    return score_files


def partition_recommender(
    plan: CatalogPlan, packing: Packing | None = None
) -> Callable[[Batches], Batches]:
    """Return the function for `DataFrame.mapInArrow` that yields users with recommendations.

    The users' columns travel as `packing` says, or as they are where it is None.
    """

    def recommend_partition(batches: Batches) -> Batches:
        # Imported here: workers that only score don't load it.
        from tf2spark.worker.recommend.recommend_loop import recommend_batches

        begin_task()
        names = column_names(len(plan.users.keep) + len(plan.users.output_fields()))
        for users in _unless_empty(map(unpacker(packing), batches)):
            session = open_session(plan.users.model)
            yield from recommend_batches(
                plan, session, users, location=task_location(), names=names
            )

    return recommend_partition


def column_scorer(plan: Plan, columns: int, travel: Travel = None) -> Columns:
    """Return the function for an `arrow_udf`: from arrays to one struct array of the outputs.

    Args:
        plan: What to do.
        columns: How many columns it takes: those that are read, and any that only name rows.
        travel: How they travel; as they are where None.
    """
    names = column_names(columns if travel is None else travel.part_count)

    def score_columns(arrays: Iterable[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        begin_task()
        for batches in _unless_empty(_completed(travel, batches_of(arrays, names))):
            yield from struct_arrays(plan, open_session(plan.model), batches)

    return score_columns


def struct_arrays(plan: Plan, session: Session, batches: Batches) -> Iterator[pa.Array]:
    """Yield, for each batch, its outputs (and error column) as one struct array."""
    name_row = row_namer(plan.shown)
    score = batch_scorer(plan, session, name_row=name_row)
    rows_before, location = 0, task_location()
    for batch in batches:
        scored = score(batch, rows_before, location)
        rows_before += batch.num_rows
        columns = list(scored.columns)
        columns += error_and_model_columns(plan, scored, batch, name_row)
        yield pa.StructArray.from_arrays(columns, fields=plan.output_fields())


def batches_of(
    arrays: Iterable[tuple[pa.Array, ...]], names: Sequence[str], function: str = ""
) -> Batches:
    """Return the arguments of an `arrow_udf` as batches with these column names.

    Args:
        arrays: The arguments, batch by batch.
        names: The names of the columns.
        function: How a SQL function is called, for messages: ``ctr(user BIGINT, item BIGINT)``.

    Raises:
        ContractError: SQL passed another number of arguments.
    """
    for columns in arrays:
        # A udf of one column is passed the array itself, not a tuple of one.
        listed = [columns] if isinstance(columns, pa.Array) else list(columns)
        if len(listed) != len(names):
            raise ContractError(f"{taken_columns(names, function)}, but got {len(listed)}")
        yield pa.RecordBatch.from_arrays(listed, names=list(names))


def taken_columns(names: Sequence[str], function: str = "") -> str:
    """Say how many columns a function takes: ``the model takes 2 columns (user, item)``."""
    count = f"{len(names)} column{'s' if len(names) != 1 else ''}"
    return (
        f"{function} takes {count}" if function else f"the model takes {count} ({', '.join(names)})"
    )


def task_location() -> str:
    """Return where rows are, for messages: `` of partition 3``; empty outside of a task."""
    from pyspark import TaskContext

    task = TaskContext.get()
    return f" of partition {task.partitionId()}" if task is not None else ""
