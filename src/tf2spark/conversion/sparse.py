"""Sparse inputs: the indices, values and dense shape of a SparseTensor of rank 2."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tf2spark.conversion.flat_rows import refuse_wrong_size, vectors_of
from tf2spark.conversion.rows import Feeder, row_ids_of, tensor
from tf2spark.conversion.sparse_rows import Vectors, in_order, indices_of
from tf2spark.dtypes import INT64
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.tensor import Tensor


def sparse_feeder(plan: InputPlan) -> Feeder:
    """Choose how sparse rows become the three tensors of a SparseTensor, sorted by row and id."""
    read = vectors_of(plan)
    want = plan.dims[0] if plan.dims else None
    # The ids of vectors rise already: Spark refuses others. Pairs come as the user made them.
    sorted_already = all(source.layout != "pairs" for source in plan.sources)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        found = read(batch)
        if want is not None:
            refuse_wrong_size(found, want, plan)
        found = found if sorted_already else in_order(found)
        ids = indices_of(found)
        where = np.empty((len(ids), 2), np.int64)
        where[:, 0] = row_ids_of(found.lengths)
        where[:, 1] = ids
        size = _widest(found) if want is None else want
        return (
            tensor(INT64, where, where.shape),
            tensor(plan.dtype, found.values, (len(ids),), found.owner),
            tensor(INT64, np.array([batch.num_rows, size], np.int64), (2,)),
        )

    return feed


def _widest(found: Vectors) -> int:
    if found.sizes is not None:
        return int(found.sizes.max(initial=0))
    if found.indices is None:
        return int(found.lengths.max(initial=0))
    return int(found.indices.max(initial=-1)) + 1
