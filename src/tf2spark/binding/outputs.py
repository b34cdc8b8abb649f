"""How one output becomes a column."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.feed_advice import LEAVE_OUT, fetch_advice
from tf2spark.binding.feeds import Output
from tf2spark.binding.messages import output_text
from tf2spark.errors import ContractError
from tf2spark.plan.score import OutputPlan
from tf2spark.saved_model.contract import TensorSpec


def plan_output(column: str, spec: TensorSpec, *, binary: bool = False) -> OutputPlan:
    """Decide the type of an output's column.

    A row of shape [] or [1] is a scalar, any other a list as deep as its dimensions.

    Raises:
        ContractError: The output has no value per row, or a dtype that no Spark column has.
    """
    text = output_text(spec)
    if spec.kind != "dense":
        dense = "tf.sparse.to_dense(y)" if spec.kind == "sparse" else "y.to_tensor()"
        raise ContractError(
            f"{text} is {spec.kind}, and no column can hold it",
            f"export {dense} instead, or " + LEAVE_OUT,
        )
    if spec.dtype.arrow is None:
        raise ContractError(f"{text}: Spark has no column type for {spec.dtype}", LEAVE_OUT)
    if binary and spec.dtype.name != "string":
        raise ContractError(
            f"{text}: only strings can be binary",
            "write " + fetch_advice({column: Output(spec.name)}),
        )
    if spec.shape is None:
        raise ContractError(
            f"{text}: the graph doesn't say its rank, and a column needs a type",
            "write "
            + fetch_advice({column: Output(spec.name, rank=1)})
            + " for one value per row, rank=2 for a list",
        )
    if not spec.shape:
        raise ContractError(f"{text} is one value per batch, not one per row", LEAVE_OUT)
    dims = spec.shape[1:]
    arrow_type = pa.binary() if binary else spec.dtype.arrow
    if dims != (1,):
        for _ in dims:
            arrow_type = pa.list_(arrow_type)
    return OutputPlan(column, spec.name, spec.tensors[0], spec.dtype, dims, arrow_type)
