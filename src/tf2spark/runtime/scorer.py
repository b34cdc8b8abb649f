"""The worker's loop: batches in, the same rows with the model's outputs out.

A plain generator over Arrow batches. It runs unchanged in a Spark task, in the user's own process
and, with the fake session of `tf2spark.testing`, without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import Factory, define

from tf2spark.errors import RowCountError, RowError, RunError
from tf2spark.plan import Plan
from tf2spark.runtime.arrow_to_tensors import RowsTooLarge, feeder
from tf2spark.runtime.batching import filled_up, groups, row_slices
from tf2spark.runtime.capi import TensorFlowFailure
from tf2spark.runtime.rows import Ints, RowsRefused, RowsUneven
from tf2spark.runtime.session import Session
from tf2spark.runtime.tensors_to_arrow import columner

Piece = tuple[Ints, list[pa.Array]]


def score_batches(
    plan: Plan, session: Session, batches: Iterable[pa.RecordBatch], *, place: str = ""
) -> Iterator[pa.RecordBatch]:
    """Score every row of every batch.

    Args:
        plan: What to do; the batches have the columns that it was bound to.
        session: The open model.
        batches: Any number of batches, of any size, empty ones included.
        place: Where the rows come from, for messages: " of partition 3".

    Yields:
        For each batch one with the kept columns, the outputs and, in "permissive" mode, the error
        column: as many rows, in the same order ("dropmalformed": without those that can't be
        scored).

    Raises:
        RowError: A row can't be scored, and the mode is "failfast".
        RunError: TensorFlow failed, and no single row is the cause.
        RowCountError: Rows were lost or gained.
    """
    score = batch_scorer(plan, session)
    rows_in = rows_out = rows_dropped = 0
    for batch in batches:
        scored = score(batch, rows_in, place)
        out = _with_kept(plan, batch, scored)
        rows_in += batch.num_rows
        rows_out += out.num_rows
        rows_dropped += len(scored.reasons) if plan.mode == "dropmalformed" else 0
        yield out
    if rows_out + rows_dropped != rows_in:
        raise RowCountError(
            f"{rows_in} rows came in{place}, {rows_out} went out and {rows_dropped} were dropped"
        )


@define
class Scored:
    """The outputs of one batch, and why some of its rows have none.

    Attributes:
        columns: One array an output, as long as the batch, null where a row has a reason.
        reasons: Row number to the reason why it can't be scored.
    """

    columns: list[pa.Array]
    reasons: dict[int, str] = Factory(dict)


def batch_scorer(plan: Plan, session: Session) -> Callable[[pa.RecordBatch, int, str], Scored]:
    """Choose everything that can be chosen once, and return the function that scores a batch.

    Its arguments are the batch, the number of rows that came before it and the place for messages.
    """
    run = _runner(plan, session)
    kinds = [one.arrow for one in plan.outputs]

    def score(batch: pa.RecordBatch, rows_before: int, place: str) -> Scored:
        pieces: list[Piece] = []
        reasons: dict[int, str] = {}
        for start, rows in row_slices(batch, plan):
            numbers = np.arange(start, start + rows)
            _score_rows(run, batch.slice(start, rows), numbers, pieces, reasons)
            if reasons and plan.mode == "failfast":
                row = min(reasons)
                raise RowError(_failure(batch, row, rows_before + row, place, reasons[row]))
        return Scored(_in_row_order(pieces, kinds, batch.num_rows), reasons)

    return score


def _runner(plan: Plan, session: Session) -> Callable[[pa.RecordBatch], list[pa.Array]]:
    """Return the function that feeds a slice, runs the model and returns the output columns."""
    feeds = [feeder(one, plan.batch_bytes) for one in plan.inputs]
    columns = [columner(one) for one in plan.outputs]
    call = session.prepare(
        [name for one in plan.inputs for name in one.tensors], [one.tensor for one in plan.outputs]
    )
    fixed = plan.fixed_rows

    def run(batch: pa.RecordBatch) -> list[pa.Array]:
        rows = batch.num_rows
        if fixed is not None:
            batch = filled_up(batch, fixed)
        fetched = call([tensor for feed in feeds for tensor in feed(batch)])
        made = [
            column(tensor, batch.num_rows) for column, tensor in zip(columns, fetched, strict=True)
        ]
        return made if batch.num_rows == rows else [column.slice(0, rows) for column in made]

    return run


def _score_rows(
    run: Callable[[pa.RecordBatch], list[pa.Array]],
    batch: pa.RecordBatch,
    numbers: Ints,
    pieces: list[Piece],
    reasons: dict[int, str],
) -> None:
    """Score rows together; where that fails, split them until each is scored or has a reason.

    `numbers` are the rows' numbers in the whole batch, under which pieces and reasons are filed.
    """
    try:
        pieces.append((numbers, run(batch)))
        return
    except RowsRefused as refused:
        parts = _without(refused, batch.num_rows, numbers, reasons)
    except RowsUneven as uneven:
        parts = groups(uneven.keys)
    except RowsTooLarge:
        parts = _halves(batch.num_rows)
    except TensorFlowFailure as failure:
        if not failure.row_caused:
            raise
        if batch.num_rows == 1:
            reasons[int(numbers[0])] = f"TensorFlow refused it: {failure.message}"
            return
        parts = _halves(batch.num_rows)
    for part in parts:
        if len(part):
            _score_rows(run, batch.take(part), numbers[part], pieces, reasons)


def _without(refused: RowsRefused, rows: int, numbers: Ints, reasons: dict[int, str]) -> list[Ints]:
    # A batch that was filled up repeats its last row: a number beyond the end means that one.
    for row, reason in zip(refused.rows, refused.reasons, strict=True):
        reasons.setdefault(int(numbers[min(row, rows - 1)]), reason)
    return [np.setdiff1d(np.arange(rows), np.minimum(refused.rows, rows - 1))]


def _halves(rows: int) -> list[Ints]:
    return np.array_split(np.arange(rows), 2)


def _in_row_order(pieces: list[Piece], kinds: list[pa.DataType], rows: int) -> list[pa.Array]:
    """Put the pieces together, null where no piece has the row."""
    if not pieces:
        return [pa.nulls(rows, kind) for kind in kinds]
    numbers = np.concatenate([piece[0] for piece in pieces])
    whole = [_concat([piece[1][i] for piece in pieces]) for i in range(len(kinds))]
    if len(numbers) == rows and (np.diff(numbers) > 0).all():
        return whole
    where = np.full(rows, -1)
    where[numbers] = np.arange(len(numbers))
    return [column.take(pa.array(where, mask=where < 0)) for column in whole]


def _concat(arrays: list[pa.Array]) -> pa.Array:
    if len(arrays) == 1:
        return arrays[0]
    try:
        return pa.concat_arrays(arrays)
    except pa.ArrowInvalid as error:
        raise RunError(f"the strings of one batch are over 2 GiB: lower batch_rows ({error})") from None


def _with_kept(plan: Plan, batch: pa.RecordBatch, scored: Scored) -> pa.RecordBatch:
    columns = [batch.column(index) for index in plan.keep] + scored.columns
    fields = [batch.schema.field(index) for index in plan.keep] + plan.output_fields()
    if plan.error_column is not None:
        columns.append(error_column(scored, batch.num_rows))
    out = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    if plan.mode == "dropmalformed" and scored.reasons:
        good = np.setdiff1d(np.arange(batch.num_rows), list(scored.reasons))
        out = out.take(good)
    return out


def error_column(scored: Scored, rows: int) -> pa.Array:
    """Return the reasons as a column, null for the rows that were scored."""
    if not scored.reasons:
        return pa.nulls(rows, pa.string())
    return pa.array([scored.reasons.get(row) for row in range(rows)], pa.string())


def _failure(batch: pa.RecordBatch, row: int, number: int, place: str, reason: str) -> str:
    shown = _shown(batch, row)
    return (
        f"row {number:,}{place}{shown} can't be scored: {reason}. "
        'mode="permissive" scores the other rows and gives the reason in a column, '
        'mode="dropmalformed" leaves such rows out'
    )


def _shown(batch: pa.RecordBatch, row: int) -> str:
    """Show a few plain values of a row, so that a person finds it again."""
    plain = [
        f"{field.name}={_short(batch.column(index)[row].as_py())}"
        for index, field in enumerate(batch.schema)
        if pa.types.is_integer(field.type) or pa.types.is_string(field.type)
    ]
    return f" ({', '.join(plain[:4])})" if plain else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
