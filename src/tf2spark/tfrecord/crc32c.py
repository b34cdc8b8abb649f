"""CRC-32C of many slices of a buffer at once, with NumPy.

Python's zlib has another polynomial, and a loop over bytes would be a hundred times slower than the
disk. A CRC without its initial value and final inversion is linear: that of two parts is that of
the first, advanced by the length of the second, XOR that of the second. So words of 8 bytes are
computed side by side, rows of words are joined column by column, and the CRC of a slice follows
from those of the buffer up to its start and up to its end.

Source: RFC 3720, section 12.1 (the polynomial), and TFRecord's mask in
``tensorflow/core/lib/hash/crc32c.h``.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]

_POLYNOMIAL = 0x82F63B78
_ROW_WORDS = 512
_ONES = np.uint32(0xFFFFFFFF)
_MASK_DELTA = np.uint32(0xA282EAD8)


def masked_crc32c(data: Bytes, starts: Ints, ends: Ints) -> Words:
    """Return the masked CRC-32C of slices of a buffer, as TFRecord files hold it.

    Args:
        data: The buffer.
        starts: Where each slice begins.
        ends: Where each slice ends, which is not before its start.
    """
    crc = _advance(_prefix_crcs(data, starts) ^ _ONES, ends - starts)
    crc ^= _prefix_crcs(data, ends) ^ _ONES
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + _MASK_DELTA


def masked_crc32c_of_lengths(lengths: npt.NDArray[np.uint64]) -> Words:
    """Return the masked CRC-32C of numbers as 8 bytes in little-endian order."""
    ends = np.arange(1, len(lengths) + 1, dtype=np.int64) * 8
    return masked_crc32c(np.ascontiguousarray(lengths, "<u8").view(np.uint8), ends - 8, ends)


class _Prefixes:
    """The linear CRC of a buffer up to any position."""

    def __init__(self, data: Bytes) -> None:
        count = len(data) // 8
        halves = np.frombuffer(data, "<u4", count * 2).reshape(count, 2)
        words = _shift(halves[:, 0], 8) ^ _shift(halves[:, 1], 4)
        width = min(_ROW_WORDS, 1 << max(count - 1, 0).bit_length())
        rows = -(-count // width)
        padded = np.zeros(rows * width, np.uint32)
        padded[:count] = words
        # Transposed, so that each step is over values that lie side by side.
        table = np.ascontiguousarray(padded.reshape(rows, width).T)
        for column in range(1, width):
            table[column] ^= _shift(table[column - 1], 8)
        self._data, self._table, self._width = data, table, width
        # The CRC up to the start of each row.
        self._before = np.zeros(rows + 1, np.uint32)
        crc = np.zeros(1, np.uint32)
        for row in range(rows):
            crc = _shift(crc, 8 * width) ^ table[-1, row]
            self._before[row + 1] = crc[0]

    def up_to(self, positions: Ints) -> Words:
        words, rest = np.divmod(positions, 8)
        rows, columns = np.divmod(words, self._width)
        crc = _advance(self._before[rows], columns * 8)
        inside = columns > 0
        crc[inside] ^= self._table[columns[inside] - 1, rows[inside]]
        byte_table = _tables(1)[0]
        for offset in range(int(rest.max(initial=0))):
            more = np.flatnonzero(rest > offset)
            following = self._data[words[more] * 8 + offset]
            low = (crc[more] ^ following) & np.uint32(0xFF)
            crc[more] = byte_table[low] ^ (crc[more] >> np.uint32(8))
        return crc


def _prefix_crcs(data: Bytes, positions: Ints) -> Words:
    return _prefixes(data).up_to(positions)


_last: tuple[Bytes, _Prefixes] | None = None


def _prefixes(data: Bytes) -> _Prefixes:
    """Return the prefixes of a buffer; those of the last one are kept for its slices' ends."""
    global _last
    if _last is None or _last[0] is not data:
        _last = data, _Prefixes(data)
    return _last[1]


def _advance(crc: Words, counts: Ints) -> Words:
    """Advance each CRC by its own number of zero bytes."""
    crc = crc.copy()
    for bit in range(int(counts.max(initial=0)).bit_length()):
        longer = np.flatnonzero(counts & (1 << bit))
        if len(longer):
            crc[longer] = _shift(crc[longer], 1 << bit)
    return crc


def _shift(crc: npt.NDArray[np.uint32], count: int) -> Words:
    """Advance CRCs by a number of zero bytes, which is a power of two."""
    low, high = _tables(count)
    halves = np.ascontiguousarray(crc).view("<u2")
    shifted: Words = low.take(halves[::2], mode="wrap")
    shifted ^= high.take(halves[1::2], mode="wrap")
    return shifted


@functools.cache
def _tables(count: int) -> tuple[Words, Words]:
    """Return what advancing by zero bytes makes of the lower and of the upper half of a CRC."""
    units = np.uint32(1) << np.arange(32, dtype=np.uint32)
    if count == 1:
        for _ in range(8):
            units = (units >> np.uint32(1)) ^ (units & np.uint32(1)) * np.uint32(_POLYNOMIAL)
    else:
        units = _shift(_shift(units, count // 2), count // 2)
    return _combinations(units[:16]), _combinations(units[16:])


def _combinations(units: Words) -> Words:
    table = np.zeros(1 << len(units), np.uint32)
    for bit, unit in enumerate(units):
        table[1 << bit : 2 << bit] = table[: 1 << bit] ^ unit
    return table
