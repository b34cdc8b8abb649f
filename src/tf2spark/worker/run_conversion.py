"""What becomes of the rows of a run, chosen once for a plan: tensors before it, columns after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.from_arrow import feeder, with_copied_strings
from tf2spark.conversion.number_columns import readers_of_few_rows
from tf2spark.conversion.rows import Feeder, check_bytes
from tf2spark.conversion.to_arrow import columns_builder
from tf2spark.dtypes import STRING
from tf2spark.plan.score import InputPlan, Plan, read_columns
from tf2spark.tensorflow_c.tensor import Strings, Tensor

Feed = Callable[[pa.RecordBatch], list[Tensor]]
"""Makes all feeds of a run, or raises `RowsTooLarge`."""
Columns = Callable[[Sequence[Tensor | Strings], int], list[pa.Array]]
"""Makes the columns of all that a run fetched, for a number of rows."""


@frozen
class Conversion:
    """How the rows of a run become tensors, and what it fetched columns.

    Attributes:
        feed: Makes the tensors.
        columns: Makes the columns.
        fed: The names of the tensors that are fed.
        fetched: The names of those that are fetched.
        takes_strings: Whether columns of strings are fed.
        width: How many columns there are at the front of a batch up to the last that is read.
    """

    feed: Feed
    columns: Columns
    fed: tuple[str, ...]
    fetched: tuple[str, ...]
    takes_strings: bool
    width: int


def conversion_of(plan: Plan) -> Conversion:
    """Choose how rows become tensors and results columns. It may serve any number of jobs."""
    return Conversion(
        _feeds_of(plan),
        columns_builder(plan.outputs),
        tuple(name for input_plan in plan.inputs for name in input_plan.tensors),
        tuple(name for output in plan.outputs for name in output.tensors),
        takes_strings(plan),
        read_width(plan),
    )


def read_width(plan: Plan) -> int:
    """Return how many columns a batch has up to the last that a run reads; at least one."""
    return 1 + max(read_columns(plan), default=0)


def takes_strings(plan: Plan) -> bool:
    """Return whether columns of strings are fed."""
    return any(spec.dtype is STRING for spec in plan.inputs if spec.form != "constant")


def _feeds_of(plan: Plan) -> Feed:
    """Return the function that makes all feeds of a run."""
    # Runs of a fixed size can't be made smaller.
    limit_bytes = None if plan.fixed_rows else plan.batch_bytes
    # A constant is the same size for any number of rows: fewer rows wouldn't make it smaller.
    feeders = [
        (input_feeder(plan, input_plan, limit_bytes), input_plan.form != "constant")
        for input_plan in plan.inputs
    ]
    readers = readers_of_few_rows(plan.inputs)

    def feed(batch: pa.RecordBatch) -> list[Tensor]:
        tensors: list[Tensor] = []
        fed_bytes = 0
        ready = dict(chain.from_iterable(read(batch) for read in readers))
        for position, (feed_input, grows) in enumerate(feeders):
            number = ready.get(position)
            fed = feed_input(batch) if number is None else (number,)
            tensors += fed
            if grows:
                for tensor in fed:
                    fed_bytes += tensor.data.nbytes
        check_bytes(fed_bytes, 1, batch.num_rows, limit_bytes)
        return tensors

    return feed


def input_feeder(plan: Plan, input_plan: InputPlan, limit_bytes: int | None) -> Feeder:
    """Choose how an input is fed; strings are fed as copies if the model needs that."""
    feed, dtype = feeder(input_plan, limit_bytes), input_plan.dtype
    if dtype.numpy is not None or not plan.model.copy_strings:
        return feed
    return lambda batch: tuple(
        with_copied_strings(tensor) if tensor.dtype is dtype else tensor for tensor in feed(batch)
    )
