"""Whether a model's rows depend on each other: found on the driver, before a job starts.

A worker looks as well, with the job's own rows, before it runs rows apart from their batch or adds
some to it (`tf2spark.worker.row_probe`). Here the rows are generated, so that nothing has to run on
Spark, and the user hears of it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import numpy as np
import pyarrow as pa

from tf2spark.binding.constants import plan_constant
from tf2spark.binding.feeds import Constant
from tf2spark.binding.generated_feeds import spec_feeds
from tf2spark.binding.request import FedInput, Request
from tf2spark.conversion.from_arrow import feeder, with_copied_strings
from tf2spark.conversion.rows import Ints
from tf2spark.dtypes import BFLOAT16, INT64, STRING, DType
from tf2spark.errors import ModelError
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.strings import views_of
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.worker.row_probe import RunRows, runs_differ

_ROWS = 8
# Models differ in what they accept: ids may have to be 0, and texts numbers.
_ATTEMPTS = tuple(product((True, False), (b"a", b"1", b""), (3, 1)))
Array = np.ndarray[Any, Any]
Maker = Callable[[Ints], list[Tensor]]
"""Makes the tensors of one input for some of the rows."""


class _Undetermined(Exception):
    """The outputs say nothing about single rows."""


def generated_rows_depend(session: CApiSession, request: Request) -> bool | None:
    """Return whether a request's rows depend on each other; None if that can't be found out.

    Args:
        session: The open model.
        request: What feeds it, and what is fetched. Columns are replaced by generated values.
    """
    fed_by_columns = [fed.spec for fed in request.inputs if _is_column(fed)]
    fixed = next((spec.shape[0] for spec in fed_by_columns if spec.shape and spec.shape[0]), None)
    rows = fixed or _ROWS
    if not fed_by_columns or rows < 2:
        return None
    for random, text, size in _ATTEMPTS:
        try:
            run = _runner(session, request, rows, size, text, random=random)
            return runs_differ(run, rows, min_rows=fixed or 1, max_rows=fixed or 2 * _ROWS)
        except TensorFlowFailure as failure:
            if not failure.row_caused:
                return None  # the job will fail alike, and say why
        except (ModelError, _Undetermined):
            return None
    return None


def _is_column(fed: FedInput) -> bool:
    return not fed.optional and not isinstance(fed.feed, Constant)


def _runner(
    session: CApiSession, request: Request, rows: int, size: int, text: bytes, *, random: bool
) -> RunRows:
    """Return the function that runs some of `rows` generated rows together."""
    inputs = [fed for fed in request.inputs if not fed.optional]
    feeds = [tensor for fed in inputs for tensor in fed.spec.tensors]
    fetches = [tensor for output in request.outputs for tensor in output.spec.tensors]
    run = session.prepare(feeds, fetches)
    makers = [
        _constant_maker(fed.spec, fed.feed)
        if isinstance(fed.feed, Constant)
        else _row_maker(fed.spec, size, _generated(fed.spec, rows, text, random=random))
        for fed in inputs
    ]

    def run_rows(numbers: Ints) -> list[list[Any]]:
        fed = [tensor for make in makers for tensor in make(numbers)]
        return [_row_values(fetched, len(numbers)) for fetched in run(fed)]

    return run_rows


def _constant_maker(spec: TensorSpec, feed: Constant) -> Maker:
    feed_input = feeder(plan_constant(spec, feed), None)

    def make(numbers: Ints) -> list[Tensor]:
        rows = pa.nulls(len(numbers))  # not pa.array, which would import pandas
        return list(feed_input(pa.RecordBatch.from_arrays([rows], names=["row"])))

    return make


def _row_maker(spec: TensorSpec, size: int, generate: Callable[[tuple[int, ...]], Array]) -> Maker:
    def make(numbers: Ints) -> list[Tensor]:
        arrays = spec_feeds(spec, len(numbers), size, lambda shape: generate(shape[1:])[numbers])
        dtypes = _dtypes(spec)
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
            return np.zeros(shape, spec.dtype.numpy)
        if spec.dtype is BFLOAT16:
            return _upper_half(generator.uniform(-1, 1, shape))
        if spec.dtype.is_floating:
            return generator.uniform(-1, 1, shape).astype(spec.dtype.numpy)
        return generator.integers(0, 2, shape).astype(spec.dtype.numpy)

    return generate


def _upper_half(values: Array) -> Array:
    """Return bfloat16, which is the upper half of a float32."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def _tensor(dtype: DType, values: Array) -> Tensor:
    if dtype is STRING:
        views, owner = views_of(values.reshape(-1).tolist())
        # Copied, because some models keep strings, or read on to a zero byte.
        return with_copied_strings(Tensor(dtype, values.shape, views, owner))
    return Tensor(dtype, values.shape, np.ascontiguousarray(values))


def _row_values(fetched: Tensor | Strings, rows: int) -> list[Any]:
    """Return a fetched tensor as one value, or nested lists of them, per row.

    Raises:
        _Undetermined: Its first dimension isn't the rows.
    """
    if fetched.shape[:1] != (rows,):
        raise _Undetermined
    if isinstance(fetched, Strings):
        offsets, data = fetched.offsets, fetched.data.tobytes()
        texts = [data[start:end] for start, end in pairwise(offsets)]
        return list(np.array([*texts, None], object)[:-1].reshape(fetched.shape).tolist())
    values = fetched.data.reshape(fetched.shape)
    if fetched.dtype is BFLOAT16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return list(values.tolist())
