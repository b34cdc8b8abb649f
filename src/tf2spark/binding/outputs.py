"""How one output becomes a column."""

from __future__ import annotations

import pyarrow as pa
from attrs import frozen

from tf2spark.binding.advice.feeds import LEAVE_OUT, fetch_advice
from tf2spark.binding.feeds import Output
from tf2spark.binding.messages import output_text
from tf2spark.dtypes import DType
from tf2spark.errors import Advice, ContractError, argument
from tf2spark.plan.score import OutputPlan
from tf2spark.saved_model.contract import TensorSpec


@frozen
class RunRows:
    """How many rows a run has, as far as the columns of outputs depend on it.

    Attributes:
        fixed: Every run has exactly this many rows; None if runs vary.
        single: Every run has one row, because the user asked for that.
        batched: In a run of a single row, whether some input has a batch dimension.
    """

    fixed: int | None = None
    single: bool = False
    batched: bool = True


def plan_output(
    column: str, spec: TensorSpec, output: Output | None = None, rows: RunRows | None = None
) -> OutputPlan:
    """Decide the type of an output's column.

    A row of shape [] or [1] is a scalar, any other a list as deep as its dimensions. A ragged row
    is a list too. A row of a sparse matrix is a struct of its indices and values, or a map.

    Args:
        column: The name of the column.
        spec: The output.
        output: What the user says of it.
        rows: How many rows a run has; None if the inputs aren't known, so that a fixed number of
            rows is accepted.

    Raises:
        ContractError: The output has no value per row, or a dtype that no column has.
    """
    output = output or Output(spec.name)
    check_output(spec, rows)
    leaf = _leaf(column, spec, output)
    if spec.shape is None:
        raise ContractError(
            f"{output_text(spec)}: the graph doesn't say its rank, and a column needs a type",
            "write "
            + fetch_advice({column: Output(spec.name, rank=1)})
            + " for one value per row, rank=2 for a list",
        )
    batched = _is_batched(spec, rows)
    dims = spec.shape[1:] if batched else spec.shape
    if spec.kind == "sparse":
        kind = _sparse_type(leaf, len(dims), as_map=output.as_map)
    else:
        kind = leaf
        # Lists of one value stay lists where others have more.
        for _ in dims if dims != (1,) or spec.kind == "ragged" else ():
            kind = pa.list_(kind)
    return OutputPlan(column, spec.name, spec.tensors, spec.dtype, dims, kind, spec.kind, batched)


def check_output(spec: TensorSpec, rows: RunRows | None) -> None:
    """Raise `ContractError` if no column can hold an output; see `no_column`."""
    if problem := no_column(spec, rows):
        text, advice = problem
        raise ContractError(f"{output_text(spec)} {text}", advice)


def no_column(spec: TensorSpec, rows: RunRows | None) -> tuple[str, str | Advice] | None:
    """Return why no column can hold an output, and what to do about it; None if one can."""
    if spec.dtype.arrow is None:
        return f"can't become a column: no column holds {spec.dtype}", _other_dtype(spec.dtype)
    if spec.shape is None or (rows is not None and rows.single):
        return None
    if not spec.shape:
        row_by_row = argument("batch_rows", 1) + " to run the model row by row; or "
        return "is one value per batch, not one per row", "write " + row_by_row + LEAVE_OUT
    entries = spec.shape[0]
    if rows is None or entries in (None, rows.fixed):
        return None
    advice = argument("batch_rows", 1) + " if that is one row's output; or " + LEAVE_OUT
    if rows.fixed is None and entries > 1:
        exact = argument("batch_rows", entries) + " if a batch has exactly as many rows, "
        advice = exact + advice
    noun = "entry" if entries == 1 else "entries"
    return f"has {entries} {noun} however many rows the table has", "write " + advice


def _other_dtype(dtype: DType) -> str | Advice:
    if dtype.name.startswith("complex"):
        instead = "export tf.math.real(y) and tf.math.imag(y)"
    elif dtype.name.startswith("q"):
        instead = f"export tf.bitcast(y, tf.{dtype.name[1:]})"
    elif dtype.name in ("resource", "variant"):
        instead = "export the values that it refers to"
    else:
        instead = "export tf.cast(y, tf.float32)"
    return f"{instead} instead, or " + LEAVE_OUT


def _leaf(column: str, spec: TensorSpec, output: Output) -> pa.DataType:
    if output.binary and spec.dtype.name != "string":
        raise ContractError(
            f"{output_text(spec)}: only strings can be binary",
            "write " + fetch_advice({column: Output(spec.name)}),
        )
    if output.as_map and (spec.kind != "sparse" or spec.rank not in (None, 2)):
        raise ContractError(
            f"{output_text(spec)}: only a sparse matrix can become a map",
            "write " + fetch_advice({column: Output(spec.name)}),
        )
    return pa.binary() if output.binary else spec.dtype.arrow


def _is_batched(spec: TensorSpec, rows: RunRows | None) -> bool:
    """Return whether the first dimension of an output is the batch."""
    if rows is None or not rows.single:
        return True
    if not spec.shape:
        return False
    return spec.shape[0] == 1 or (spec.shape[0] is None and rows.batched)


def _sparse_type(leaf: pa.DataType, rank: int, *, as_map: bool) -> pa.DataType:
    """Return the type of a column whose rows are sparse and have `rank` dimensions."""
    if rank == 0:
        return leaf
    if as_map:
        return pa.map_(pa.int64(), leaf)
    index = pa.int64() if rank == 1 else pa.list_(pa.int64())
    return pa.struct([("indices", pa.list_(index)), ("values", pa.list_(leaf))])
