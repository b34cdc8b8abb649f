"""How often texts occur, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MAX_LENGTH = 200


class ValueCounts:
    """How often each text occurs; exact while there are few different ones.

    With more than `max_values`, the rarest half is forgotten, and so is how often they occurred.

    Attributes:
        is_exact: Nothing was forgotten.
    """

    def __init__(self, max_values: int = 20_000) -> None:
        self.is_exact = True
        self._max_values = max_values
        self._counts: Counter[str] = Counter()

    def add(self, counts: Iterable[tuple[str, int]]) -> None:
        """Add texts, of which only the first characters count."""
        for text, count in counts:
            self._counts[text[:MAX_LENGTH]] += count
        if len(self._counts) > self._max_values:
            self._counts = Counter(dict(self._counts.most_common(self._max_values // 2)))
            self.is_exact = False

    def merge(self, other: ValueCounts) -> None:
        self.add(other._counts.items())
        self.is_exact = self.is_exact and other.is_exact

    @property
    def distinct(self) -> int | None:
        """The number of different texts; None if it isn't known."""
        return len(self._counts) if self.is_exact else None

    def most_common(self, count: int) -> list[tuple[str, int]]:
        """Return the most frequent texts; of those that are equally frequent, the first by name."""
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:count]

    def frequencies(self) -> list[int]:
        """Return how often each text occurs, the most frequent first."""
        return sorted(self._counts.values(), reverse=True)
