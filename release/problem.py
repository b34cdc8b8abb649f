"""What a check raises."""

from __future__ import annotations


class Problem(Exception):
    """A release can't be made; the message says what to change."""
