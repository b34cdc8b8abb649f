"""What a worker needs to score users against items: frozen values, all decided on the driver."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from tf2spark.plan.score import InputPlan, OutputPlan, Plan

RECOMMENDATIONS = "recommendations"
IDS_FILE = "catalog/ids.arrow"
ITEMS_FILE = "catalog/items.arrow"
WHOLE_FOLDER = "whole"


@frozen
class ItemTensor:
    """A value of every item, computed once: mapped from a file, fed block by block.

    Attributes:
        placeholder: Where the pair graph takes it.
        path: Its file below the model's folder: raw, little-endian, in C order, items sorted by id.
        code: The dtype's number in ``types.proto``.
        shape: [items, ...].
    """

    placeholder: str
    path: str
    code: int
    shape: tuple[int, ...]


@frozen
class Restriction:
    """A column of users that has lists of item ids: never to return, or the only ones to.

    `label` is its name, for messages; `column` its index in the batch.
    """

    label: str
    column: int


@frozen
class SplitPlan:
    """A graph that was taken apart.

    Attributes:
        user_tensors: What is computed a user.
        placeholders: Where the pair graph takes them, in order.
        items: The values of items.
        users_size: The scalar that is fed the number of users of a block.
        items_size: The same for items.
        score: The tensor [users, items].
        item_count: How many items there are.
        block_users: Users of a block, at the most.
        block_items: Items of a block, at the most.
    """

    user_tensors: tuple[str, ...]
    placeholders: tuple[str, ...]
    items: tuple[ItemTensor, ...]
    users_size: str
    items_size: str
    score: str
    item_count: int
    block_users: int
    block_items: int


@frozen
class WholePlan:
    """The whole graph, one user against all items a run.

    Attributes:
        inputs: How a batch of pairs becomes feeds: users' columns first, then the items'.
        user_columns: Which columns of users go into it.
        user_names: Their names in the batch of pairs.
        output: The tensor of scores, one row a pair, as a column.
        column: Which entry of a row is the score; None where there is one.
        fixed_rows: Every run has so many rows; None where runs vary.
        items_a_run: All items, or so many where rows are known to be treated apart.
    """

    inputs: tuple[InputPlan, ...]
    user_columns: tuple[int, ...]
    user_names: tuple[str, ...]
    output: OutputPlan
    column: int | None
    fixed_rows: int | None
    items_a_run: int


@frozen
class CatalogPlan:
    """One recommending job, whole.

    Attributes:
        users: The users' part: model, inputs, kept columns, mode, and the one output.
        way: How scores come about.
        k: At most so many items a user.
        items: How many items there are.
        score_code: The dtype of scores: float32 or float64, by its number in ``types.proto``.
        exclude: Items never to return, by user.
        candidates: The only items to return, by user.
        fallback: How users are scored whose rows have other sizes than the first ones had, from
            which the split was made; None where the model itself fixes them.
    """

    users: Plan
    way: SplitPlan | WholePlan
    k: int
    items: int
    score_code: int
    exclude: Restriction | None = None
    candidates: Restriction | None = None
    fallback: WholePlan | None = None


def for_columns(plan: CatalogPlan, columns: Sequence[int]) -> CatalogPlan:
    """Return the plan for a table of these columns of the users alone, in this order."""
    where = {column: place for place, column in enumerate(columns)}
    inputs = tuple(
        evolve(one, sources=tuple(evolve(s, column=where[s.column]) for s in one.sources))
        for one in plan.users.inputs
    )
    users = evolve(
        plan.users,
        inputs=inputs,
        keep=tuple(where[one] for one in plan.users.keep if one in where),
        beside=tuple(where[one] for one in plan.users.beside),
    )

    def moved(way: WholePlan) -> WholePlan:
        return evolve(way, user_columns=tuple(where[one] for one in way.user_columns))

    way = moved(plan.way) if isinstance(plan.way, WholePlan) else plan.way
    fallback = plan.fallback and moved(plan.fallback)
    lists = [
        one and evolve(one, column=where[one.column]) for one in (plan.exclude, plan.candidates)
    ]
    return evolve(
        plan, users=users, way=way, exclude=lists[0], candidates=lists[1], fallback=fallback
    )


def used_columns(plan: CatalogPlan) -> list[int]:
    """Return the users' columns that are kept or read."""
    read = {source.column for one in plan.users.inputs for source in one.sources}
    return sorted({*plan.users.keep, *plan.users.beside, *read})
