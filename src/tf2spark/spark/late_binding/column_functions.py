"""The worker's part of a `udf`, which binds columns to inputs on the worker.

Everything else binds on the driver, where a mismatch fails in milliseconds, and workers import
nothing that only the driver needs. A `udf` is the one exception: a column function is made without
a table, and Spark tells it the types of its columns only on the worker, with the first batch. So
workers that run a `udf` also import `tf2spark.binding`, and a mismatch fails the job's first task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.bind import bind, check_declared
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.errors import addressed_to
from tf2spark.plan.score import ModelRef
from tf2spark.worker.spark_tasks import Columns, batches_of, open_session, struct_arrays
from tf2spark.worker.task_start import begin_task


def late_column_scorer(
    request: Request,
    options: Options,
    model: ModelRef,
    names: tuple[str, ...],
    single: bool,
    function: str = "",
) -> Columns:
    """Return the function for a `udf`.

    Args:
        request: The inputs, their feeds and the outputs.
        options: Batch size, mode, the error and the model column. Columns to keep only name rows.
        model: The model that the workers open.
        names: The names of its arguments, in order.
        single: The one output is the result itself, not a struct of it.
        function: How SQL calls the function, for messages.
    """

    def score_columns(arrays: Iterable[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        begin_task()
        batches = batches_of(arrays, names, function)
        first = next(batches, None)
        if first is None:
            return
        with addressed_to(options.audience):
            plan = bind(request, _named_by_feeds(first.schema, request), options, model)
            plan = evolve(plan, keep=())  # such columns are arguments only to name rows
            check_declared(plan, request, options)
        for struct in struct_arrays(plan, open_session(model), chain([first], batches)):
            yield struct.field(0) if single else struct

    return score_columns


def _named_by_feeds(schema: pa.Schema, request: Request) -> pa.Schema:
    """Name an argument after the field that a feed reads from it, if it is that field's value.

    With ``feed={"x": "user.age"}``, the argument ``user`` may be the struct or the age itself.
    """
    paths = set(request.paths)

    def name(field: pa.Field) -> str:
        inside = [path for path in paths if path.startswith(f"{field.name}.")]
        is_value = not pa.types.is_struct(field.type) and not pa.types.is_map(field.type)
        return (
            inside[0] if is_value and len(inside) == 1 and field.name not in paths else field.name
        )

    return pa.schema([field.with_name(name(field)) for field in schema])
