"""What a split graph computes once per user.

Where rules prove that a user's values don't depend on the other users of a run, a batch of users is
one run. Elsewhere that is checked, as long as the job runs: a few users of every run are run alone
as well. If this changes their values, the users of a batch are grouped by the lengths of their
lists and texts, because what a model most often does to a row for the sake of the others is to pad
it to their length. If that doesn't help, each user runs alone. Running alone is always right: the
whole graph, too, is given one user at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tf2spark.conversion.arrow_buffers import values_of
from tf2spark.conversion.rows import Array, Ints
from tf2spark.errors import RunError
from tf2spark.plan.recommend import CatalogPlan, SplitPlan
from tf2spark.tensorflow_c.session import Session
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.worker.batching import rows_by_key, select_rows
from tf2spark.worker.row_probe import same_values
from tf2spark.worker.run_conversion import input_feeder

UserValues = Callable[[pa.RecordBatch], list[Tensor]]
"""From a batch of users to the values that pairs need, each [users, ...]."""


def user_values(plan: CatalogPlan, strategy: SplitPlan, session: Session) -> UserValues:
    """Return the function that computes the users' values.

    It raises `RowsRefused` for users that can't be fed, `TensorFlowFailure` where TensorFlow
    refuses their values.
    """
    run = _runner(plan, strategy, session)
    if strategy.user_rows == "independent" or not strategy.user_tensors:
        return run
    columns = sorted({source.column for spec in plan.users.inputs for source in spec.sources})
    groupings = [_all_together, rows_by_key, _each_alone]
    if strategy.user_rows == "batch":
        del groupings[0]

    def checked(batch: pa.RecordBatch) -> list[Tensor]:
        keys = _length_keys(batch.select(columns))
        while True:
            groups = groupings[0](keys)
            values = _run_groups(run, batch, groups)
            if len(groupings) == 1 or all(
                _same_alone(run, batch, values, row) for row in _telling_rows(groups, keys)
            ):
                return values
            # Other batches would show the same again, so they begin with the next grouping.
            del groupings[0]

    return checked


def _runner(plan: CatalogPlan, strategy: SplitPlan, session: Session) -> UserValues:
    """Return the function that computes the values of a batch in one run."""
    inputs = plan.users.inputs
    feeders = [input_feeder(plan.users, input_plan, None) for input_plan in inputs]
    names = [tensor for input_plan in inputs for tensor in input_plan.tensors]
    compute = session.prepare(names, list(strategy.user_tensors))

    def run(batch: pa.RecordBatch) -> list[Tensor]:
        feeds = [tensor for feed in feeders for tensor in feed(batch)]
        values = compute(feeds) if strategy.user_tensors else []
        return [_rows(value, batch.num_rows) for value in values]

    return run


def _rows(value: Tensor | Strings, rows: int) -> Tensor:
    assert isinstance(value, Tensor)  # strings never cross to the pairs
    if len(value.data) != rows:
        raise RunError(f"the model gave {len(value.data):,} values for {rows:,} users")
    return value


# Groups of users that run together.


def _all_together(keys: Ints) -> list[Ints]:
    return [np.arange(len(keys))]


def _each_alone(keys: Ints) -> list[Ints]:
    return list(np.arange(len(keys)).reshape(-1, 1))


def _run_groups(run: UserValues, batch: pa.RecordBatch, groups: Sequence[Ints]) -> list[Tensor]:
    """Run each group of users, and return the values in the users' order."""
    if len(groups) == 1:
        return run(batch)
    order = np.argsort(np.concatenate(groups))
    runs = [run(select_rows(batch, rows)) for rows in groups]
    return [_joined(values, order) for values in zip(*runs, strict=True)]


def _joined(values: Sequence[Tensor], order: Ints) -> Tensor:
    data = np.concatenate([value.data for value in values])[order]
    return Tensor(values[0].dtype, data.shape, data)


def _telling_rows(groups: Sequence[Ints], keys: Ints) -> set[int]:
    """Return the users whose values the others of their group would change first.

    They are the first, and those with the least and the most in their lists and texts.
    """
    rows: set[int] = set()
    for group in groups:
        if len(group) > 1:
            lengths = keys[group]
            rows |= {
                int(group[0]),
                *(int(group[at]) for at in (lengths.argmin(), lengths.argmax())),
            }
    return rows


def _same_alone(run: UserValues, batch: pa.RecordBatch, values: list[Tensor], row: int) -> bool:
    """Say whether a user that is run alone has the same values as in company."""
    alone = run(batch.slice(row, 1))
    return all(
        same_values(value.data[row], single.data[0])
        for value, single in zip(values, alone, strict=True)
    )


# The lengths of lists and texts.


def _length_keys(columns: pa.RecordBatch) -> Ints:
    """Return a number for each row: equal for rows whose lists and texts are all equally long.

    Of two rows, one of which has the longer lists and texts, that one has the greater number.
    """
    lengths = [length for column in columns.columns for length in _lengths(column)]
    if not lengths:
        return np.zeros(columns.num_rows, np.int64)
    _, keys = np.unique(np.stack(lengths, axis=1), axis=0, return_inverse=True)
    return keys.reshape(-1)


def _lengths(column: pa.Array) -> list[Array]:
    column_type = column.type
    if pa.types.is_struct(column_type):
        return [length for child in column.flatten() for length in _lengths(child)]
    if pa.types.is_list(column_type) or pa.types.is_large_list(column_type):
        length = pc.list_value_length(column)
    elif pa.types.is_string(column_type) or pa.types.is_binary(column_type):
        length = pc.binary_length(column)
    else:
        return []
    return [values_of(length.fill_null(0).cast(pa.int64()))]
