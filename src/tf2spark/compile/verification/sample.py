"""The user's sample of rows as feeds, bound and converted as `score` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from attrs import evolve

from tf2spark.binding.bind import bind
from tf2spark.binding.feeds import Constant
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.compile.verification.inputs import Feeds
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import Feeder, RowsRefused, RowsUneven
from tf2spark.dtypes import STRING
from tf2spark.errors import ContractError, RowError
from tf2spark.plan.score import ModelRef
from tf2spark.tensorflow_c.strings import strings_of
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.batching import pad_to_rows

_MAX_ROWS = 256
_MAX_SINGLE_ROWS = 16


def sample_feeds(sample: Any, request: Request) -> list[Feeds]:
    """Return the feeds of a pyarrow Table's first rows as one batch, and of the first row alone.

    Rows of different shapes, which can't run together, are fed one by one.

    Raises:
        ContractError: The table has no rows, or doesn't fit the model.
        RowError: A row can't be fed.
    """
    if not sample.num_rows:
        raise ContractError("sample= has no rows")
    inputs = tuple(fed for fed in request.inputs if not isinstance(fed.feed, Constant))
    plan = bind(
        evolve(request, inputs=inputs), sample.schema, Options(), ModelRef("", (), "sample")
    )
    feeders = [(fed.tensors, feeder(fed, None)) for fed in plan.inputs]
    rows = sample.slice(0, _MAX_ROWS).combine_chunks().to_batches()[0]
    if plan.fixed_rows:
        batch = pad_to_rows(rows.slice(0, plan.fixed_rows), plan.fixed_rows)
        return [_feeds(feeders, batch)]
    try:
        return [_feeds(feeders, batch) for batch in (rows, rows.slice(0, 1))]
    except RowsUneven:
        count = min(rows.num_rows, _MAX_SINGLE_ROWS)
        return [_feeds(feeders, rows.slice(row, 1)) for row in range(count)]


def _feeds(feeders: Sequence[tuple[tuple[str, ...], Feeder]], batch: pa.RecordBatch) -> Feeds:
    feeds: Feeds = {}
    try:
        for tensors, feed in feeders:
            feeds |= dict(zip(tensors, map(_as_array, feed(batch)), strict=True))
    except RowsRefused as refused:
        raise RowError(
            f"row {int(refused.rows[0]):,} of the sample can't be scored: {refused.reasons[0]}"
        ) from None
    return feeds


def _as_array(tensor: Tensor) -> np.ndarray[Any, Any]:
    if tensor.dtype is not STRING:
        dtype = tf.as_dtype(tensor.dtype.code).as_numpy_dtype
        return np.asarray(np.array(tensor.data).view(dtype).reshape(tensor.shape))
    texts = strings_of(tensor.data)
    flat = np.empty(len(texts), object)
    flat[:] = texts
    return flat.reshape(tensor.shape)
