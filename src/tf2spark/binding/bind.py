"""A request and a table's schema become a plan, or one error that says why they can't."""

from __future__ import annotations

import math

import pyarrow as pa
from attrs import evolve

from tf2spark.binding.feed_advice import LEAVE_OUT, fetch_advice
from tf2spark.binding.feeds import Output
from tf2spark.binding.inputs import plan_input
from tf2spark.binding.messages import did_you_mean, output_text
from tf2spark.binding.options import BATCH_BYTES, BATCH_ROWS, REPRODUCIBLE_ROWS, Options
from tf2spark.binding.outputs import plan_output
from tf2spark.binding.request import Request, check_columns
from tf2spark.errors import Advice, ContractError, argument
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
        plan_output(fetched.column, fetched.spec, binary=fetched.output.binary)
        for fetched in request.outputs
    )
    return with_outputs(plan, schema, outputs)


def bind_inputs(request: Request, schema: pa.Schema, options: Options, model: ModelRef) -> Plan:
    """Return the plan that `bind` returns, but without its outputs.

    Raises:
        ContractError: Table and request don't fit.
    """
    check_columns(request, schema.names)
    # If there is no column for an optional input, the model's default applies.
    names = frozenset(schema.names)
    fed_inputs = [fed for fed in request.inputs if not fed.optional or fed.spec.name in names]
    inputs = tuple(
        evolve(plan_input(fed.spec, fed.feed, schema), exact=fed.exact) for fed in fed_inputs
    )
    batch_rows = _batch_rows(inputs, options.batch_rows)
    fixed = _fixed_rows([fed.spec for fed in fed_inputs], inputs)
    _refuse_fixed_outputs(request, fixed)
    if options.reproducible:
        # With two threads, TensorFlow splits long sums differently than with one.
        model = evolve(model, threads=1)
        fixed = fixed or next(rows for rows in REPRODUCIBLE_ROWS if rows <= batch_rows)
    return Plan(
        model,
        inputs,
        (),
        _keep_positions(schema, options.keep),
        options.mode,
        options.error_column,
        batch_rows,
        BATCH_BYTES,
        fixed,
        options.model_column,
        shown=shown_columns(schema),
        audience=options.audience,
        rows=options.rows,
        reproducible=options.reproducible,
    )


def with_outputs(plan: Plan, schema: pa.Schema, outputs: tuple[OutputPlan, ...]) -> Plan:
    """Return a plan of `bind_inputs` with these outputs.

    Raises:
        ContractError: Two columns of the result would have the same name.
    """
    _refuse_same_names([schema.names[index] for index in plan.keep], outputs, plan)
    return evolve(plan, outputs=outputs)


def _keep_positions(schema: pa.Schema, keep: tuple[str, ...] | None) -> tuple[int, ...]:
    if keep is None:
        return tuple(range(len(schema)))
    for name in keep:
        if name not in schema.names:
            suggestion = did_you_mean(name, schema.names, label="column")
            raise ContractError(f'keep: the table has no column "{name}"', suggestion)
        if (count := schema.names.count(name)) > 1:
            raise ContractError(
                f'keep: the table has {count} columns "{name}"', "rename all but one"
            )
    return tuple(schema.names.index(name) for name in keep)


def _refuse_same_names(kept: list[str], outputs: tuple[OutputPlan, ...], plan: Plan) -> None:
    """Refuse new columns whose name is already in use; Spark ignores the case of names."""
    owners = {name.casefold(): f'the table\'s column "{name}"' for name in kept}
    for output in outputs:
        if owner := owners.get(output.column.casefold()):
            raise ContractError(
                f'output "{output.name}" would become the column "{output.column}", which is the '
                f"name of {owner}",
                "give it another name with "
                + _rename_advice(output, outputs)
                + ", or drop columns of the table with "
                + Advice("keep=[...]", "--keep COL,COL"),
            )
        owners[output.column.casefold()] = f'output "{output.name}"'
    for label, name in (("error", plan.error_column), ("model", plan.model_column)):
        if name is None:
            continue
        if owner := owners.get(name.casefold()):
            raise ContractError(
                f'the {label} column "{name}" has the same name as {owner}',
                "give it another name with " + argument(f"{label}_column"),
            )
        owners[name.casefold()] = f"the {label} column"


def _rename_advice(renamed: OutputPlan, outputs: tuple[OutputPlan, ...]) -> Advice:
    """Write the fetch that renames the column of one output and keeps the others."""
    columns = {f"{renamed.column}_out": Output(renamed.name)}
    for output in outputs:
        if output is not renamed:
            columns[output.column] = Output(output.name)
    return fetch_advice(columns)


def _fixed_rows(specs: list[TensorSpec], inputs: tuple[InputPlan, ...]) -> int | None:
    """Return the fixed batch dimension of the inputs that columns feed, None if it is free."""
    sizes = {
        spec.name: spec.shape[0]
        for spec, plan in zip(specs, inputs, strict=True)
        if spec.shape and spec.shape[0] is not None and plan.sources
    }
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f'"{name}" {size}' for name, size in sizes.items())
        raise ContractError(
            f"the inputs' batch dimensions are fixed and differ ({listed}), so no batch of rows "
            "fits them all",
            "export the model with batch dimensions of None",
        )
    return next(iter(sizes.values()), None)


def _refuse_fixed_outputs(request: Request, fixed: int | None) -> None:
    for spec in (fetched.spec for fetched in request.outputs):
        rows = spec.shape[0] if spec.shape else None
        if rows is not None and rows != fixed:
            raise ContractError(
                f"{output_text(spec)} has {rows} entries however many rows the table has", LEAVE_OUT
            )


def _batch_rows(inputs: tuple[InputPlan, ...], max_rows: int | None) -> int:
    """Return the rows per run, fewer if the tensors of known size would take too many bytes."""
    row_bytes = sum(_row_bytes(plan) for plan in inputs if plan.form in ("dense", "padded"))
    rows_within_bytes = max(1, BATCH_BYTES // row_bytes) if row_bytes else BATCH_ROWS
    return min(max_rows or BATCH_ROWS, rows_within_bytes)


def _row_bytes(plan: InputPlan) -> int:
    # A TF_TString takes 24 bytes, wherever its text is stored.
    value_bytes = plan.dtype.numpy.itemsize if plan.dtype.numpy is not None else 24
    return value_bytes * math.prod(size for size in plan.dims if size is not None)
