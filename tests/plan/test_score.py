"""`plan.score`: which of a table's columns a worker gets, and the plan for just these."""

from __future__ import annotations

import pyarrow as pa
from attrs import evolve

from cases.arrow_columns import plan as input_plan
from cases.arrow_columns import source
from tf2spark.plan.row_names import ShownColumn, shown_columns
from tf2spark.plan.score import (
    ModelRef,
    Plan,
    columns_read_first,
    read_columns,
    renumber,
    traveling_columns,
)

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("x", pa.list_(pa.float32())),
        ("name", pa.string()),
        ("y", pa.float32()),
        ("seen", pa.list_(pa.int64())),
    ]
)


def plan(*fed: int, keep: tuple[int, ...] = (), extra: tuple[int, ...] = ()) -> Plan:
    """Return a plan with an input for each fed column of `SCHEMA`."""
    inputs = tuple(
        evolve(input_plan(source(SCHEMA.field(index).type, column=index)), name=f"x{index}")
        for index in fed
    )
    model = ModelRef("/model", ("serve",), "digest")
    shown = shown_columns(SCHEMA, keep, fed)
    return Plan(model, inputs, (), keep, extra_columns=extra, shown=shown)


def fed_columns(plan: Plan) -> list[int]:
    return [source.column for spec in plan.inputs for source in spec.sources]


def test_columns_that_are_read_travel_first() -> None:
    """Each column travels once; those that are read come first, both groups in table order."""
    job = plan(3, 1, keep=(2, 1, 0), extra=(4,))
    assert read_columns(job) == [1, 3, 4]
    assert traveling_columns(job) == [1, 3, 4, 0, 2]


def test_some_column_always_travels() -> None:
    """A batch without columns would have no rows."""
    assert traveling_columns(plan()) == [0]


def test_all_columns_can_be_ordered_by_whether_they_are_read() -> None:
    """In one process nothing is left out."""
    assert columns_read_first(plan(3, extra=(1,)), 5) == [1, 3, 0, 2, 4]


def test_a_plan_is_renumbered_for_the_columns_that_travel() -> None:
    """All indices are those of the new batch, those of the columns that name rows among them."""
    job = plan(3, 1, keep=(2, 1, 0), extra=(4,))
    renumbered = renumber(job, traveling_columns(job))
    assert fed_columns(renumbered) == [1, 0]
    assert (renumbered.keep, renumbered.extra_columns) == ((4, 0, 3), (2,))
    assert renumbered.shown == (ShownColumn("id", 3, is_id=True),)
    assert read_columns(renumbered) == [0, 1, 2]


def test_columns_that_do_not_travel_are_not_shown() -> None:
    """A message can only show values that are there."""
    assert renumber(evolve(plan(2, keep=(0,)), keep=()), [2]).shown == ()
    assert renumber(plan(2), [2]).shown == (ShownColumn("name", 0),)


def test_columns_that_only_name_rows_travel_last() -> None:
    """The user may choose columns that are neither kept nor fed."""
    job = evolve(plan(3, keep=(2,)), shown=(ShownColumn("id", 0, is_id=True),))
    assert traveling_columns(job) == [3, 0, 2]
