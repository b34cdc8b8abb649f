"""The worker's part of a `udf`.

It binds there, because Spark tells a column function the types of its columns only there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from tf2spark.binding.bind import bind
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.plan.score import ModelRef
from tf2spark.worker.spark_tasks import Columns, batches_of, open_session, struct_arrays
from tf2spark.worker.task_start import begin_task


def late_column_scorer(
    request: Request, options: Options, model: ModelRef, names: tuple[str, ...], single: bool
) -> Columns:
    """Return the function for a `udf`, which learns its columns' types from its first batch."""

    def score_columns(arrays: Iterable[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        begin_task()
        session, plan = None, None
        for batch in batches_of(arrays, names):
            if plan is None or session is None:
                plan, session = bind(request, batch.schema, options, model), open_session(model)
            for struct in struct_arrays(plan, session, iter([batch])):
                yield struct.field(0) if single else struct

    return score_columns
