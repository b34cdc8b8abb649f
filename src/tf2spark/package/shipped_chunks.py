"""Files that came with the job in pieces, read as one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO


class _Joined(io.RawIOBase):
    """A stream over pieces, which are made one at a time."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def joined(readers: Iterable[Callable[[], bytes]]) -> BinaryIO:
    """Return a stream over what the readers return; each is called when it is needed."""
    return io.BufferedReader(_Joined(read() for read in readers), 1 << 20)
