"""A request and a table's schema become a plan, or one message that says why they can't."""

from __future__ import annotations

import math

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.inputs import plan_input
from tf2spark.binding.messages import did_you_mean, output_text
from tf2spark.binding.options import BATCH_BYTES, BATCH_ROWS, Options
from tf2spark.binding.outputs import plan_output
from tf2spark.binding.request import Request, unmatched
from tf2spark.errors import ContractError
from tf2spark.plan.score import InputPlan, ModelRef, OutputPlan, Plan, shown_columns
from tf2spark.saved_model.contract import TensorSpec


def bind(request: Request, schema: pa.Schema, options: Options, model: ModelRef) -> Plan:
    """Check a table against a request and return what the worker will do.

    Args:
        request: The inputs, their feeds and the outputs.
        schema: The table's columns as Arrow types.
        options: The other arguments of the call.
        model: The model that the worker opens.

    Raises:
        ContractError: They don't fit; the message names input, column, expected, got and the fix.
    """
    plan = bind_inputs(request, schema, options, model)
    outputs = tuple(
        plan_output(one.column, one.spec, binary=one.output.binary) for one in request.outputs
    )
    return with_outputs(plan, schema, outputs)


def bind_inputs(request: Request, schema: pa.Schema, options: Options, model: ModelRef) -> Plan:
    """Return the plan that `bind` does, still without its outputs.

    Raises:
        ContractError: Table and request don't fit.
    """
    if problem := unmatched(request, schema.names):
        raise ContractError(problem)
    # Where there is no column for an optional input, the model's default stands.
    fed = [one for one in request.inputs if not one.optional or one.spec.name in schema.names]
    inputs = tuple(evolve(plan_input(one.spec, one.feed, schema), exact=one.exact) for one in fed)
    batch_rows = _batch_rows(inputs, options.batch_rows)
    fixed = _fixed_rows([one.spec for one in fed], inputs)
    _refuse_fixed_outputs(request, fixed)
    if fixed is None and options.reproducible:
        fixed = batch_rows
    return Plan(
        model,
        inputs,
        (),
        _kept(schema, options.keep),
        options.mode,
        options.error_column,
        batch_rows,
        BATCH_BYTES,
        fixed,
        options.model_column,
        shown=shown_columns(schema),
    )


def with_outputs(plan: Plan, schema: pa.Schema, outputs: tuple[OutputPlan, ...]) -> Plan:
    """Return a plan of `bind_inputs` with these outputs.

    Raises:
        ContractError: Two columns of the result would have the same name.
    """
    _refuse_same_names([schema.names[index] for index in plan.keep], outputs, plan)
    return evolve(plan, outputs=outputs)


def _kept(schema: pa.Schema, keep: tuple[str, ...] | None) -> tuple[int, ...]:
    if keep is None:
        return tuple(range(len(schema)))
    for name in keep:
        if name not in schema.names:
            near = did_you_mean(name, schema.names, label="column")
            raise ContractError(f'keep: the table has no column "{name}"; {near}')
        if (count := schema.names.count(name)) > 1:
            raise ContractError(f'keep: the table has {count} columns "{name}"; rename all but one')
    return tuple(schema.names.index(name) for name in keep)


def _refuse_same_names(kept: list[str], outputs: tuple[OutputPlan, ...], plan: Plan) -> None:
    """Refuse new columns of a name that is taken already; Spark's names ignore case."""
    taken = {name.casefold(): f'the table\'s column "{name}"' for name in kept}
    for one in outputs:
        if owner := taken.get(one.column.casefold()):
            others = {f"{one.column}_out": one.name} | {
                other.column: other.name for other in outputs if other is not one
            }
            named = ", ".join(f'"{column}": "{name}"' for column, name in others.items())
            raise ContractError(
                f'output "{one.name}" would become the column "{one.column}", which is the name of '
                f"{owner}: fetch={{{named}}} gives it another, keep=[...] leaves columns out"
            )
        taken[one.column.casefold()] = f'output "{one.name}"'
    for what, name in (("error", plan.error_column), ("model", plan.model_column)):
        if name is None:
            continue
        if name.casefold() in taken:
            raise ContractError(
                f'the {what} column "{name}" has the name of {taken[name.casefold()]}: '
                f'{what}_column="..." gives it another'
            )
        taken[name.casefold()] = f"the {what} column"


def _fixed_rows(specs: list[TensorSpec], inputs: tuple[InputPlan, ...]) -> int | None:
    """Return the batch dimension that the inputs fed from columns are fixed to, if any is."""
    sizes = {
        spec.name: spec.shape[0]
        for spec, plan in zip(specs, inputs, strict=True)
        if spec.shape and spec.shape[0] is not None and plan.sources
    }
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f'"{name}" {size}' for name, size in sizes.items())
        raise ContractError(
            f"the inputs' batch dimensions are fixed and differ ({listed}): no batch of rows fits "
            "them all, export the model with batch dimensions of None"
        )
    return next(iter(sizes.values()), None)


def _refuse_fixed_outputs(request: Request, fixed: int | None) -> None:
    for one in request.outputs:
        rows = one.spec.shape[0] if one.spec.shape else None
        if rows is not None and rows != fixed:
            raise ContractError(
                f"{output_text(one.spec)} has {rows} entries whatever the rows of the table; leave "
                "it out by naming the outputs you want: fetch=[...]"
            )


def _batch_rows(inputs: tuple[InputPlan, ...], asked: int | None) -> int:
    """Lower the rows of a run where the known sizes of its tensors would take too many bytes."""
    row_bytes = sum(_row_bytes(one) for one in inputs if one.form in ("dense", "padded"))
    within = max(1, BATCH_BYTES // row_bytes) if row_bytes else BATCH_ROWS
    return min(asked or BATCH_ROWS, within)


def _row_bytes(plan: InputPlan) -> int:
    value_bytes = plan.dtype.numpy.itemsize if plan.dtype.numpy is not None else 24
    return value_bytes * math.prod(size for size in plan.dims if size is not None)
