"""The worker's part of `recommend` on tables whose columns only the workers learn.

The driver has compiled the model, and nothing else. A worker gets the catalog with the first user
of a task; it then prepares the job as the driver does elsewhere: with `tf2spark.recommend`, which
workers of no other job import. What it prepared is kept for its later tasks.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, frozen

from tf2spark.binding.kept_results import KeptResults
from tf2spark.binding.request import Request
from tf2spark.errors import addressed_to
from tf2spark.package.staging import staging_folder
from tf2spark.plan.recommend import CatalogPlan
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.job_folder import new_job_folder, remove_job_folder
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.recommend.prepare import prepare
from tf2spark.recommend.table_checks import checked_sides
from tf2spark.recommend.tables import ArrowTables
from tf2spark.saved_model.protos import SavedModel
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.model_session import hold_files, open_model
from tf2spark.worker.recommend.recommend_loop import recommend_batches
from tf2spark.worker.spark_tasks import Columns, keep_limits, shipped_file, task_location
from tf2spark.worker.task_start import begin_task

IDS, ITEMS, POSITION, SCORE = "ids", "items", "position", "score"
IDS_HASH = "ids_hash"
_SAMPLED_USERS = 64
_KEPT_JOBS = 2


@frozen(eq=False)
class LateCall:
    """A call of `recommend`, without its tables.

    Attributes:
        model: The compiled model, without its graph, which workers read from its files.
        reference: Where workers find these.
        request: The inputs, their feeds and the output.
        arguments: The other arguments.
    """

    model: PairModel
    reference: ModelRef
    request: Request
    arguments: RecommendArguments


@frozen(eq=False)
class _Prepared:
    """A job that was prepared in this process; its session and its files go with it."""

    plan: CatalogPlan
    session: CApiSession


_prepared: KeptResults[_Prepared] = KeptResults(_KEPT_JOBS)


def late_recommender(call: LateCall) -> Columns:
    """Return the function from users, and the catalog beside a task's first, to the best items.

    These come as positions among the catalog's sorted ids, beside the hash of these ids.
    """

    def recommend_columns(arrays: Iterable[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        begin_task()
        keep_limits(call.reference)
        listed = iter(arrays)
        first = next(listed, None)
        if first is None:
            return
        users, (catalog, *_) = first[0], first[1]
        with addressed_to(call.arguments.options.audience):
            job = _prepared_job(call, users, catalog)
        ids = catalog[IDS].values
        batches = (pa.RecordBatch.from_struct_array(users) for users, _ in chain([first], listed))
        for best in recommend_batches(job.plan, job.session, batches, location=task_location()):
            yield _with_positions(best, ids, catalog[IDS_HASH])

    return recommend_columns


def mark_first_row(arrays: Iterable[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
    """Say of each row of a task whether it is the first.

    Spark's own `monotonically_increasing_id` would tell, but isn't allowed in streams.
    """
    is_first = True
    for column in arrays:
        rows = len(column[0] if isinstance(column, tuple) else column)
        yield pa.array([is_first and row == 0 for row in range(rows)], pa.bool_())
        is_first = is_first and rows == 0


def _prepared_job(call: LateCall, users: pa.StructArray, catalog: pa.StructScalar) -> _Prepared:
    """Return the job as this process prepared it; calls with equal catalogs are prepared once."""
    items = pa.Table.from_struct_array(catalog[ITEMS].values)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, items.schema) as writer:
        writer.write_table(items)
    content = hashlib.sha256(sink.getvalue())
    asked = (call.reference.digest, call.request, call.arguments, users.type)
    content.update(repr(asked).encode())
    return _prepared.get(content.digest(), lambda: _prepare(call, users, items))


def _prepare(call: LateCall, users: pa.StructArray, items: pa.Table) -> _Prepared:
    sample = pa.Table.from_struct_array(users.slice(0, _SAMPLED_USERS))
    tables = ArrowTables(sample, items)
    inputs = checked_sides(call.request, call.arguments, tables)
    held = hold_files(call.reference, shipped_file)
    try:
        model = _model_in(held.folder, call.model)
        with new_job_folder(staging_folder()) as folder:
            plan = prepare(model, inputs, call.arguments, tables, folder).plan
            reference = evolve(plan.users.model, threads=call.reference.threads)
            session = open_model(reference, Path(reference.path))
    finally:
        held.release()
    # What is kept of users stays in the JVM.
    job = _Prepared(evolve(plan, users=evolve(plan.users, model=reference, keep=())), session)
    weakref.finalize(job, _discard, session, folder)
    return job


def _model_in(folder: Path, model: PairModel) -> PairModel:
    """Return a model whose files are in a folder of this host."""
    message = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return evolve(model, meta_graph=message.meta_graphs[0], folder=folder)


def _discard(session: CApiSession, folder: Path) -> None:
    session.close()
    remove_job_folder(folder)


def _with_positions(
    best: pa.RecordBatch, ids: pa.Array, ids_hash: pa.Int64Scalar
) -> pa.StructArray:
    """Return recommendations with the items' positions among `ids` in place of their ids."""
    lists, *others = best.columns
    items, scores = lists.values.flatten()
    positions = pc.index_in(items, value_set=ids.cast(items.type))
    structs = pa.StructArray.from_arrays([positions, scores], names=[POSITION, SCORE])
    mask = lists.is_null() if lists.null_count else None
    by_position = pa.ListArray.from_arrays(lists.offsets, structs, mask=mask)
    hashes = pa.repeat(ids_hash, best.num_rows)
    return pa.StructArray.from_arrays(
        [by_position, *others, hashes], names=[*best.schema.names, IDS_HASH]
    )
