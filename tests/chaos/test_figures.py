"""docs/reliability.md has the figures of the last `make chaos`."""

from __future__ import annotations

from pathlib import Path

from chaos.figures import filled

_PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def test_the_page_has_the_figures() -> None:
    """As the last run has written them."""
    text = _PAGE.read_text()
    assert filled(text) == text, "run `PYTHONPATH=tests python -m chaos.figures`"
