"""Which side each column of a feed belongs to."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cases.contracts import N, dense
from tf2spark.binding.feeds import Assembled, Column, Constant, Feed, Joined, Padded, example
from tf2spark.binding.request import FedInput, Request
from tf2spark.dtypes import FLOAT32
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import SideName
from tf2spark.recommend.sides import SidedInput, assign_sides, columns_fed, columns_read

SCHEMAS: dict[SideName, pa.Schema] = {
    "user": pa.schema([("age", pa.float32()), ("x", pa.float32()), ("u.v", pa.float32())]),
    "item": pa.schema([("price", pa.float32()), ("x", pa.float32())]),
}


def assign(feed: Feed, *, by_name: bool = False) -> SidedInput:
    fed = FedInput(dense(FLOAT32, N, N, name="in"), feed, by_name)
    (sided_input,) = assign_sides(Request((fed,), ()), SCHEMAS)
    return sided_input


def columns(*paths: str) -> tuple[Column, ...]:
    return tuple(map(Column, paths))


class TestSides:
    def test_of_a_column_of_one_table(self) -> None:
        """It belongs to that table, whichever way it is written."""
        for path in ("age", "user:age"):
            sided_input = assign(Column(path))
            assert [(feed.side, feed.feed) for feed in sided_input.feeds] == [
                ("user", Column("age"))
            ]
            assert sided_input.fed.feed == Column("user:age")

    def test_of_a_field_or_a_name_with_a_dot(self) -> None:
        """A path begins with the name of a column."""
        assert assign(Column("price.usd")).feeds[0].side == "item"
        assert assign(Column("u.v")).feeds[0].side == "user"
        with pytest.raises(ContractError, match='column "prices"'):
            assign(Column("prices"))

    def test_of_columns_in_any_order(self) -> None:
        """Runs of columns of one side are one feed; their order is the input's."""
        sided_input = assign(Joined(columns("age", "user:x", "item:x", "price", "age")))
        assert [(feed.side, feed.feed) for feed in sided_input.feeds] == [
            ("user", Joined(columns("age", "x"))),
            ("item", Joined(columns("x", "price"))),
            ("user", Column("age")),
        ]
        assert sided_input.fed.feed == Joined(
            columns("user:age", "user:x", "item:x", "item:price", "user:age")
        )
        assert sided_input.why_whole is None

    def test_of_padded_columns(self) -> None:
        """Each side's feed is padded with the same value."""
        sided_input = assign(Padded(Joined(columns("age", "price")), 7.0))
        assert [feed.feed for feed in sided_input.feeds] == [
            Padded(Column("age"), 7.0),
            Padded(Column("price"), 7.0),
        ]

    def test_of_a_constant(self) -> None:
        """It belongs to the users."""
        assert [feed.side for feed in assign(Constant(1.0)).feeds] == ["user"]

    def test_of_an_assembled_vector(self) -> None:
        """Of one side it is a feed like any other; both sides can't be assembled separately."""
        assert assign(Assembled(columns("age", "user:x"))).feeds[0].feed == Assembled(
            columns("age", "x")
        )
        both = assign(Assembled(columns("age", "price")))
        assert both.feeds == ()
        assert "assembled into one vector" in str(both.why_whole)

    def test_of_an_example(self) -> None:
        """Of one side it is a feed like any other; both sides can't be packed separately."""
        of_users = assign(example(age="age", key="user:x"))
        assert [(feed.side, feed.feed) for feed in of_users.feeds] == [
            ("user", example(age="age", key="x"))
        ]
        assert of_users.fed.feed == example(age="user:age", key="user:x")
        both = assign(example(age="age", cost="price"))
        assert both.feeds == ()
        assert both.fed.feed == example(age="user:age", cost="item:price")
        assert both.why_whole == 'input "in" takes users and items packed into one tf.Example'

    def test_of_an_optional_input(self) -> None:
        """Without a column of its name in either table, the model's default applies."""
        optional = FedInput(dense(FLOAT32, N, name="keep"), Column("keep"), True, True)
        assert assign_sides(Request((optional,), ()), SCHEMAS) == ()
        known = FedInput(dense(FLOAT32, N, name="age"), Column("age"), True, True)
        assert len(assign_sides(Request((known,), ()), SCHEMAS)) == 1


class TestRefused:
    def test_column_of_both_tables(self) -> None:
        """The message has both ways to write it, for Python and for the command line."""
        with pytest.raises(ContractError, match="which users and items both have") as caught:
            assign(Column("x"))
        assert 'feed={"in": "user:x"} or feed={"in": "item:x"}' in caught.value.text_for("python")
        assert "--feed in=user:x or --feed in=item:x" in caught.value.text_for("command_line")

    def test_column_of_neither_table(self) -> None:
        """The message suggests a column, or lists those that are there."""
        with pytest.raises(ContractError, match='did you mean "item:price"'):
            assign(Column("item_price"))
        with pytest.raises(
            ContractError, match=r'users have "age", "x", "u.v", items "price", "x"'
        ):
            assign(Column("in"), by_name=True)


def test_columns_fed_are_those_of_a_side_that_are_read() -> None:
    """Once, in the table's order, whatever else feeds the input."""
    fed = [assign(Joined(columns("age", "item:x"))), assign(Padded(Column("item:x"), 0)),
           assign(Constant(1)), assign(Column("price.usd"))]  # fmt: skip
    assert columns_fed(fed, "item", SCHEMAS["item"].names) == ["price", "x"]
    assert columns_fed(fed, "user", SCHEMAS["user"].names) == ["age"]
    assert columns_fed((), "user", SCHEMAS["user"].names) == []


def test_columns_read_are_the_ids_and_what_is_fed() -> None:
    """All are, where two of one name are among them."""
    fed = [assign(Column("price"))]
    assert columns_read(fed, "id", ["price", "x", "id"]) == ["id", "price"]
    assert columns_read(fed, "price", ["price", "x", "X"]) == ["price"]
    assert columns_read(fed, "x", ["price", "x", "X"]) == ["x", "price"]
    assert columns_read(fed, "id", ["price", "x", "x", "id"]) == ["id", "price"]
    assert columns_read(fed, "id", ["price", "id", "price"]) == ["price", "id", "price"]
