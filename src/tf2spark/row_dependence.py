"""Whether a model's rows depend on each other: found on the driver, before a job starts.

A worker looks as well, with the job's own rows, before it runs rows apart from their batch or adds
some to it (`tf2spark.worker.row_probe`). Here the rows are generated, so that nothing has to run on
Spark, and the user hears of it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import frozen

from tf2spark.binding.constants import plan_constant
from tf2spark.binding.feeds import Constant
from tf2spark.binding.generated_feeds import attempts, spec_feeds
from tf2spark.binding.graph.checked_runs import RunFacts
from tf2spark.binding.outputs import plan_output
from tf2spark.binding.request import FedInput, Request, first_dims
from tf2spark.conversion.constants import constant_tensor
from tf2spark.conversion.from_arrow import feeder, with_copied_strings
from tf2spark.conversion.rows import Ints, RowsRefused
from tf2spark.conversion.to_arrow import columns_builder
from tf2spark.dtypes import INT64, STRING, DType
from tf2spark.errors import ContractError, ModelError, RunError, SetupError
from tf2spark.plan.score import RowRelation
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.row_probe import RunRows, runs_differ

_ROWS = 8
_TEXTS = (b"a", b"1", b"")
Array = np.ndarray[Any, Any]
Maker = Callable[[Ints], list[Tensor]]
"""Makes the tensors of one input for some of the rows."""
OpenSession = Callable[[], CApiSession]


class _Undetermined(Exception):
    """No values can be generated for an input."""


@frozen
class RowFinding:
    """What is known of the rows of a request.

    Attributes:
        relation: Whether they depend on each other.
        ops: The nodes through which they may.
    """

    relation: RowRelation
    ops: tuple[str, ...] = ()

    @property
    def through(self) -> str:
        """The ops, for messages."""
        return f" through {', '.join(self.ops[:3])}" if self.ops else ""


def find_dependence(
    request: Request, facts: RunFacts, batch_rows: int | None, open_session: OpenSession | None
) -> RowFinding:
    """Find out whether the rows of a request depend on each other, as far as the driver can.

    Args:
        request: The request.
        facts: What the graph says of it.
        batch_rows: The rows per run; None for the default.
        open_session: Opens the model on the driver; None for a Spark job's model that isn't on this
            machine or is large.
    """
    if facts.keeps_state:
        # Runs that no row asked for would change its scores.
        return RowFinding("independent")
    # With one row per run no run has other rows, unless the model fixes their number.
    if batch_rows == 1 or open_session is None:
        return RowFinding("unknown")
    try:
        depend = generated_rows_depend(open_session(), request, batch_rows)
    except (ModelError, SetupError):
        depend = None  # the job itself will say what is wrong, or has what is missing here
    return RowFinding("batch" if depend else "unknown", facts.mixing_ops)


def generated_rows_depend(
    session: CApiSession, request: Request, batch_rows: int | None = None
) -> bool | None:
    """Return whether a request's rows depend on each other; None if that can't be found out.

    Args:
        session: The open model.
        request: What feeds it, and what is fetched. Columns are replaced by generated values.
        batch_rows: The maximum number of rows in one run; None for the default.
    """
    fed_by_columns = [fed.spec for fed in request.inputs if _is_column(fed)]
    fixed = next((spec.shape[0] for spec in fed_by_columns if spec.shape and spec.shape[0]), None)
    if fixed is None and batch_rows in first_dims(fetched.spec for fetched in request.outputs):
        fixed = batch_rows
    rows = fixed or _ROWS
    if not fed_by_columns or rows < 2:
        return None
    for random, text, size in attempts(fed_by_columns, _TEXTS):
        try:
            run = _runner(session, request, rows, size, text, random=random)
            return runs_differ(run, rows, min_rows=fixed or 1, max_rows=fixed or 2 * _ROWS)
        except TensorFlowFailure as failure:
            if not failure.row_caused:
                return None  # the job will fail alike, and say why
        except (ContractError, ModelError, RunError, RowsRefused, _Undetermined):
            return None  # the outputs don't have a value for each row
    return None


def _is_column(fed: FedInput) -> bool:
    return not fed.optional and not isinstance(fed.feed, Constant)


def _runner(
    session: CApiSession, request: Request, rows: int, size: int, text: bytes, *, random: bool
) -> RunRows:
    """Return the function that runs some of `rows` generated rows together."""
    inputs = [fed for fed in request.inputs if not fed.optional]
    feeds = [tensor for fed in inputs for tensor in fed.spec.tensors]
    outputs = [
        plan_output(fetched.column, fetched.spec, fetched.output) for fetched in request.outputs
    ]
    columns_of = columns_builder(outputs)
    run = session.prepare(feeds, [tensor for output in outputs for tensor in output.tensors])
    makers = [
        _constant_maker(fed.spec, fed.feed)
        if isinstance(fed.feed, Constant)
        else _row_maker(fed.spec, size, _generated(fed.spec, rows, text, random=random))
        for fed in inputs
    ]

    def run_rows(numbers: Ints) -> list[list[Any]]:
        fed = [tensor for make in makers for tensor in make(numbers)]
        return [column.to_pylist() for column in columns_of(run(fed), len(numbers))]

    return run_rows


def _constant_maker(spec: TensorSpec, feed: Constant) -> Maker:
    feed_input = feeder(plan_constant(spec, feed), None)

    def make(numbers: Ints) -> list[Tensor]:
        rows = pa.nulls(len(numbers))  # not pa.array, which would import pandas
        return list(feed_input(pa.RecordBatch.from_arrays([rows], names=["row"])))

    return make


def _row_maker(spec: TensorSpec, size: int, generate: Callable[[tuple[int, ...]], Array]) -> Maker:
    dtypes = _dtypes(spec)

    def make(numbers: Ints) -> list[Tensor]:
        arrays = spec_feeds(spec, len(numbers), size, lambda shape: generate(shape[1:])[numbers])
        return [_tensor(dtypes[name], arrays[name]) for name in spec.tensors]

    return make


def _dtypes(spec: TensorSpec) -> dict[str, DType]:
    """Return the dtype of each of an input's tensors."""
    if spec.kind == "sparse":
        indices, values, shape = spec.tensors
        return {indices: INT64, values: spec.dtype, shape: INT64}
    values, *splits = spec.tensors
    return {values: spec.dtype} | dict.fromkeys(splits, spec.splits_dtype or INT64)


def _generated(
    spec: TensorSpec, rows: int, text: bytes, *, random: bool
) -> Callable[[tuple[int, ...]], Array]:
    """Return the function that makes `rows` rows of these dimensions, the same in every call."""

    def generate(dims: tuple[int, ...]) -> Array:
        generator, shape = np.random.default_rng(0), (rows, *dims)
        if spec.dtype is STRING:
            return np.full(shape, text, object)
        if spec.dtype.numpy is None:
            raise _Undetermined
        if not random:
            return np.zeros(shape)
        if spec.dtype.is_floating:
            return generator.uniform(-1, 1, shape)
        return generator.integers(0, 2, shape)

    return generate


def _tensor(dtype: DType, values: Array) -> Tensor:
    fed = constant_tensor(dtype, values)
    # Strings are copied, because some models keep them, or read on to a zero byte.
    return with_copied_strings(fed) if dtype is STRING else fed
