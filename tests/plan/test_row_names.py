"""`plan.row_names`: which columns name a row."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tf2spark.plan.row_names import ShownColumn, id_columns, is_id_name, shown_columns

SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("city", pa.string()),
        ("x", pa.list_(pa.float32())),
        ("id", pa.dictionary(pa.int32(), pa.string())),
        ("weight", pa.float64()),
        ("seen", pa.timestamp("us")),
    ]
)


@pytest.mark.parametrize(
    "name",
    ["id", "ID", "user_id", "userId", "movieID", "UserId", "user-id", "user id", "_id",
     "id_cliente", "uuid", "order.guid", "primary_key", "customerKey",
     "userid", "ITEMID", "id2", "страна_id"],
)  # fmt: skip
def test_a_name_says_that_a_column_is_an_id(name: str) -> None:
    """Its last word does, in any usual way of writing words, or a first word of "id"."""
    assert is_id_name(name)


@pytest.mark.parametrize(
    "name",
    ["paid", "grid", "width", "ids", "idle", "covid", "valid", "keyword", "", "_", "x1", "12"],
)
def test_other_names_are_no_ids(name: str) -> None:
    """Letters that happen to be in a word don't count."""
    assert not is_id_name(name)


def test_ids_come_before_everything_else() -> None:
    """Those that feed nothing come first; other columns aren't shown beside an id."""
    assert shown_columns(SCHEMA, range(6), [0, 2]) == (
        ShownColumn("id", 3, is_id=True),
        ShownColumn("user_id", 0, is_id=True),
    )


def test_plain_columns_stand_in_for_ids() -> None:
    """Lists and floats help nobody to find a row."""
    assert shown_columns(SCHEMA, [4, 5], [1, 2]) == (ShownColumn("seen", 5), ShownColumn("city", 1))


def test_columns_that_are_neither_kept_nor_fed_are_not_shown() -> None:
    """They would have to be sent to the workers for that."""
    assert shown_columns(SCHEMA, [4], [2]) == ()


def test_at_most_three_columns_are_shown() -> None:
    """A message has to stay short."""
    schema = pa.schema([(f"{number}_id", pa.int64()) for number in "abcde"])
    assert [each.label for each in shown_columns(schema, range(5), ())] == ["a_id", "b_id", "c_id"]


def test_the_user_may_choose() -> None:
    """Any columns, in any number and order."""
    assert id_columns(SCHEMA, [5, 1]) == (
        ShownColumn("seen", 5, is_id=True),
        ShownColumn("city", 1, is_id=True),
    )
