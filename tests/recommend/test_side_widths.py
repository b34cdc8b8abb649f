"""The dimensions of what each side feeds to an input."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from cases.contracts import N, dense, sparse, unknown_rank
from tf2spark.binding.feeds import Column, Constant, Feed, Joined, Padded
from tf2spark.binding.request import FedInput, Request
from tf2spark.dtypes import FLOAT32
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import NotSplit, SideName
from tf2spark.recommend.side_widths import SizedFeed, size_feeds
from tf2spark.recommend.sides import assign_sides
from tf2spark.saved_model.contract import TensorSpec

VECTORS = pa.list_(pa.float32())


def size(
    spec: TensorSpec, feed: Feed, users: dict[str, Any], items: dict[str, Any]
) -> tuple[SizedFeed, ...]:
    samples: dict[SideName, pa.Table] = {
        "user": table(users),
        "item": table(items),
    }
    schemas = {side: rows.schema for side, rows in samples.items()}
    (sided_input,) = assign_sides(Request((FedInput(spec, feed),), ()), schemas)
    return size_feeds(sided_input, schemas, samples.__getitem__)


def table(columns: dict[str, Any]) -> pa.Table:
    return pa.table({name: pa.array(rows, VECTORS) for name, rows in columns.items()})


def joined(*paths: str) -> Joined:
    return Joined(tuple(map(Column, paths)))


PAIR = joined("u", "i")


def test_one_side_has_the_contract_s_dimensions() -> None:
    """No row is needed, nor can a row differ."""
    (feed,) = size(dense(FLOAT32, N, 3), Column("u"), {"u": []}, {"i": []})
    assert (feed.dims, feed.pinned, feed.side) == ((3,), False, "user")


def test_open_dimensions_are_those_of_the_rows() -> None:
    """Other rows may differ, so the feed is pinned; rows that can't be fed say nothing."""
    (feed,) = size(dense(FLOAT32, N, N), Column("u"), {"u": [[1.0, 2.0], None]}, {"i": []})
    assert (feed.dims, feed.pinned) == ((2,), True)


def test_a_constant_keeps_what_is_open() -> None:
    """It has no rows."""
    (feed,) = size(dense(FLOAT32, N, N), Constant([1.0]), {"u": []}, {"i": []})
    assert (feed.dims, feed.pinned) == ((None,), False)


def test_items_have_their_rows_width_and_users_take_the_rest() -> None:
    """Only the items' width can surprise, and all of them are computed before users start."""
    for feed in (PAIR, joined("i", "u")):
        sized = size(dense(FLOAT32, N, 5), feed, {"u": [[1.0, 2.0]]}, {"i": [[1.0, 2.0, 3.0]]})
        by_side = {part.side: part for part in sized}
        assert (by_side["item"].dims, by_side["item"].pinned) == ((3,), True)
        assert (by_side["user"].dims, by_side["user"].pinned) == ((2,), False)
        assert [part.side for part in sized] == ["user" if column.path == "u" else "item"
                                                 for column in feed.columns]  # fmt: skip


def test_users_with_another_width_are_no_error_where_one_fits() -> None:
    """They are scored by the whole graph; if none fits, the columns don't make up a row."""
    rows = {"u": [[1.0], [1.0, 2.0]]}
    assert size(dense(FLOAT32, N, 3), PAIR, rows, {"i": [[1.0]]})[0].dims == (2,)
    with pytest.raises(ContractError, match=r'"x" takes 9 values per row, but .*i.* 1, .*u.* 2'):
        size(dense(FLOAT32, N, 9), PAIR, {"u": [[1.0, 2.0]]}, {"i": [[1.0]]})


def test_items_as_wide_as_the_input_leave_nothing() -> None:
    """Users must feed something."""
    with pytest.raises(ContractError, match="takes 2 values per row"):
        size(dense(FLOAT32, N, 2), PAIR, {"u": [[1.0]]}, {"i": [[1.0, 2.0]]})


def test_short_rows_may_be_filled_up_only_at_the_input_s_end() -> None:
    """As in `score`: before the items' part, a short row of users is refused and runs whole."""
    users, items = {"u": [[1.0], [1.0, 2.0]]}, {"i": [[1.0]]}
    first, last = size(dense(FLOAT32, N, 4), Padded(PAIR, 0.0), users, items)
    assert (first.dims, first.pinned, first.exact) == ((3,), True, True)
    assert (last.dims, last.exact) == ((1,), False)
    _, users_last = size(dense(FLOAT32, N, 4), Padded(joined("i", "u"), 0.0), users, items)
    assert (users_last.dims, users_last.pinned, users_last.exact) == ((3,), False, False)


@pytest.mark.parametrize(
    ("spec", "feed", "reason"),
    [
        (sparse((N, 3)), joined("u", "i"), 'input "x" is sparse, and both sides feed it'),
        (unknown_rank(FLOAT32), Column("u"), "rank of input"),
        (dense(FLOAT32, 8, 2), Column("u"), "fixed batch size"),
        (dense(FLOAT32, N, N), joined("uneven", "i"), "rows have different lengths"),
        (dense(FLOAT32, N, N), Column("null"), "no row shows its width"),
    ],
)
def test_what_sides_cannot_feed_separately(spec: TensorSpec, feed: Feed, reason: str) -> None:
    """The plan gives the reason."""
    rows = {"u": [[1.0, 2.0]] * 2, "uneven": [[1.0], [1.0, 2.0]], "null": [None] * 2}
    with pytest.raises(NotSplit, match=reason):
        size(spec, feed, rows, {"i": [[1.0]]})


def test_an_input_of_one_side_has_rows_of_any_length() -> None:
    """What varies among the first rows stays open; a sparse input is as it is."""
    rows = {"uneven": [[1.0], [1.0, 2.0]], "u": [[1.0, 2.0]] * 2}
    (uneven,) = size(dense(FLOAT32, N, N), Column("uneven"), rows, {"i": [[1.0]]})
    assert (uneven.dims, uneven.pinned) == ((None,), False)
    (even,) = size(dense(FLOAT32, N, N), Column("u"), rows, {"i": [[1.0]]})
    assert (even.dims, even.pinned) == ((2,), True)
    (vectors,) = size(sparse((N, 3)), Column("u"), rows, {"i": [[1.0]]})
    assert (vectors.dims, vectors.pinned) == ((3,), False)


def test_several_columns_cannot_feed_one_value() -> None:
    """An input of one value per row has no second axis."""
    with pytest.raises(ContractError, match="takes one value per row"):
        size(dense(FLOAT32, N), PAIR, {"u": [[1.0]]}, {"i": [[1.0]]})
