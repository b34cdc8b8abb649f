"""Which side feeds what: each column of a feed belongs to the users or to the items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.advice.feeds import feed_advice
from tf2spark.binding.columns import has_column
from tf2spark.binding.feeds import Assembled, Column, Constant, Feed, Joined, Padded, columns_of
from tf2spark.binding.messages import did_you_mean, input_text, listed
from tf2spark.binding.request import FedInput, Request
from tf2spark.binding.tf_example.feed import Example
from tf2spark.binding.tf_example.plan import present_columns
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import SIDES, SideName

Schemas = dict[SideName, pa.Schema]


@frozen
class SideFeed:
    """What one side feeds to an input; columns are named as in that side's table."""

    side: SideName
    feed: Feed


@frozen
class SidedInput:
    """An input and what the sides feed to it.

    Attributes:
        fed: The input; in its feed, every column is written ``user:NAME`` or ``item:NAME``.
        feeds: What the sides feed, in order along axis 1: one per run of columns of one side. A
            constant belongs to the users' side.
        why_whole: Why the sides can't feed it separately; None where they can.
    """

    fed: FedInput
    feeds: tuple[SideFeed, ...]
    why_whole: str | None = None


def assign_sides(request: Request, schemas: Schemas) -> tuple[SidedInput, ...]:
    """Settle which side each column of a request belongs to.

    Raises:
        ContractError: A column is in neither table, or in both and the feed doesn't say which.
    """
    return tuple(
        _assign_sides(fed, schemas)
        for fed in request.inputs
        if not fed.optional or any(fed.spec.name in schemas[side].names for side in SIDES)
    )


def _assign_sides(fed: FedInput, schemas: Schemas) -> SidedInput:
    feed = fed.feed
    if isinstance(feed, Constant):
        return SidedInput(fed, (SideFeed("user", feed),))
    if isinstance(feed, Example):
        paths = [*schemas["user"].names, *schemas["item"].names]
        feed = Example(present_columns(fed.spec, feed, paths))
    columns = [side_of(column, schemas, fed) for column in columns_of(feed)]
    paths = [path for _, path in columns]
    fed = evolve(fed, feed=_rename_columns(feed, [f"{side}:{path}" for side, path in columns]))
    if len({side for side, _ in columns}) == 1:
        side = columns[0][0]
        return SidedInput(fed, (SideFeed(side, _rename_columns(feed, paths)),))
    if isinstance(feed.column if isinstance(feed, Padded) else feed, Assembled):
        why = f'input "{fed.spec.name}" takes users and items assembled into one vector'
        return SidedInput(fed, (), why)
    if isinstance(feed, Example):
        why = f'input "{fed.spec.name}" takes users and items packed into one tf.Example'
        return SidedInput(fed, (), why)
    feeds = [
        SideFeed(side, _join([path for _, path in run], feed))
        for side, run in groupby(columns, key=lambda column: column[0])
    ]
    return SidedInput(fed, tuple(feeds))


def columns_fed(inputs: Sequence[SidedInput], side: SideName, names: Sequence[str]) -> list[str]:
    """Return those of a side's columns that feed the inputs, in the table's order.

    Args:
        inputs: The inputs.
        side: The side.
        names: The columns of its table.
    """
    columns = [column.path for sided in inputs for column in columns_of(sided.fed.feed)]
    prefix = f"{side}:"
    paths = [path.removeprefix(prefix) for path in columns if path.startswith(prefix)]
    return [name for name in names if any(has_column([name], path) for path in paths)]


def columns_read(inputs: Sequence[SidedInput], item_id: str, names: Sequence[str]) -> list[str]:
    """Return those of the items' columns that a call reads, the ids first.

    Where one of their names occurs twice, they are all, and whoever reads them says so.

    Args:
        inputs: The inputs.
        item_id: The items' id column.
        names: The columns of the items.
    """
    read = list(dict.fromkeys([item_id, *columns_fed(inputs, "item", names)]))
    counts = Counter(names)
    return list(names) if any(counts[name] > 1 for name in read) else read


def _join(paths: Sequence[str], feed: Feed) -> Feed:
    """Feed columns joined, and padded where all of the feed is."""
    columns = tuple(map(Column, paths))
    joined: Column | Joined = columns[0] if len(columns) == 1 else Joined(columns)
    return Padded(joined, feed.value) if isinstance(feed, Padded) else joined


def _rename_columns(feed: Feed, paths: Sequence[str]) -> Feed:
    """Return a feed with these columns, in the order of `columns_of`."""
    return _rename_from(feed, iter(paths))


def _rename_from(feed: Feed, paths: Iterator[str]) -> Feed:
    match feed:
        case Column():
            return Column(next(paths))
        case Joined(columns) | Assembled(columns):
            return evolve(feed, columns=tuple(Column(next(paths)) for _ in columns))
        case Example(columns):
            return Example(tuple((key, next(paths)) for key, _ in columns))
        case Padded():
            return Padded(_rename_from(feed.column, paths), feed.value)  # type: ignore[arg-type]
        case _:
            return feed


def side_of(column: Column, schemas: Schemas, fed: FedInput) -> tuple[SideName, str]:
    """Return the side of a column, and its path in that side's table.

    Raises:
        ContractError: It is in neither table, or in both.
    """
    for side in SIDES:
        if column.path.startswith(f"{side}:"):
            return side, column.path.removeprefix(f"{side}:")
    sides = [side for side in SIDES if has_column(schemas[side].names, column.path)]
    if len(sides) == 1:
        return sides[0], column.path
    raise _ambiguous_column(column, fed) if sides else _unknown_column(column, schemas, fed)


def _ambiguous_column(column: Column, fed: FedInput) -> ContractError:
    of_users, of_items = (
        feed_advice({fed.spec.name: _of_side(f"{side}:", column, fed.feed)}) for side in SIDES
    )
    return ContractError(
        f'{input_text(fed.spec)} takes column "{column.path}", which users and items both have',
        "write " + of_users + " or " + of_items,
    )


def _of_side(prefix: str, column: Column, feed: Feed) -> Feed:
    """Return the feed for a column that says which side it is of."""
    if not isinstance(feed, Example):
        return Column(prefix + column.path)
    pairs = [(key, prefix + path if path == column.path else path) for key, path in feed.columns]
    return Example(tuple(pairs))


def _unknown_column(column: Column, schemas: Schemas, fed: FedInput) -> ContractError:
    text = input_text(fed.spec)
    if fed.by_name:
        return ContractError(
            f"neither users nor items have a column for {text}; users have "
            f"{listed(schemas['user'].names)}, items {listed(schemas['item'].names)}",
            "say what feeds it: "
            + feed_advice({fed.spec.name: Column("COLUMN")})
            + ", with several columns side by side as a list",
        )
    names = [f"{side}:{name}" for side in SIDES for name in schemas[side].names]
    near = did_you_mean(column.path, names, label="column")
    return ContractError(f'{text}: neither users nor items have a column "{column.path}"', near)
