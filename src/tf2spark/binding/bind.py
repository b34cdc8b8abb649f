"""A request and a table's schema become a plan, or one error that says why they can't."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.binding.advice.feeds import fetch_advice
from tf2spark.binding.constants import plan_constant
from tf2spark.binding.feeds import Constant, Output
from tf2spark.binding.inputs import plan_input
from tf2spark.binding.messages import did_you_mean, type_text
from tf2spark.binding.options import (
    BATCH_BYTES,
    BATCH_ROWS,
    LAYER_CACHE_BYTES,
    LAYER_MAX_BYTES,
    LAYER_MIN_ROWS,
    REPRODUCIBLE_ROWS,
    Options,
)
from tf2spark.binding.outputs import RunRows, check_output, plan_output
from tf2spark.binding.request import Request, check_columns, first_dims, leave_out
from tf2spark.dtypes import DType, Shape
from tf2spark.errors import Advice, ContractError, Mistakes, ModelError, SetupError, argument
from tf2spark.plan.row_names import id_columns, shown_columns
from tf2spark.plan.score import InputPlan, ModelRef, OutputPlan, Plan
from tf2spark.saved_model.contract import TensorSpec

InferShapes = Callable[[Mapping[str, tuple[DType, Shape]], Collection[str]], Mapping[str, Shape]]
"""Takes the fed tensors with dtypes and shapes, and the names of other tensors. Returns the shapes
of these, as far as they can be inferred."""
Bind = Callable[[Request, pa.Schema, Options, ModelRef], Plan]
"""Does what `bind` does; it may return plans that it has kept."""


def bind(
    request: Request,
    schema: pa.Schema,
    options: Options,
    model: ModelRef,
    shapes: InferShapes | None = None,
    warn: Callable[[Request], None] = lambda _: None,
) -> Plan:
    """Check a table against a request and return what the worker will do.

    Args:
        request: The inputs, their feeds and the outputs.
        schema: The table's columns as Arrow types.
        options: The other arguments of the call.
        model: The model that the worker opens.
        shapes: Infers the shapes of outputs whose rank the graph leaves open.
        warn: Takes the request if outputs of such a shape are left out of it.

    Raises:
        ContractError: They don't fit; the message names input, column, expected, got and the fix.
    """
    mistakes = Mistakes()
    with mistakes.collected():
        plan, rows = _bind_inputs(request, schema, options, model)
    if mistakes:
        # Whether a column can hold an output of a fixed size depends on the inputs.
        free = [fetched for fetched in request.outputs if not first_dims([fetched.spec])]
        with mistakes.collected():
            _plan_outputs(evolve(request, outputs=tuple(free)), RunRows())
    mistakes.raise_all()
    if shapes is not None:
        ranked = _with_ranks(request, fed_shapes(plan.inputs), shapes)
        if request.by_default and ranked is not request:
            ranked = _without_unheld(ranked, rows, warn)
        request = ranked
    return with_outputs(plan, schema, _plan_outputs(request, rows))


def _with_ranks(
    request: Request, fed: Mapping[str, tuple[DType, Shape]], shapes: InferShapes
) -> Request:
    """Return a request whose outputs have the ranks that follow from those of fed tensors."""
    unknown = _unranked(request)
    if not unknown:
        return request
    try:
        inferred = shapes(fed, unknown)
    except (ModelError, SetupError):
        return request  # TensorFlow isn't on this machine, or can't import the graph
    outputs = (
        evolve(fetched, spec=evolve(fetched.spec, shape=inferred[fetched.spec.tensors[0]]))
        if inferred.get(fetched.spec.tensors[0]) is not None
        else fetched
        for fetched in request.outputs
    )
    return evolve(request, outputs=tuple(outputs))


def _unranked(request: Request) -> list[str]:
    """Return the tensors of the outputs whose rank isn't known."""
    return [
        fetched.spec.tensors[0]
        for fetched in request.outputs
        if fetched.spec.shape is None and fetched.spec.kind == "dense"
    ]


def _without_unheld(request: Request, rows: RunRows, warn: Callable[[Request], None]) -> Request:
    """Leave out outputs that no column can hold, now that their shapes are inferred."""
    outputs, left_out = leave_out(request.outputs, rows)
    if not left_out:
        return request
    both = (*request.left_out, *left_out)
    request = evolve(request, outputs=tuple(outputs), left_out=both)
    warn(request)
    return request


def fed_shapes(inputs: Collection[InputPlan]) -> dict[str, tuple[DType, Shape]]:
    """Return dtype and shape of the tensors that plans feed, by name, where they feed one alone."""
    shapes = {plan.tensors[0]: (plan.dtype, _fed_shape(plan)) for plan in inputs}
    return {tensor: fed for tensor, fed in shapes.items() if fed[1] is not None}


def _fed_shape(plan: InputPlan) -> Shape:
    """Return the shape of the tensor that a plan feeds; None where it feeds several."""
    if plan.form == "constant":
        return tuple(np.shape(plan.value))
    if plan.form in ("sparse", "ragged"):
        return None
    return (None, *plan.dims) if plan.batched else plan.dims


def with_declared_ranks(request: Request, options: Options, shapes: InferShapes) -> Request:
    """Return the request of a column function, for which there are no columns to infer ranks from.

    They follow from the shapes that inputs declare and from constants, as far as TensorFlow infers
    them. What no column can hold is left out, as `bind` does.
    """
    if not _unranked(request):
        return request
    dense = [fed for fed in request.inputs if fed.spec.kind == "dense" and not fed.optional]
    constants = [
        plan_constant(fed.spec, fed.feed) for fed in dense if isinstance(fed.feed, Constant)
    ]
    declared = {fed.spec.tensors[0]: (fed.spec.dtype, fed.spec.shape) for fed in dense}
    ranked = _with_ranks(request, declared | fed_shapes(constants), shapes)
    if not request.by_default or ranked is request:
        return ranked
    return _without_unheld(ranked, _declared_rows(ranked, options), lambda _: None)


def declared_outputs(request: Request, options: Options) -> tuple[OutputPlan, ...]:
    """Return the outputs of a column function, whose type Spark asks for before it has columns.

    Raises:
        ContractError: An output can't become a column.
    """
    return _plan_outputs(request, _declared_rows(request, options))


def _declared_rows(request: Request, options: Options) -> RunRows:
    specs = [fed.spec for fed in request.inputs if not isinstance(fed.feed, Constant)]
    fixed = first_dims(specs)
    if options.batch_rows == 1:
        # An input of a fixed size can be a batch or one row; the user says that it is a row.
        per_row = [spec.shape is None or spec.shape[:1] in ((None,), (1,)) for spec in specs]
        return RunRows(single=True, batched=any(per_row) or not per_row)
    return RunRows(fixed.pop() if len(fixed) == 1 else _rows_of_outputs(request, options))


def check_declared(plan: Plan, request: Request, options: Options) -> None:
    """Raise `ContractError` if a plan's outputs don't have the types that were declared."""
    for output, declared in zip(plan.outputs, declared_outputs(request, options), strict=True):
        if output.arrow != declared.arrow:
            raise ContractError(
                f'the columns make output "{output.name}" {type_text(output.arrow)}, but a column '
                f"function must declare its type before it has columns, here "
                f"{type_text(declared.arrow)}",
                "use score() instead",
            )


def _plan_outputs(request: Request, rows: RunRows) -> tuple[OutputPlan, ...]:
    mistakes, outputs = Mistakes(), []
    for fetched in request.outputs:
        with mistakes.collected():
            outputs.append(plan_output(fetched.column, fetched.spec, fetched.output, rows))
    mistakes.raise_all()
    return tuple(outputs)


def bind_inputs(request: Request, schema: pa.Schema, options: Options, model: ModelRef) -> Plan:
    """Return the plan that `bind` returns, but without its outputs.

    Raises:
        ContractError: Table and request don't fit.
    """
    plan, rows = _bind_inputs(request, schema, options, model)
    for fetched in request.outputs:
        check_output(fetched.spec, rows)
    return plan


def _bind_inputs(
    request: Request, schema: pa.Schema, options: Options, model: ModelRef
) -> tuple[Plan, RunRows]:
    mistakes, planned = Mistakes(), []
    with mistakes.collected():
        check_columns(request, schema.names)
    # If there is no column for an optional input, the model's default applies.
    names = frozenset(schema.names)
    fed_inputs = [fed for fed in request.inputs if not fed.by_name or fed.spec.name in names]
    single = options.batch_rows == 1
    for fed in fed_inputs:
        with mistakes.collected():
            planned.append(
                evolve(plan_input(fed.spec, fed.feed, schema, single=single), exact=fed.exact)
            )
    with mistakes.collected():
        keep = _keep_positions(schema, options.keep)
    with mistakes.collected():
        ids = _positions(schema, "id_columns", options.id_columns or ())
    mistakes.raise_all()
    inputs = tuple(planned)
    batch_rows = _batch_rows(inputs, options, model)
    rows = _run_rows(request, [fed.spec for fed in fed_inputs], inputs, options)
    fixed = rows.fixed
    if options.reproducible:
        # With two threads, TensorFlow splits long sums differently than with one.
        model = evolve(model, threads=1, divides_ops=False)
        fixed = fixed or next(rows for rows in REPRODUCIBLE_ROWS if rows <= batch_rows)
    plan = Plan(
        model,
        inputs,
        (),
        keep,
        options.mode,
        options.error_column,
        batch_rows,
        BATCH_BYTES,
        fixed,
        options.model_column,
        shown=id_columns(schema, ids)
        if options.id_columns is not None
        else shown_columns(schema, keep, {s.column for spec in inputs for s in spec.sources}),
        audience=options.audience,
        rows=options.rows,
        reproducible=options.reproducible,
    )
    return plan, rows


def with_outputs(plan: Plan, schema: pa.Schema, outputs: tuple[OutputPlan, ...]) -> Plan:
    """Return a plan of `bind_inputs` with these outputs.

    Raises:
        ContractError: Two columns of the result would have the same name.
    """
    _refuse_same_names([schema.names[index] for index in plan.keep], outputs, plan)
    return evolve(plan, outputs=outputs)


def _keep_positions(schema: pa.Schema, keep: tuple[str, ...] | None) -> tuple[int, ...]:
    return tuple(range(len(schema))) if keep is None else _positions(schema, "keep", keep)


def _positions(schema: pa.Schema, argument: str, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return where the columns are that an argument names."""
    mistakes = Mistakes()
    for name in names:
        with mistakes.collected():
            _check_named(argument, name, schema.names)
    mistakes.raise_all()
    return tuple(schema.names.index(name) for name in names)


def _check_named(argument: str, name: str, names: list[str]) -> None:
    if name not in names:
        suggestion = did_you_mean(name, names, label="column")
        raise ContractError(f'{argument}: the table has no column "{name}"', suggestion)
    if (count := names.count(name)) > 1:
        raise ContractError(
            f'{argument}: the table has {count} columns "{name}"', "rename all but one"
        )


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


def _run_rows(
    request: Request, specs: list[TensorSpec], inputs: tuple[InputPlan, ...], options: Options
) -> RunRows:
    """Return how many rows a run has, by the shapes of the inputs, then by those of the outputs."""
    fixed = _fixed_rows(specs, inputs)
    single = options.batch_rows == 1 and fixed in (None, 1)
    if fixed is None and not single:
        fixed = _rows_of_outputs(request, options)
    per_row = [plan.batched for plan in inputs if plan.form != "constant"]
    return RunRows(fixed, single, batched=any(per_row) or not per_row)


def _rows_of_outputs(request: Request, options: Options) -> int | None:
    """Return the fixed number of rows that only outputs show, None if it is free."""
    if request.state_rows is not None:
        return request.state_rows
    sizes = first_dims(fetched.spec for fetched in request.outputs)
    return options.batch_rows if options.batch_rows in sizes else None


def _fixed_rows(specs: list[TensorSpec], inputs: tuple[InputPlan, ...]) -> int | None:
    """Return the fixed batch dimension of the inputs that columns feed, None if it is free."""
    sizes: dict[str, int] = {}
    for spec, plan in zip(specs, inputs, strict=True):
        first = spec.shape[0] if spec.shape else None
        if plan.sources and not plan.batched:
            sizes[spec.name] = 1
        elif plan.sources and first is not None:
            sizes[spec.name] = first
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f'"{name}" {size}' for name, size in sizes.items())
        raise ContractError(
            f"the inputs' batch dimensions are fixed and differ ({listed}), so no batch of rows "
            "fits them all",
            "export the model with batch dimensions of None",
        )
    return next(iter(sizes.values()), None)


def _batch_rows(inputs: tuple[InputPlan, ...], options: Options, model: ModelRef) -> int:
    """Return the rows per run, fewer if tensors would take too many bytes."""
    fed_bytes = sum(_row_bytes(plan) for plan in inputs if plan.form in ("dense", "padded"))
    fed_rows = max(1, BATCH_BYTES // fed_bytes) if fed_bytes else BATCH_ROWS
    return min(options.batch_rows or _rows_for_layers(options, model), fed_rows)


def _rows_for_layers(options: Options, model: ModelRef) -> int:
    """Return the rows per run for which the values of the largest layer stay small."""
    # Fewer rows in a run would change the scores of rows that depend on each other.
    if not model.row_bytes or options.rows == "batch" or options.reproducible:
        return BATCH_ROWS
    cached_rows = model.threads * LAYER_CACHE_BYTES // model.row_bytes
    rows_in_memory = max(1, LAYER_MAX_BYTES // model.row_bytes)
    return min(BATCH_ROWS, max(cached_rows, LAYER_MIN_ROWS), rows_in_memory)


def _row_bytes(plan: InputPlan) -> int:
    # A TF_TString takes 24 bytes, wherever its text is stored.
    value_bytes = plan.dtype.numpy.itemsize if plan.dtype.numpy is not None else 24
    return value_bytes * math.prod(size for size in plan.dims if size is not None)
