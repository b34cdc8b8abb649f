"""Where a split graph computes what a node of the original computes: on a side, or for pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tf2spark.graph_split.dependence import Sides
from tf2spark.graph_split.forms import (
    ChannelRows,
    Concat,
    Const,
    OneSided,
    Product,
    Side,
    StackedRows,
    Sum,
    Value,
)

Place = Literal["user", "item", "beside", "added", "multiplied", "partly", "pair"]
"""On one side; on both sides, whose results stand side by side, are added or are multiplied; in
part on the sides, the rest for every pair; or all of it for every pair."""


def places_of_nodes(sides: Mapping[str, Sides], forms: Mapping[str, Value]) -> dict[str, Place]:
    """Return where the first result of each node is computed; constants are left out.

    Args:
        sides: The sides that each node depends on.
        forms: The forms of the tensors that were visited.
    """
    places: dict[str, Place] = {}
    for node, of_node in sides.items():
        if len(of_node) == 1:
            (places[node],) = of_node
        elif (form := forms.get(f"{node}:0")) is not None:
            places[node] = place_of(form)
    return places


def place_of(form: Value) -> Place:
    """Return where a value of this form is computed."""
    match form:
        case Side() | OneSided():
            return form.side
        case StackedRows() | ChannelRows():
            return place_of(form.inner)
        case Concat(parts=members):
            return _joint_place("beside", members)
        case Sum(terms=members):
            return _joint_place("added", members)
        case Product():
            return _joint_place("multiplied", (form.left, form.right))
        case _:
            return "pair"


def _joint_place(joined: Place, members: tuple[Value, ...]) -> Place:
    places = {place_of(member) for member in members if not isinstance(member, Const)}
    if len(places) == 1:
        return places.pop()
    if places & {"pair", "partly"}:
        return "partly"
    return "multiplied" if "multiplied" in places else joined
