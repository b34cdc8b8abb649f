"""The drawing of a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from cases.html_page import Page
from services.browser import look_at, why_missing
from tf2spark.recommend.explanation.drawing import drawing
from tf2spark.recommend.explanation.layers import Computed, PlannedLayer


def layer(name: str, computed: Computed, *pair_ops: str) -> PlannedLayer:
    return PlannedLayer(name, "MatMul", 8, 4, computed, pair_ops, 64)


LAYERS = [
    layer("u", "user"),
    layer("i", "item"),
    layer("both", "user_and_item"),
    layer("wide", "added", "Relu"),
    layer("cross", "partly"),
    layer("top", "pair"),
]


def test_each_layer_stands_where_it_is_computed() -> None:
    """A layer that is added stands on both sides, and for pairs with what is left of it."""
    text = " ".join(Page(drawing(LAYERS)).text.split())
    users, _, rest = text.removeprefix("once per user ").partition(" once per item ")
    items, _, pairs = rest.partition(" for every pair ")
    shared = "both (8 -> 4) wide (8 -> 4), half cross (8 -> 4), half"
    assert users == f"u (8 -> 4) {shared}"
    assert items == f"i (8 -> 4) {shared}"
    assert pairs == "wide: halves added, Relu cross: its rest top (8 -> 4) each user's best items"


def test_many_layers_and_long_names_are_cut() -> None:
    """The number of those left out is said, and a long name is there to point at."""
    text = Page(drawing([layer(f"{'x' * 60}{n}", "user") for n in range(30)])).text
    assert "and 19 more" in text
    assert f"{'x' * 39}\N{HORIZONTAL ELLIPSIS}" in text
    assert f"{'x' * 60}7 (8 -> 4)" in text


def test_a_side_without_layers_has_a_box() -> None:
    """As in a matrix factorization without biases, whose items are read as they are."""
    assert "once per item nothing" in " ".join(Page(drawing(LAYERS[:1])).text.split())


@pytest.mark.skipif(bool(why_missing()), reason="no browser")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it(tmp_path: Path, scheme: str) -> None:
    """No text reaches beyond the drawing, nothing is fetched, and no script runs."""
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{drawing(LAYERS)}")
    seen = look_at(page, 900, scheme, tmp_path / "page.png")
    assert (seen["overflowing"], seen["scripts"], seen["console"]) == ([], 0, [])
    assert seen["requests"] == [page.as_uri()]
    assert seen["scroll_width"] <= seen["width"]
