"""`package.shipped_chunks`: pieces as one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tf2spark.package.shipped_chunks import joined


@pytest.mark.parametrize("pieces", [[], [b""], [b"abc"], [b"ab", b"", b"cdefg", b"h"]])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_pieces_are_read_as_one(pieces: list[bytes], size: int) -> None:
    """Whatever the reader asks for, and wherever pieces end."""
    stream = joined([lambda piece=piece: piece for piece in pieces])  # type: ignore[misc]
    read = b"".join(iter(lambda: stream.read(size), b""))
    assert read == b"".join(pieces)


def test_a_piece_is_made_when_it_is_needed() -> None:
    """So that only one is in memory."""
    made = []

    def readers() -> Iterator[Callable[[], bytes]]:
        for number in range(3):
            made.append(number)
            yield lambda: bytes(2 << 20)

    stream = joined(readers())
    assert len(stream.read(1 << 20)) == 1 << 20
    assert made == [0]
