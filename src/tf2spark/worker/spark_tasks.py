"""What runs in Spark's Python worker: open the model once a process, then stream batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tf2spark.errors import Tf2SparkError
from tf2spark.package.manifest import FileEntry
from tf2spark.plan.score import ModelRef, Plan, read_columns
from tf2spark.tensorflow_c.session import CApiSession, Session
from tf2spark.worker.model_session import session_of
from tf2spark.worker.parquet_reader import ParquetTask, read_batches
from tf2spark.worker.score_loop import batch_scorer, error_and_model_columns, score_batches
from tf2spark.worker.task_start import begin_task

if TYPE_CHECKING:
    from tf2spark.plan.recommend import CatalogPlan

Batches = Iterator[pa.RecordBatch]
Columns = Callable[[Iterable[tuple[pa.Array, ...]]], Iterator[pa.Array]]


def model_opener(model: ModelRef, hold_seconds: float = 0.0) -> Callable[[Batches], Batches]:
    """Return the function for `mapInArrow` that opens a model and says how that went.

    It keeps its slot for `hold_seconds` more, so that the next task goes to another executor.
    """

    def open_model(batches: Batches) -> Batches:
        import os
        import socket
        import time

        for _ in batches:
            started, error = time.monotonic(), ""
            try:
                open_session(model)
            except Tf2SparkError as failure:
                error = str(failure)
            answer = {
                # The workers of an executor are children of its one daemon.
                "executor": [os.getppid()],
                "host": [socket.gethostname()],
                "seconds": [time.monotonic() - started],
                "error": [error],
            }
            time.sleep(hold_seconds)
            yield pa.RecordBatch.from_pydict(answer)

    return open_model


def open_session(model: ModelRef) -> CApiSession:
    return session_of(model, _shipped if model.shipped else None)


def _shipped(entry: FileEntry) -> Path:
    from pyspark import SparkFiles

    return Path(SparkFiles.get(entry.stored))


def column_names(count: int) -> list[str]:
    """Return the names under which columns travel through `mapInArrow`: c0, c1, ...

    It looks columns up by name, both ways, and trips over dots and over equal names.
    """
    return [f"c{index}" for index in range(count)]


def partition_scorer(plan: Plan) -> Callable[[Batches], Batches]:
    """Return the function for `DataFrame.mapInArrow`, which names columns by `column_names`."""

    def score_partition(batches: Batches) -> Batches:
        begin_task()
        yield from _score(plan, batches)

    return score_partition


def _score(plan: Plan, batches: Batches) -> Batches:
    names = column_names(len(plan.keep) + len(plan.output_fields()))
    session = open_session(plan.model)
    return score_batches(plan, session, batches, place=_place(), names=names)


def file_scorer(plan: Plan, tasks: Sequence[ParquetTask]) -> Callable[[Batches], Batches]:
    """Return the function for `mapInArrow` over numbers of `tasks`, each of which reads its files.

    The tasks' columns are those of the plan, in its order.
    """

    def score_files(batches: Batches) -> Batches:
        begin_task()
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from _score(plan, read_batches(tasks[number]))

    return score_files


def partition_recommender(plan: CatalogPlan) -> Callable[[Batches], Batches]:
    """Return the function for `DataFrame.mapInArrow` that gives users their recommendations."""

    def recommend_partition(batches: Batches) -> Batches:
        from tf2spark.worker.recommend_loop import recommend_batches

        begin_task()
        names = column_names(len(plan.users.keep) + len(plan.users.output_fields()))
        session = open_session(plan.users.model)
        yield from recommend_batches(plan, session, batches, place=_place(), names=names)

    return recommend_partition


def column_scorer(plan: Plan) -> Columns:
    """Return the function for an `arrow_udf`: arrays in, one struct array of the outputs out."""
    names = column_names(len(read_columns(plan)))

    def score_columns(arrays: Iterable[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        begin_task()
        yield from struct_arrays(plan, open_session(plan.model), batches_of(arrays, names))

    return score_columns


def struct_arrays(plan: Plan, session: Session, batches: Batches) -> Iterator[pa.Array]:
    """Yield, for each batch, its outputs (and error column) as one struct array."""
    score = batch_scorer(plan, session)
    rows, place = 0, _place()
    for batch in batches:
        scored = score(batch, rows, place)
        rows += batch.num_rows
        columns = list(scored.columns)
        columns += error_and_model_columns(plan, scored, batch.num_rows)
        yield pa.StructArray.from_arrays(columns, fields=plan.output_fields())


def batches_of(arrays: Iterable[tuple[pa.Array, ...]], names: Sequence[str]) -> Batches:
    for columns in arrays:
        # Spark hands a single column over bare.
        listed = [columns] if isinstance(columns, pa.Array) else list(columns)
        yield pa.RecordBatch.from_arrays(listed, names=list(names))


def _place() -> str:
    from pyspark import TaskContext

    task = TaskContext.get()
    return f" of partition {task.partitionId()}" if task is not None else ""
