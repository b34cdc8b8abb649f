"""Fetched tensors to Arrow columns; `from_arrow` is the mirror.

`column_builder` reads an `OutputPlan` once and returns the function for the hot loop. There is no
Python step per row: lists are offsets over one buffer, and strings come as one buffer. A column
refers to the tensor's memory, so the tensor lives as long as its column.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.composite_outputs import ragged_builder, sparse_builder
from tf2spark.conversion.output_values import Fetched, flat_values, list_types, nested
from tf2spark.dtypes import STRING, shape_text
from tf2spark.errors import Advice, ModelError, RunError, argument
from tf2spark.plan.score import OutputPlan
from tf2spark.tensorflow_c.tensor import Tensor

ColumnBuilder = Callable[[Sequence[Fetched], int], pa.Array]
"""Takes the tensors of an output and the number of rows."""


def columns_builder(
    plans: Sequence[OutputPlan],
) -> Callable[[Sequence[Fetched], int], list[pa.Array]]:
    """Choose how all that a run fetches becomes columns, one per output.

    The function takes the tensors of all outputs, in order, and the number of rows; its errors are
    those of `column_builder`, and `ModelError` if a signature gives an output another dtype than
    the graph.
    """
    builders = [(column_builder(plan), plan) for plan in plans]

    def columns(fetched: Sequence[Fetched], rows: int) -> Iterator[pa.Array]:
        start = 0
        for build, plan in builders:
            tensors = fetched[start : start + len(plan.tensors)]
            check_dtype(plan, tensors)
            yield build(tensors, rows)
            start += len(tensors)

    return lambda fetched, rows: list(columns(fetched, rows))


def check_dtype(plan: OutputPlan, tensors: Sequence[Fetched]) -> None:
    """Check that an output has the dtype that its signature gives.

    Where the graph's nodes say it, binding has compared the two; an op whose output has the type of
    an input says nothing. To cast the values would lose digits.

    Raises:
        ModelError: It has another.
    """
    # Of a sparse output, the indices come first.
    position = 1 if plan.form == "sparse" else 0
    values = tensors[position]
    actual = values.dtype if isinstance(values, Tensor) else STRING
    if actual is plan.dtype or actual.name == plan.dtype.name:
        return
    column, tensor = plan.column, plan.tensors[position]
    raw = Advice(
        f'fetch={{"{column}": "{tensor}"}}', f"--fetch {shlex.quote(f'{column}={tensor}')}"
    )
    raise ModelError(
        f'the signature of the model is wrong: output "{plan.name}" is {plan.dtype}, but in the '
        f'graph its tensor "{tensor}" is {actual}',
        "export the model again, or use the tensor of the graph: " + raw,
    )


def column_builder(plan: OutputPlan) -> ColumnBuilder:
    """Choose how the tensors of an output become a column.

    The function raises `RunError` if they don't have one entry per row, or not the declared shape,
    and `RowsRefused` if a string isn't UTF-8 and the column is ``string``.
    """
    match plan.form:
        case "ragged":
            return ragged_builder(plan)
        case "sparse":
            return sparse_builder(plan)
        case _:
            return _dense_builder(plan)


def _dense_builder(plan: OutputPlan) -> ColumnBuilder:
    lists = list_types(plan.arrow)
    leaf = lists[-1].value_type if lists else plan.arrow
    values = flat_values(plan, leaf)

    def column(tensors: Sequence[Fetched], rows: int) -> pa.Array:
        (tensor,) = tensors
        if not plan.batched:
            tensor = evolve(tensor, shape=(1, *tensor.shape))
        _check_shape(plan, tensor.shape, rows)
        shape = tensor.shape
        flat = values(tensor, lambda: np.arange(rows).repeat(math.prod(shape[1:])))
        return nested(flat, shape, lists)

    return column


def _check_shape(plan: OutputPlan, shape: tuple[int, ...], rows: int) -> None:
    """Raise if the dimensions aren't those of the plan."""
    expected = (rows, *plan.dims)
    if len(shape) != len(expected) or any(
        size not in (None, got) for size, got in zip(expected, shape, strict=True)
    ):
        leave_out = "to leave it out, name the others: " + Advice(
            "fetch=[...]", "--fetch COLUMN=OUTPUT"
        )
        if rows > 1 and (not shape or shape[0] == 1):
            one_row = argument("batch_rows", 1) + " runs the model row by row; "
            leave_out = one_row + leave_out
        raise RunError(
            f'output "{plan.name}" has shape {shape_text(shape)} for {rows} rows, expected '
            f"{shape_text(expected)}: an output that becomes a column must have one entry per row",
            leave_out,
        )
