"""Sparse inputs: the indices, values and dense shape of a SparseTensor of rank 2.

A sparse row can do without values: a null column is a row of none, and so is a lone NaN; a null
among the values of a row is left out. (The rows of joined vectors can't be null: the ids of the
second begin where the size of the first ends.)
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.flat_rows import refuse_wrong_size, vectors_of
from tf2spark.conversion.nullable import alone, present_rows
from tf2spark.conversion.rows import Feeder, refused_as, row_ids_of, tensor
from tf2spark.conversion.sparse_rows import Vectors, VectorsReader, indices_of, sort_by_index
from tf2spark.dtypes import INT64
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.tensor import Tensor


def sparse_feeder(plan: InputPlan) -> Feeder:
    """Choose how sparse rows become the three tensors of a SparseTensor, sorted by row and id."""
    read = vectors_of(plan) if plan.assembled else _nullable_vectors(plan)
    expected = plan.dims[0] if plan.dims else None
    # The ids of vectors are sorted: MLlib refuses others. Maps are sorted when they are read. Pairs
    # are in whatever order the user made them.
    sorted_already = all(source.layout != "pairs" for source in plan.sources)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        vectors = read(batch)
        if expected is not None:
            refuse_wrong_size(vectors, expected, plan)
        vectors = vectors if sorted_already else sort_by_index(vectors)
        ids = indices_of(vectors)
        indices = np.empty((len(ids), 2), np.int64)
        indices[:, 0] = row_ids_of(vectors.lengths)
        indices[:, 1] = ids
        size = _widest(vectors) if expected is None else expected
        return (
            tensor(INT64, indices, indices.shape),
            tensor(plan.dtype, vectors.values, (len(ids),), vectors.owner),
            tensor(INT64, np.array([batch.num_rows, size], np.int64), (2,)),
        )

    return feed


def _nullable_vectors(plan: InputPlan) -> VectorsReader:
    """Choose how one column is read as sparse rows; those that are null have no values."""
    (source,) = plan.sources
    take_present = present_rows(source)
    read = vectors_of(evolve(plan, sources=(alone(source),)), skip_nulls=True)
    is_scalar = source.layout == "list" and not source.depth

    def read_nullable(batch: pa.RecordBatch) -> Vectors:
        column, present = take_present(batch)
        rows = np.flatnonzero(present)
        with refused_as(rows):
            vectors = read(column)
        if is_scalar:
            # Like a list of one value, it may be shorter than the input.
            vectors = evolve(vectors, sizes=None)
        if len(rows) == len(present):
            return vectors
        lengths = np.zeros(len(present), np.int64)
        lengths[rows] = vectors.lengths
        sizes = vectors.sizes
        if sizes is not None:
            # A row of no values fits any size; this one is no wider than the others.
            spread = np.full(len(present), sizes.max(initial=0), np.int64)
            spread[rows] = sizes
            sizes = spread
        return evolve(vectors, lengths=lengths, sizes=sizes)

    return read_nullable


def _widest(vectors: Vectors) -> int:
    if vectors.sizes is not None:
        return int(vectors.sizes.max(initial=0))
    if vectors.indices is None:
        return int(vectors.lengths.max(initial=0))
    return int(vectors.indices.max(initial=-1)) + 1
