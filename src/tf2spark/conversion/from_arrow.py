"""Arrow columns to the tensors that a session is fed; `to_arrow` is the mirror.

`feeder` reads an `InputPlan` once and returns the function for the hot loop. It guarantees:

- The first dimension of every tensor is the number of rows (of non-zeros, for sparse inputs; of
  flat values, for ragged ones). Only the one row of an input without a batch dimension has none.
- Buffers are passed on without a copy if type and layout allow. A tensor then refers to the Arrow
  memory, through its NumPy array or, for strings, through its `owner`.
- A row that can't become a tensor is named by `RowsRefused`, and never fed as something else.
"""

from __future__ import annotations

import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.constants import broadcast_feeder, constant_feeder
from tf2spark.conversion.dense import dense_feeder
from tf2spark.conversion.padded import padded_feeder
from tf2spark.conversion.ragged import ragged_feeder
from tf2spark.conversion.rows import Feeder
from tf2spark.conversion.sparse import sparse_feeder
from tf2spark.conversion.tf_example.feeder import example_feeder
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.strings import zero_terminated
from tf2spark.tensorflow_c.tensor import Tensor


def feeder(plan: InputPlan, limit_bytes: int | None) -> Feeder:
    """Choose how the tensors of one input are made from a batch.

    Args:
        plan: The input and what feeds it.
        limit_bytes: If a batch of several rows would need a larger tensor, the function raises
            `RowsTooLarge` before it allocates one. None for no limit.

    Returns:
        A function from a batch to the tensors, in the order of ``plan.tensors``. It raises
        `RowsRefused` for rows that can't be fed, `RowsUneven` for rows that can't be fed together.
    """
    if not plan.batched:
        return _without_batch(feeder(evolve(plan, batched=True), limit_bytes))
    match plan.form:
        case "constant":
            return constant_feeder(plan)
        case "broadcast":
            return broadcast_feeder(plan)
        case "sparse":
            return sparse_feeder(plan)
        case "ragged":
            return ragged_feeder(plan)
        case "example":
            return example_feeder(plan, limit_bytes)
        case "padded":
            return padded_feeder(plan, limit_bytes)
        case _:
            return dense_feeder(plan, limit_bytes)


def _without_batch(feed: Feeder) -> Feeder:
    """Return a function that feeds the row of a batch as a tensor without the batch dimension."""

    def feed_row(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        (fed,) = feed(batch)
        return (evolve(fed, shape=fed.shape[1:]),)

    return feed_row


def with_copied_strings(fed: Tensor) -> Tensor:
    """Return a string tensor whose values are copies, each with a zero byte after it.

    Views don't work for two kinds of graphs. A kernel that takes a string out of a fed tensor to
    keep it copies a view as it is, pointer and all, and the Arrow buffer that it points to is gone
    after the run; the large form is copied in depth (``TF_TString_Assign`` in
    ``tsl/platform/ctstring_internal.h``). And a kernel that reads a C string
    (``string_upper_op.cc``) reads a view on to the next zero byte.
    """
    # Nothing frees the large form's bytes: TensorFlow doesn't own the memory of a fed tensor, so it
    # never destroys the structs in it. `owner` keeps them alive until the run is over.
    copies, owner = zero_terminated(fed.data)
    return evolve(fed, data=copies, owner=owner)
