"""Tensors that no column feeds: the same in every run, or one value for every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from tf2spark.conversion.casts import cast_to
from tf2spark.conversion.rows import Feeder, tensor
from tf2spark.dtypes import DType
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.strings import views_of
from tf2spark.tensorflow_c.tensor import Tensor


def constant_tensor(dtype: DType, value: Any) -> Tensor:
    """Make the tensor of a constant: a number, a bool, a string or nested lists of them."""
    if dtype.numpy is None:
        texts = np.asarray(value, dtype=object)
        views, owner = views_of(texts.reshape(-1).tolist())
        return tensor(dtype, views, texts.shape, owner)
    values = np.asarray(value)
    return tensor(dtype, cast_to(dtype)(values).reshape(-1), values.shape)


def constant_feeder(plan: InputPlan) -> Feeder:
    """Feed the same tensor in every run."""
    tensors = (constant_tensor(plan.dtype, plan.value),)
    return lambda batch: tensors


def broadcast_feeder(plan: InputPlan) -> Feeder:
    """Feed one value for every row of the batch."""
    row = constant_tensor(plan.dtype, plan.value)
    values = row.data.reshape(-1)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        rows = batch.num_rows
        return (tensor(plan.dtype, np.tile(values, rows), (rows, *row.shape), row.owner),)

    return feed
