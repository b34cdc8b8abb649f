"""A request and a table's schema become a plan, or one message that says why they can't."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast, get_args

import pyarrow as pa
from attrs import frozen

from tf2spark.binding.inputs import plan_input
from tf2spark.binding.messages import did_you_mean
from tf2spark.binding.outputs import plan_output
from tf2spark.binding.request import Request, unmatched
from tf2spark.errors import ContractError
from tf2spark.plan import InputPlan, Mode, ModelRef, OutputPlan, Plan

BATCH_ROWS = 4096
BATCH_BYTES = 64 << 20
ERROR_COLUMN = "_error"


@frozen
class Options:
    """How a table is scored, apart from what feeds what.

    Attributes:
        keep: The columns that stay; None for all.
        batch_rows: The most rows of one run; None for the default.
        mode: What happens to rows that can't be scored.
        error_column: Where "permissive" writes the reason.
        reproducible: Every run has exactly `batch_rows` rows, so that bits repeat.
    """

    keep: tuple[str, ...] | None = None
    batch_rows: int | None = None
    mode: Mode = "failfast"
    error_column: str | None = None
    reproducible: bool = False


def make_options(
    *,
    keep: Sequence[str] | None = None,
    batch_rows: int | None = None,
    mode: str = "failfast",
    error_column: str | None = None,
    reproducible: bool = False,
    columnwise: bool = False,
) -> Options:
    """Check the arguments of `score` that no table is needed for; `columnwise`: those of a udf.

    Raises:
        ContractError: One is wrong.
    """
    if mode not in get_args(Mode):
        near = did_you_mean(str(mode), get_args(Mode), label="mode")
        raise ContractError(f"mode={mode!r}: {near}")
    if columnwise and mode == "dropmalformed":
        raise ContractError(
            'a udf gives a value for every row, so mode="dropmalformed" can\'t drop one: use '
            'mode="permissive" and filter on the error column, or score()'
        )
    if error_column is not None and mode != "permissive":
        raise ContractError(f'error_column needs mode="permissive", the mode is "{mode}"')
    if mode == "permissive" and error_column is None:
        error_column = ERROR_COLUMN
    if batch_rows is not None and (isinstance(batch_rows, bool) or int(batch_rows) < 1):
        raise ContractError(f"batch_rows={batch_rows!r}: write a whole number from 1")
    if isinstance(keep, str):
        keep = [keep]
    kept = None if keep is None else tuple(keep)
    return Options(kept, batch_rows, cast(Mode, mode), error_column, reproducible)


def bind(request: Request, schema: pa.Schema, options: Options, model: ModelRef) -> Plan:
    """Hold a table against a request and return what the worker will do.

    Args:
        request: The inputs, their feeds and the outputs.
        schema: The table's columns as Arrow has them.
        options: The other arguments of the call.
        model: The model that the worker opens.

    Raises:
        ContractError: They don't fit; the message names input, column, expected, got and the mend.
    """
    if problem := unmatched(request, schema.names):
        raise ContractError(problem)
    inputs = tuple(plan_input(one.spec, one.feed, schema) for one in request.inputs)
    outputs = tuple(
        plan_output(one.column, one.spec, binary=one.output.binary) for one in request.outputs
    )
    keep = _kept(schema, options.keep)
    _refuse_same_names([schema.names[index] for index in keep], outputs, options)
    fixed = _fixed_rows(request, inputs)
    if fixed is None and options.reproducible:
        fixed = options.batch_rows or BATCH_ROWS
    return Plan(
        model,
        inputs,
        outputs,
        keep,
        options.mode,
        options.error_column,
        _batch_rows(inputs, options.batch_rows),
        BATCH_BYTES,
        fixed,
    )


def _kept(schema: pa.Schema, keep: tuple[str, ...] | None) -> tuple[int, ...]:
    if keep is None:
        return tuple(range(len(schema)))
    indices = []
    for name in keep:
        if schema.names.count(name) != 1:
            near = did_you_mean(name, schema.names, label="column")
            raise ContractError(f'keep: the table has no single column "{name}"; {near}')
        indices.append(schema.names.index(name))
    return tuple(indices)


def _refuse_same_names(
    kept: list[str], outputs: tuple[OutputPlan, ...], options: Options
) -> None:
    taken = {name.casefold() for name in kept}
    for one in outputs:
        if one.column.casefold() in taken:
            raise ContractError(
                f'the table has a column "{one.column}" already, as output "{one.name}" is named: '
                f'fetch={{"{one.column}_out": "{one.name}"}} gives it another name'
            )
        taken.add(one.column.casefold())
    if options.error_column is not None and options.error_column.casefold() in taken:
        raise ContractError(
            f'there is a column "{options.error_column}" already: error_column="..." names another'
        )


def _fixed_rows(request: Request, inputs: tuple[InputPlan, ...]) -> int | None:
    sizes = {
        one.spec.name: one.spec.shape[0]
        for one, plan in zip(request.inputs, inputs, strict=True)
        if one.spec.shape and one.spec.shape[0] is not None and plan.form == "dense"
    }
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f'"{name}" {size}' for name, size in sizes.items())
        raise ContractError(f"the inputs have batch dimensions that differ: {listed}")
    return next(iter(sizes.values()), None)


def _batch_rows(inputs: tuple[InputPlan, ...], asked: int | None) -> int:
    """Lower the rows of a run where the known sizes of its tensors would take too many bytes."""
    row_bytes = sum(_row_bytes(one) for one in inputs if one.form in ("dense", "padded"))
    within = max(1, BATCH_BYTES // row_bytes) if row_bytes else BATCH_ROWS
    return min(asked or BATCH_ROWS, within)


def _row_bytes(plan: InputPlan) -> int:
    value_bytes = plan.dtype.numpy.itemsize if plan.dtype.numpy is not None else 24
    return value_bytes * math.prod(size for size in plan.dims if size is not None)
