"""How one output becomes a column."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.messages import output_text
from tf2spark.errors import ContractError
from tf2spark.plan.score import OutputPlan
from tf2spark.saved_model.contract import TensorSpec

_LEAVE_OUT = "leave it out by naming the outputs you want: fetch=[...]"


def plan_output(column: str, spec: TensorSpec, *, binary: bool = False) -> OutputPlan:
    """Settle the type of an output's column.

    A row of shape [] or [1] is a scalar, any other a list as deep as its dimensions.

    Raises:
        ContractError: The output has no value a row, or of a dtype that Spark has no column for.
    """
    text = output_text(spec)
    if spec.kind != "dense":
        dense = "tf.sparse.to_dense(y)" if spec.kind == "sparse" else "y.to_tensor()"
        raise ContractError(
            f"{text} is {spec.kind} and no column holds it: export {dense} instead, or {_LEAVE_OUT}"
        )
    if spec.dtype.arrow is None:
        raise ContractError(f"{text}: Spark has no column type for {spec.dtype}; {_LEAVE_OUT}")
    if binary and spec.dtype.name != "string":
        raise ContractError(f'{text}: only strings can be binary; write "{spec.name}" alone')
    if spec.shape is None:
        raise ContractError(
            f"{text}: the graph doesn't tell its rank, and a column needs a type: "
            f'fetch={{"{column}": tf2spark.output("{spec.name}", rank=1)}} for one value a row, '
            "rank=2 for a list"
        )
    if not spec.shape:
        raise ContractError(f"{text} is one value a batch, not one a row; {_LEAVE_OUT}")
    dims = spec.shape[1:]
    kind = pa.binary() if binary else spec.dtype.arrow
    if dims != (1,):
        for _ in dims:
            kind = pa.list_(kind)
    return OutputPlan(column, spec.name, spec.tensors[0], spec.dtype, dims, kind)
