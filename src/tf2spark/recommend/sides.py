"""Which side feeds what: every column of a feed belongs to the users or to the items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.feeds import Assembled, Column, Constant, Feed, Joined, Padded, columns_of
from tf2spark.binding.messages import did_you_mean, input_text, listed
from tf2spark.binding.request import FedInput, Request
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import SideName

Schemas = dict[SideName, pa.Schema]
SIDES: tuple[SideName, SideName] = ("user", "item")


@frozen
class Part:
    """What one side feeds to an input, alone or beside others; columns are named as its table's."""

    side: SideName
    feed: Feed


@frozen
class SidedInput:
    """An input with its parts, in order.

    Attributes:
        fed: The input; its feed has every column written ``user:NAME`` or ``item:NAME``.
        parts: One a run of columns of one side; a constant is given to the users' side.
        why_whole: Why it can't be fed by parts; None where it can.
    """

    fed: FedInput
    parts: tuple[Part, ...]
    why_whole: str | None = None


def sided(request: Request, schemas: Schemas) -> tuple[SidedInput, ...]:
    """Settle which side each column of a request belongs to.

    Raises:
        ContractError: A column is in neither table, or in both and the feed doesn't say which.
    """
    found = []
    for one in request.inputs:
        if one.optional and all(one.spec.name not in schemas[side].names for side in SIDES):
            continue
        found.append(_sided(one, schemas))
    return tuple(found)


def _sided(one: FedInput, schemas: Schemas) -> SidedInput:
    if isinstance(one.feed, Constant):
        return SidedInput(one, (Part("user", one.feed),))
    sides = [side_of(column, schemas, one) for column in columns_of(one.feed)]
    named = _renamed(one.feed, iter([f"{side}:{path}" for side, path in sides]))
    fed = evolve(one, feed=named)
    if len({side for side, _ in sides}) == 1:
        return SidedInput(
            fed, (Part(sides[0][0], _renamed(one.feed, iter([p for _, p in sides]))),)
        )
    if isinstance(_inside(one.feed), Assembled):
        why = f'input "{one.spec.name}" takes users and items assembled into one vector'
        return SidedInput(fed, (), why)
    parts = [
        Part(side, _joined([path for _, path in run], one.feed))
        for side, run in groupby(sides, key=lambda each: each[0])
    ]
    return SidedInput(fed, tuple(parts))


def _joined(paths: Sequence[str], feed: Feed) -> Feed:
    columns = tuple(map(Column, paths))
    inside: Column | Joined = columns[0] if len(columns) == 1 else Joined(columns)
    return Padded(inside, feed.value) if isinstance(feed, Padded) else inside


def _inside(feed: Feed) -> Feed:
    return feed.column if isinstance(feed, Padded) else feed


def _renamed(feed: Feed, paths: object) -> Feed:
    take: Callable[[], Column] = lambda: Column(next(paths))  # type: ignore[call-overload]  # noqa: E731
    match feed:
        case Column():
            return take()
        case Joined(columns) | Assembled(columns):
            return evolve(feed, columns=tuple(take() for _ in columns))
        case Padded():
            return Padded(_renamed(feed.column, paths), feed.value)  # type: ignore[arg-type]
        case _:
            return feed


def side_of(column: Column, schemas: Schemas, one: FedInput) -> tuple[SideName, str]:
    """Return the side of a column, and its path there.

    Raises:
        ContractError: It is in neither table, or in both.
    """
    for side in SIDES:
        if column.path.startswith(f"{side}:"):
            return side, column.path.removeprefix(f"{side}:")
    having: list[SideName] = [side for side in SIDES if _has(schemas[side], column.path)]
    if len(having) == 1:
        return having[0], column.path
    text, name = input_text(one.spec), one.spec.name
    if having:
        raise ContractError(
            f'{text} takes column "{column.path}", which users and items both have: write '
            f'feed={{"{name}": "user:{column.path}"}} or "item:{column.path}"'
        )
    names = [f"{side}:{each}" for side in SIDES for each in schemas[side].names]
    if one.by_name:
        raise ContractError(
            f"neither users nor items have a column named as {text}; users have "
            f"{listed(schemas['user'].names)}, items {listed(schemas['item'].names)}: say what "
            f'feeds it, feed={{"{name}": "COLUMN"}}, several columns side by side as a list'
        )
    near = did_you_mean(column.path, names, label="column")
    raise ContractError(f'{text}: neither users nor items have a column "{column.path}"; {near}')


def _has(schema: pa.Schema, path: str) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in schema.names)
