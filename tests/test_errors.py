"""Messages that quote a value or another error."""

from __future__ import annotations

import pytest

from tf2spark.errors import first_line, shortened


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        ("abc", 60, "'abc'"),
        ("x" * 58, 60, "'" + "x" * 58 + "'"),
        ("x" * 59, 60, "'" + "x" * 56 + "..."),
        ([1.0] * 99, 20, "[1.0, 1.0, 1.0, 1..."),
    ],
)
def test_shortened_is_the_repr_up_to_the_limit(value: object, limit: int, text: str) -> None:
    """A repr that fits is left alone; a longer one ends in dots and is exactly as long."""
    assert shortened(value, limit) == text
    assert len(text) <= limit


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("one", "one"),
        ("\n\n  first  \nsecond", "first"),
        ("a\r\nb", "a"),
        ("", "no message"),
        (" \n ", "no message"),
    ],
)
def test_first_line_is_the_first_with_text(message: str, line: str) -> None:
    """Blank lines are skipped, and an error without a message says so."""
    assert first_line(ValueError(message)) == line
