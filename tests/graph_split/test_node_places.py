"""Where a value of a form is computed."""

from __future__ import annotations

import numpy as np
import pytest

from tf2spark.dtypes import FLOAT32
from tf2spark.graph_split.forms import Concat, Const, Pair, Product, Side, Sum, Value
from tf2spark.graph_split.node_places import place_of, places_of_nodes

USER, ITEM = Side("user", "u:0", FLOAT32, (4,)), Side("item", "i:0", FLOAT32, (4,))
PAIR = Pair("p:0", FLOAT32, (4,))
BIAS = Const("c:0", FLOAT32, (4,), lambda: np.zeros(4, np.float32))


def added(*terms: Value) -> Sum:
    return Sum(terms, FLOAT32, (4,))


@pytest.mark.parametrize(
    ("form", "place"),
    [
        (USER, "user"),
        (PAIR, "pair"),
        (added(USER, BIAS), "user"),
        (added(USER, ITEM, BIAS), "added"),
        (added(USER, PAIR), "partly"),
        (added(PAIR, BIAS), "pair"),
        (Concat(1, (USER, ITEM), FLOAT32, (8,)), "beside"),
        (Product(USER, ITEM, FLOAT32, (4,)), "multiplied"),
        (added(USER, Product(USER, ITEM, FLOAT32, (4,))), "multiplied"),
    ],
)
def test_a_form_says_where_it_is_computed(form: Value, place: str) -> None:
    """On a side, on both, for pairs, or in parts; constants don't count."""
    assert place_of(form) == place


def test_nodes_of_one_side_need_no_form() -> None:
    """What no rule describes stays on its side; what depends on no side is left out."""
    sides = {"a": frozenset(["user"]), "b": frozenset(["user", "item"])}
    both = {key: frozenset(value) for key, value in sides.items()}
    assert places_of_nodes(both, {"b:0": PAIR, "c:0": BIAS}) == {"a": "user", "b": "pair"}  # type: ignore[arg-type]
