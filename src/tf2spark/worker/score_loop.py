"""The worker's loop: takes batches and yields the same rows with the model's outputs.

A plain generator over Arrow batches. It runs unchanged in a Spark task, in the user's own process
and, with the fake session of `tf2spark.testing`, without TensorFlow.

A bad row must cost no other row its result. Rows run together as long as nothing fails. If a run
fails, its rows are split (`_score_rows`) until each row is either in a piece, with its outputs, or
in `reasons`, with why it has none. Pieces carry their rows' numbers, so the order of the runs
doesn't matter, and the numbers are counted before anything is passed on.

Some models score a row by the others of its batch (a softmax over the batch). Their rows are
scored together or not at all (`_refuse_all`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from attrs import Factory, define

from tf2spark.conversion.arrow_buffers import repeated_text, take_indices, take_rows
from tf2spark.conversion.rows import (
    Ints,
    RowsRefused,
    RowsTooLarge,
    RowsUneven,
)
from tf2spark.errors import (
    OTHER_BATCHES,
    OTHER_MODES,
    ModelError,
    RowCountError,
    RowError,
    RunError,
    addressed_to,
    argument,
)
from tf2spark.plan.score import Plan
from tf2spark.tensorflow_c.failure import TensorFlowFailure, model_fault
from tf2spark.tensorflow_c.run_limit import rows_limited
from tf2spark.tensorflow_c.session import Run, Session
from tf2spark.worker.batching import halves, pad_to_rows, row_slices, rows_by_key, select_rows
from tf2spark.worker.model_faults import ModelFaults, generated_values
from tf2spark.worker.refused_inputs import RefusedInputs
from tf2spark.worker.row_names import NameRow, RowName, error_column, row_namer
from tf2spark.worker.row_probe import rows_depend
from tf2spark.worker.run_conversion import Conversion, conversion_of, read_width, takes_strings

Piece = tuple[Ints, list[pa.Array]]
Runner = Callable[[pa.RecordBatch], list[pa.Array]]
"""Runs rows together and returns their outputs; raises what `_score_rows` handles."""


@define
class Scored:
    """The outputs of one batch, and why some of its rows have none.

    Attributes:
        columns: One array per output, as long as the batch, null for the rows in `reasons`.
        reasons: Why a row can't be scored, by its number in the batch.
    """

    columns: list[pa.Array]
    reasons: dict[int, str] = Factory(dict)


def score_batches(
    plan: Plan,
    session: Session,
    batches: Iterable[pa.RecordBatch],
    *,
    location: str = "",
    runner: Runner | None = None,
    conversion: Conversion | None = None,
    names: Sequence[str] | None = None,
    name_row: NameRow | None = None,
) -> Iterator[pa.RecordBatch]:
    """Score every row of every batch.

    Args:
        plan: What to do; the batches have its columns in its order, under any names.
        session: The open model.
        batches: Any number of batches, of any size, empty ones included.
        location: Where the rows come from, for messages: " of partition 3".
        runner: How rows become outputs; None for a run of the model.
        conversion: What `conversion_of` returned for the plan, if it is at hand.
        names: The names of the columns that are yielded; None for the kept columns' names in the
            batches and the outputs' own.
        name_row: What names rows; None for the columns of the plan that are meant for it.

    Yields:
        For each batch, one with the kept columns, the outputs and, in "permissive" mode, the error
        column: the same rows in the same order ("dropmalformed": without those that can't be
        scored).

    Raises:
        RowError: A row can't be scored, and the mode is "failfast".
        ModelError: The model can't run, whatever the rows are: see `model_faults`.
        RunError: TensorFlow failed, and no single row is the cause.
        RowCountError: Rows were lost or gained.
    """
    name_row = name_row or row_namer(plan.shown)
    score = batch_scorer(plan, session, runner, conversion, name_row)
    rows_before = 0
    # Spark passes errors on as text, so they must be in the reader's words before they leave here.
    with addressed_to(plan.audience):
        for batch in batches:
            scored = score(batch, rows_before, location)
            rows_before += batch.num_rows
            yield _output_batch(plan, batch, scored, names, name_row)


def batch_scorer(
    plan: Plan,
    session: Session,
    runner: Runner | None = None,
    conversion: Conversion | None = None,
    name_row: NameRow | None = None,
) -> Callable[[pa.RecordBatch, int, str], Scored]:
    """Choose everything that can be chosen once, and return the function that scores a batch.

    Its arguments are the batch, how many rows came before it, and the location for messages.
    """
    faults = _faults(plan, session, runner, conversion)
    name_row = name_row or row_namer(plan.shown)
    relation = _RowRelation(plan, faults.run)
    # Only these columns are copied if rows have to run separately. The driver has put them first
    # (`traveling_columns`), so they have the same indices here as in the batch.
    width = read_width(plan) if conversion is None else conversion.width
    types = [output.arrow for output in plan.outputs]
    failfast = plan.mode == "failfast"
    advice = OTHER_BATCHES if plan.rows == "batch" else OTHER_MODES

    def describe(
        batch: pa.RecordBatch, rows_before: int, location: str, start: int, rows: int
    ) -> str:
        name = name_row(batch, start).in_message(rows_before + start, location)
        return f"{rows:,} rows from {name} on"

    @addressed_to(plan.audience)
    def score(batch: pa.RecordBatch, rows_before: int, location: str) -> Scored:
        pieces: list[Piece] = []
        reasons: dict[int, str] = {}
        # Each copy of a batch has new Python objects for all of its columns.
        fed = batch if width == batch.num_columns else batch.select(list(range(width)))
        for start, rows in row_slices(fed, plan):
            numbers = np.arange(start, start + rows)
            part = fed if rows == fed.num_rows else fed.slice(start, rows)
            described = partial(describe, batch, rows_before, location, start, rows)
            with rows_limited(plan.model.path, described):
                rows_run, refused = _score_slice(
                    relation, faults, part, numbers, failfast, lambda row: name_row(batch, row)
                )
            pieces += rows_run
            reasons |= refused
            if failfast and reasons:
                row = min(reasons)
                name = name_row(batch, row).in_message(rows_before + row, location)
                raise RowError(f"{name} can't be scored: {reasons[row]}", advice)
        _check_count(pieces, reasons, batch.num_rows, location)
        return Scored(_in_row_order(pieces, types, batch.num_rows), reasons)

    return score


_FORMS_OF_ANY_LENGTH = frozenset({"padded", "sparse", "ragged"})


class _RowRelation:
    """Whether the rows of this job depend on each other, found out when it first matters."""

    def __init__(self, plan: Plan, run: Runner) -> None:
        self.run = run
        self.plan = plan
        self._relation = plan.rows

    def pads(self, rows: int) -> bool:
        """Return whether a run of this many rows is padded."""
        return self.plan.fixed_rows not in (None, rows)

    def depends(self, scored: pa.RecordBatch) -> bool:
        """Return whether rows depend on each other, with the help of rows that can be scored."""
        if self._relation == "unknown" and scored.num_rows:
            max_rows = self.plan.fixed_rows or self.plan.batch_rows
            padded = any(fed.form in _FORMS_OF_ANY_LENGTH for fed in self.plan.inputs)
            depend = rows_depend(self.run, scored, max_rows, keep_all=padded)
            self._relation = "batch" if depend else "independent"
        return self._relation == "batch"


def _score_slice(
    relation: _RowRelation,
    faults: ModelFaults,
    batch: pa.RecordBatch,
    numbers: Ints,
    failfast: bool,
    name_row: Callable[[int], RowName],
) -> tuple[list[Piece], dict[int, str]]:
    """Score the rows of one run: its pieces, and why other rows have no outputs."""
    pieces: list[Piece] = []
    reasons: dict[int, str] = {}
    _score_rows(faults, batch, numbers, pieces, reasons, failfast)
    faults.decide()
    reasons |= faults.reasons()
    plan, pads = relation.plan, relation.pads(batch.num_rows)
    runs_as_one = len(pieces) == 1 and not reasons and not pads
    if (runs_as_one and not plan.reproducible) or (failfast and reasons):
        return pieces, reasons
    # Rows of one piece fit together, which those of several may not.
    scored = max((piece for piece, _ in pieces), key=len, default=numbers[:0])
    if not relation.depends(select_rows(batch, scored - numbers[0])):
        return pieces, reasons
    if plan.reproducible:
        raise ModelError(
            "the model's rows depend on each other, so its scores can't be made reproducible",
            "leave out " + argument("reproducible", True),
        )
    if runs_as_one:
        return pieces, reasons
    return [], _refuse_all(numbers, reasons, plan.fixed_rows if pads else None, name_row)


def _refuse_all(
    numbers: Ints,
    reasons: dict[int, str],
    fixed_rows: int | None,
    name_row: Callable[[int], RowName],
) -> dict[int, str]:
    """Return why no row of a batch is scored: each row's own reason, or that of another."""
    if reasons:
        bad = min(reasons)
        row = name_row(bad).in_message(bad - int(numbers[0]), " of its batch")
        why = f"{row} can't be scored: {reasons[bad]}"
    elif fixed_rows is not None:
        why = f"a run takes exactly {fixed_rows:,} rows, and its batch has {len(numbers):,}"
    else:
        why = "its batch can't be run at once (rows of different lengths, or too many bytes)"
    other = f"the model's rows depend on each other, and {why}"
    return {int(number): reasons.get(int(number), other) for number in numbers}


def _faults(
    plan: Plan, session: Session, runner: Runner | None, conversion: Conversion | None
) -> ModelFaults:
    """Return what runs rows, and knows whether they or the model are at fault if that fails."""
    if runner is not None:
        refused = RefusedInputs(plan.inputs, runner)
        return ModelFaults(runner, None, refused, takes_strings=takes_strings(plan))
    conversion = conversion or conversion_of(plan)
    call = session.prepare(conversion.fed, conversion.fetched)

    def run_generated(batch: pa.RecordBatch, value: int) -> object:
        padded = pad_to_rows(batch, plan.fixed_rows or batch.num_rows)
        return call(generated_values(plan.inputs, conversion.feed(padded), value))

    run = _runner(plan, conversion, call)
    refused = RefusedInputs(plan.inputs, run)
    return ModelFaults(run, run_generated, refused, takes_strings=conversion.takes_strings)


def _runner(plan: Plan, conversion: Conversion, call: Run) -> Runner:
    """Return the function that feeds a slice, runs the model and returns the output columns."""
    feed, columns_of = conversion.feed, conversion.columns

    def run(batch: pa.RecordBatch) -> list[pa.Array]:
        padded = pad_to_rows(batch, plan.fixed_rows or batch.num_rows)
        columns = columns_of(call(feed(padded)), padded.num_rows)
        if padded is batch:
            return columns
        return [column.slice(0, batch.num_rows) for column in columns]

    return run


def _score_rows(
    faults: ModelFaults,
    batch: pa.RecordBatch,
    numbers: Ints,
    pieces: list[Piece],
    reasons: dict[int, str],
    failfast: bool,
) -> None:
    """Score rows together; if that fails, split them until each is scored or has a reason.

    `numbers` are the rows' numbers in the whole batch, under which pieces and reasons are filed.
    Every part has fewer rows than the whole, so this ends.
    """
    rows = batch.num_rows
    try:
        pieces.append((numbers, faults.run(batch)))
        return
    except RowsRefused as refused:
        # Conversion names the bad rows: the others run together again.
        parts = [_file_reasons(refused, numbers, reasons)]
    except RowsUneven as uneven:
        # A batch that was padded has keys beyond its end.
        parts = rows_by_key(uneven.keys[:rows])
    except RowsTooLarge:
        parts = halves(rows)
    except TensorFlowFailure as failure:
        # TensorFlow names no row, or one by another count. Bisection finds a bad row in about
        # 2 log2(rows) runs. Failures that no row explains would fail for every half as well.
        if fault := model_fault(failure):
            raise fault from None
        if failure.cause == "process":
            raise
        if rows == 1:
            faults.row_failed(int(numbers[0]), batch, failure)
            reasons[int(numbers[0])] = failure.message  # until it is known which input is refused
            return
        parts = halves(rows)
    for part in parts:
        # The first reason ends the job, so the rest needn't run.
        if failfast and reasons:
            return
        if len(part):
            _score_rows(faults, select_rows(batch, part), numbers[part], pieces, reasons, failfast)


def _file_reasons(refused: RowsRefused, numbers: Ints, reasons: dict[int, str]) -> Ints:
    """File the reasons of refused rows and return the rows that are left."""
    # A padded batch repeats its last row: a number beyond the end means that row.
    rows = np.minimum(refused.rows, len(numbers) - 1)
    for row, reason in zip(rows, refused.reasons, strict=True):
        reasons.setdefault(int(numbers[row]), reason)
    return np.setdiff1d(np.arange(len(numbers)), rows)


def _check_count(pieces: list[Piece], reasons: dict[int, str], rows: int, location: str) -> None:
    scored = sum(len(numbers) for numbers, _ in pieces)
    if scored + len(reasons) != rows:
        raise RowCountError(
            f"a batch{location} has {rows} rows, but {scored} were scored and {len(reasons)} "
            "refused: this is a bug in tf2spark, please report it"
        )


def _in_row_order(pieces: list[Piece], types: list[pa.DataType], rows: int) -> list[pa.Array]:
    """Join the pieces in the order of their rows, null for rows that no piece has."""
    if not pieces:
        return [pa.nulls(rows, type_) for type_ in types]
    numbers = np.concatenate([numbers for numbers, _ in pieces])
    joined = [_concat([columns[i] for _, columns in pieces]) for i in range(len(types))]
    # Usually every row was scored, in order: nothing is moved then.
    if len(numbers) == rows and (np.diff(numbers) > 0).all():
        return joined
    position = np.full(rows, -1)
    position[numbers] = np.arange(len(numbers))
    return [column.take(take_indices(position)) for column in joined]


def _concat(arrays: list[pa.Array]) -> pa.Array:
    if len(arrays) == 1:
        return arrays[0]
    try:
        return pa.concat_arrays(arrays)
    except pa.ArrowInvalid as error:
        raise RunError(
            f"an output of one batch of the table is over 2 GiB ({error}): score smaller batches "
            "(in Spark: spark.sql.execution.arrow.maxRecordsPerBatch)"
        ) from None


def _output_batch(
    plan: Plan,
    batch: pa.RecordBatch,
    scored: Scored,
    names: Sequence[str] | None,
    name_row: NameRow,
) -> pa.RecordBatch:
    columns = [batch.column(index) for index in plan.keep] + scored.columns
    columns += error_and_model_columns(plan, scored, batch, name_row)
    if names is None:
        schema = batch.schema
        fields = [schema.field(index) for index in plan.keep] + plan.output_fields()
        out = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    else:
        out = pa.RecordBatch.from_arrays(columns, names=names)
    if plan.mode == "dropmalformed" and scored.reasons:
        out = take_rows(out, np.setdiff1d(np.arange(batch.num_rows), list(scored.reasons)))
    return out


def error_and_model_columns(
    plan: Plan, scored: Scored, batch: pa.RecordBatch, name_row: NameRow
) -> list[pa.Array]:
    """Return the error column and the model column, if the plan has them."""
    columns = [] if plan.error_column is None else [error_column(scored.reasons, batch, name_row)]
    if plan.model_column is not None:
        # The digest of the model that ran: sessions are cached by it, and files are checked
        # against it.
        columns.append(repeated_text(plan.model.digest, batch.num_rows))
    return columns
