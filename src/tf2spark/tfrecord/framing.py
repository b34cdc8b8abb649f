"""Records in a TFRecord file: read in blocks, and written batch by batch.

Each record is its length (8 bytes), the checksum of the length, its bytes and their checksum (4
bytes each), all in little-endian order; see ``tensorflow/core/lib/io/record_writer.h``. A file may
be compressed as a whole, by gzip or zlib.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Literal

import numpy as np
import pyarrow as pa

from tf2spark.conversion.tf_example.wire_format import joined, slices
from tf2spark.errors import ContractError, StorageError
from tf2spark.tfrecord.crc32c import masked_crc32c, masked_crc32c_of_lengths

Compression = Literal["none", "gzip", "zlib"]

_BLOCK_BYTES = 8 << 20
_HEADER, _FOOTER = 12, 4
_MAX_RECORD = 2**31 - _BLOCK_BYTES
_LENGTH = struct.Struct("<Q")
_ENDINGS: dict[str, Compression] = {".gz": "gzip", ".gzip": "gzip", ".zlib": "zlib"}
# As Hadoop's codecs and TensorFlow's options are written.
_NAMES: dict[str, Compression] = {
    "": "none",
    "none": "none",
    "uncompressed": "none",
    "gzip": "gzip",
    "zlib": "zlib",
    "deflate": "zlib",
}


def compression_of(name: str | None, path: str = "") -> Compression:
    """Return how a file is compressed: as an option says, or by the ending of its path.

    Raises:
        ContractError: The option is none of "gzip", "zlib" and "none".
    """
    if name is not None:
        short = name.rpartition(".")[2].lower().removesuffix("codec")
        if short not in _NAMES:
            raise ContractError(
                f'TFRecord files are compressed by "gzip", "zlib" or "none", not "{name}"'
            )
        return _NAMES[short]
    return next(
        (kind for ending, kind in _ENDINGS.items() if path.lower().endswith(ending)), "none"
    )


def read_records(file: BinaryIO, path: str, compression: Compression) -> Iterator[pa.Array]:
    """Yield the records of a file as arrays of binary, some megabytes each.

    Raises:
        StorageError: A checksum is wrong, the file ends within a record, or it isn't compressed as
            it should be. The message has the path and the offset (after decompression).
    """
    stream = _decompressed(file, compression)
    block, offset, at_end = b"", 0, False
    while not at_end:
        more = _read(stream, path, compression, offset + len(block), max(_BLOCK_BYTES, len(block)))
        at_end = not more
        block += more
        starts, lengths, used = _locate(block)
        if len(starts):
            data = np.frombuffer(block, np.uint8, used)
            _check(data, starts, lengths, path, offset)
            yield _payloads(data, starts, lengths)
        block = block[used:]
        offset += used
        _check_next(block, path, offset)
    if block:
        raise StorageError(
            f"{path} ends within the record at byte {offset:,}: the file was cut off, or it isn't "
            "a TFRecord file"
        )


def _decompressed(file: BinaryIO, compression: Compression) -> Any:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=file)
    return _ZlibReader(file) if compression == "zlib" else file


class _ZlibReader:
    """Reads what zlib has compressed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate = file, zlib.decompressobj()

    def read(self, size: int) -> bytes:
        data = b""
        while not data and not self._inflate.eof:
            compressed = self._inflate.unconsumed_tail or self._file.read(_BLOCK_BYTES)
            if not compressed:
                raise EOFError("the compressed data ends early")
            data = self._inflate.decompress(compressed, size)
        return data


def _read(stream: Any, path: str, compression: Compression, offset: int, size: int) -> bytes:
    try:
        return bytes(stream.read(size))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StorageError(
            f"{path} can't be decompressed ({compression}) after byte {offset:,}: {error}",
            'if it isn\'t compressed in that way, pass option("compression", "none")',
        ) from None


def _locate(block: bytes) -> tuple[Any, Any, int]:
    """Return where whole records begin, their lengths, and where the last one ends."""
    starts: list[int] = []
    lengths: list[int] = []
    position, end, unpack = 0, len(block), _LENGTH.unpack_from
    while position + _HEADER <= end:
        (length,) = unpack(block, position)
        following = position + _HEADER + length + _FOOTER
        if following > end:
            break
        starts.append(position)
        lengths.append(length)
        position = following
    return np.array(starts, np.int64), np.array(lengths, np.int64), position


def _check(data: Any, starts: Any, lengths: Any, path: str, offset: int) -> None:
    begins = starts + _HEADER
    ends = begins + lengths
    expected = masked_crc32c_of_lengths(lengths.astype(np.uint64))
    for what, got, wanted in (
        ("length", _numbers_at(data, starts + 8), expected),
        ("data", _numbers_at(data, ends), masked_crc32c(data, begins, ends)),
    ):
        wrong = np.flatnonzero(got != wanted)
        if len(wrong):
            raise _damaged(path, offset + int(starts[wrong[0]]), what)


def _check_next(block: bytes, path: str, offset: int) -> None:
    """Check the length of a record that isn't whole yet, before as much is read."""
    if len(block) < _HEADER:
        return
    length, crc = struct.unpack_from("<QI", block)
    if crc != masked_crc32c_of_lengths(np.array([length], np.uint64))[0]:
        raise _damaged(path, offset, "length")
    if length > _MAX_RECORD:
        raise StorageError(
            f"the record at byte {offset:,} of {path} has {length:,} bytes: a column holds at most "
            f"{_MAX_RECORD:,}"
        )


def _damaged(path: str, offset: int, what: str) -> StorageError:
    return StorageError(
        f"the record at byte {offset:,} of {path} has a wrong checksum of its {what}: the file is "
        "damaged, compressed in another way, or not a TFRecord file"
    )


def _numbers_at(data: Any, positions: Any) -> Any:
    """Return the numbers of 4 bytes at some positions."""
    return data[positions[:, None] + np.arange(4)].view("<u4").reshape(-1)


def _payloads(data: Any, starts: Any, lengths: Any) -> pa.Array:
    """Return the bytes of each record, without what is around them."""
    # Every other slice is a payload; those between are footers and headers.
    offsets = np.empty(2 * len(starts) + 1, np.int64)
    offsets[0] = 0
    offsets[1::2] = starts + _HEADER
    offsets[2::2] = starts + _HEADER + lengths
    slices = pa.Array.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return slices.take(pa.array(np.arange(1, len(offsets) - 1, 2))).cast(pa.binary())


class RecordWriter:
    """Writes records to an open file, which it doesn't close."""

    def __init__(self, file: Any, compression: Compression) -> None:
        self._file = file
        self._deflate: Any = None
        if compression != "none":
            bits = 16 + zlib.MAX_WBITS if compression == "gzip" else zlib.MAX_WBITS
            self._deflate = zlib.compressobj(wbits=bits)

    def write(self, records: pa.Array) -> None:
        """Write an array of binary or large binary without nulls."""
        if len(records):
            framed = _framed(records.cast(pa.large_binary()))
            self._file.write(self._deflate.compress(framed) if self._deflate else framed)

    def finish(self) -> None:
        """Write what compression has kept back."""
        if self._deflate:
            self._file.write(self._deflate.flush())


def _framed(records: pa.Array) -> Any:
    """Return the bytes of a file with these records."""
    _, offset_buffer, values = records.buffers()
    count = len(records)
    offsets = np.frombuffer(offset_buffer, np.int64, count + 1, records.offset * 8)
    lengths = np.diff(offsets)
    data = np.frombuffer(values, np.uint8) if values is not None else np.zeros(0, np.uint8)
    headers = np.empty(count, np.dtype([("length", "<u8"), ("crc", "<u4")]))
    headers["length"] = lengths
    headers["crc"] = masked_crc32c_of_lengths(lengths.astype(np.uint64))
    footers = masked_crc32c(data, offsets[:-1], offsets[1:]).astype("<u4")
    rows = np.arange(count + 1)
    framed = joined(
        [
            slices(headers.view(np.uint8), rows * _HEADER),
            records,
            slices(footers.view(np.uint8), rows * _FOOTER),
        ],
        count,
    )
    # Without what the buffer may have beyond the last record.
    return framed.buffers()[2].slice(0, int(lengths.sum()) + count * (_HEADER + _FOOTER))
