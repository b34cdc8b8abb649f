"""A plan as a small graph, in SVG: what is computed per user, per item, and for every pair.

Lines and text take the color of the page, so that it fits a light and a dark notebook.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from tf2spark.recommend.explanation.layers import PlannedLayer
from tf2spark.shown_text import shown

_WIDTH, _BOX_WIDTH, _GAP, _LINE, _PAD = 720, 312, 24, 19, 12
_MOST_LINES, _MOST_LETTERS = 12, 40
_RIGHT = _WIDTH - _BOX_WIDTH - 1
_ON_USERS = frozenset(["user", "user_and_item", "added", "multiplied", "partly"])
_ON_ITEMS = frozenset(["item", "user_and_item", "added", "multiplied", "partly"])
_JOINED = {"added": "halves added", "multiplied": "halves multiplied", "partly": "its rest"}


def drawing(layers: Sequence[PlannedLayer]) -> str:
    """Draw the layers in three boxes: the user side, the item side, and the pair loop."""
    users = [_own_label(layer) for layer in layers if layer.computed in _ON_USERS]
    items = [_own_label(layer) for layer in layers if layer.computed in _ON_ITEMS]
    pairs = [
        *(label for layer in layers for label in _pair_labels(layer)),
        "each user's best items",
    ]
    tops = (1, _height(users) + _GAP + 1)
    height = max(tops[1] + _height(items), _height(pairs) + 2) + 1
    pair_top = (height - _height(pairs)) / 2
    parts = [
        *_box(1, tops[0], "once per user", users),
        *_box(1, tops[1], "once per item", items),
        *_box(_RIGHT, pair_top, "for every pair", pairs),
        *(
            _arrow(top + _height(lines) / 2, height / 2 + shift)
            for top, lines, shift in zip(tops, (users, items), (-8, 8), strict=True)
        ),
    ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" style="max-width: {_WIDTH}px; width: 100%" '
        'font-family="system-ui, sans-serif" font-size="13" fill="currentColor" role="img" '
        'aria-label="what is computed per user, per item, and for every pair">'
        + "".join(parts)
        + "</svg>"
    )


def _own_label(layer: PlannedLayer) -> str:
    """Name a layer in the box of a side, which may compute only its half of it."""
    is_half = layer.computed in _JOINED
    return f"{layer.label}, half" if is_half else layer.label


def _pair_labels(layer: PlannedLayer) -> Iterator[str]:
    """Yield what pairs compute of a layer: all of it, or what is left of it."""
    if layer.computed == "pair":
        yield layer.label
    elif layer.computed in _JOINED or layer.pair_ops:
        left = [*filter(None, [_JOINED.get(layer.computed)]), *layer.pair_ops]
        yield f"{layer.name}: {', '.join(left)}"


def _height(lines: Sequence[str]) -> int:
    return _LINE * (1 + max(1, min(len(lines), _MOST_LINES))) + _PAD


def _box(x: float, y: float, title: str, lines: Sequence[str]) -> Iterator[str]:
    yield (
        f'<rect x="{x:g}" y="{y:g}" width="{_BOX_WIDTH}" height="{_height(lines)}" rx="6" '
        'fill="currentColor" fill-opacity=".06" stroke="currentColor" stroke-opacity=".5"/>'
    )
    yield _text(x, y + _LINE, title, ' font-weight="600"')
    kept = list(lines) or ["nothing"]
    if len(kept) > _MOST_LINES:
        kept = [*kept[: _MOST_LINES - 1], f"and {len(kept) - _MOST_LINES + 1} more"]
    for number, line in enumerate(kept, start=2):
        yield _text(x, y + _LINE * number, line)


def _text(x: float, y: float, text: str, style: str = "") -> str:
    text = shown(text)
    short = text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
    title = "" if short == text else f"<title>{html.escape(text)}</title>"
    return f'<text x="{x + _PAD:g}" y="{y:g}"{style}>{title}{html.escape(short)}</text>'


def _arrow(y: float, end: float) -> str:
    left, tip = _BOX_WIDTH + 1, _RIGHT
    middle = (left + tip) / 2
    return (
        f'<path d="M{left:g} {y:g} C{middle:g} {y:g} {middle:g} {end:g} {tip - 7:g} {end:g}" '
        'fill="none" stroke="currentColor" stroke-opacity=".5"/>'
        f'<path d="M{tip:g} {end:g} l-8 -4 v8 z" fill-opacity=".6"/>'
    )
