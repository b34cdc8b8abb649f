"""Files whose reads are requests to a server: what a reader will need is requested before it asks.

A reader of Parquet takes each column chunk from start to end, some hundred kilobytes at a time, and
waits meanwhile. Here each chunk is requested in large pieces, the next while the reader works on
the one before it, and neighboring small chunks in one request.
"""

from __future__ import annotations

import io
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

Span = tuple[int, int]
"""The first byte of a part of a file, and the byte after its last."""
Request = Callable[[int, memoryview], int]
"""Fills a buffer with the bytes from an offset; returns how many. It is called from any thread."""

# All columns together hold about this much that the reader has not taken yet.
_BYTES_AHEAD = 48 << 20
_SMALLEST_REQUEST_BYTES = 256 << 10
# Reading what lies between two chunks is cheaper than another request, up to this many bytes.
_GAP_BYTES = 64 << 10
# What lies between the attempts at a request; a service is back by then, or it won't be soon.
_PAUSES_SECONDS = (1.0, 3.0)
# Errors of S3 and HDFS that another attempt meets again.
_LASTING = re.compile(
    r"ACCESS_DENIED|NO_SUCH|SIGNATURE|INVALID_ACCESS_KEY|EXPIRED_TOKEN|PRECONDITION_FAILED"
    r"|HTTP status 40[0134]|[Cc]hecksum|Permission|AccessControl|No such file|not found"
)
# At most this many requests are under way, as when a row group begins.
_REQUESTS_AT_ONCE = 4


class RemoteFile(io.RawIOBase):
    """A file for reading, with requests ahead of the reader for the spans that it expects.

    Whatever is read outside of them is requested when it is asked for.
    """

    def __init__(self, request: Request, size_bytes: int, most_request_bytes: int) -> None:
        """Make a file of the function that requests its bytes.

        Args:
            request: See `Request`.
            size_bytes: The size of the file.
            most_request_bytes: How much is requested ahead at once, at most.
        """
        super().__init__()
        self._request = partial(_whole, request)
        self._size_bytes = size_bytes
        self._most_request_bytes = most_request_bytes
        self._position = 0
        self._starts: list[int] = []
        self._streams: list[_Stream] = []
        self._threads: ThreadPoolExecutor | None = None

    def expect(self, spans: Iterable[Span]) -> None:
        """Request the beginnings of spans that will each be read in order; forget earlier ones."""
        known = sorted((max(0, start), min(end, self._size_bytes)) for start, end in spans)
        known = [(start, end) for start, end in known if start < end]
        large = sum(end - start > _SMALLEST_REQUEST_BYTES for start, end in known)
        share = _BYTES_AHEAD // (2 * max(1, large))
        request_bytes = min(self._most_request_bytes, max(_SMALLEST_REQUEST_BYTES, share))
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_REQUESTS_AT_ONCE, "tf2spark-read-ahead")
        for stream in self._streams:
            stream.cancel()
        self._streams = [
            _Stream(span, request_bytes, self._request, self._threads)
            for span in merge_spans(known, request_bytes)
        ]
        self._starts = [stream.start for stream in self._streams]

    def read(self, size: int = -1, /) -> bytes | bytearray | memoryview:
        """Return the next bytes: perhaps a view, which is valid until the next call only."""
        start = self._position
        rest = max(0, self._size_bytes - start)
        size = rest if size < 0 else min(size, rest)
        if not size:
            return b""
        index = bisect_right(self._starts, start) - 1
        data = self._streams[index].read(start, size) if index >= 0 else None
        if data is None:
            buffer = bytearray(size)
            self._request(start, memoryview(buffer))
            data = buffer
        self._position += size
        return data

    def read_buffer(self, size: int = -1) -> bytes:
        """Return the next bytes, to keep: pyarrow calls this where it doesn't copy them itself."""
        return bytes(self.read(size))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}
        self._position = max(0, origin[whence] + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Drop what was read ahead. Requests that are under way are not waited for."""
        self._streams, self._starts = [], []
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
        super().close()


def merge_spans(spans: Iterable[Span], request_bytes: int) -> list[Span]:
    """Join neighbors among sorted spans while a request has room for them."""
    merged: list[Span] = []
    for start, end in spans:
        if merged:
            first, last = merged[-1]
            if start - last <= _GAP_BYTES and max(last, end) - first <= request_bytes:
                merged[-1] = (first, max(last, end))
                continue
        merged.append((start, end))
    return merged


class _Stream:
    """A span, read piece by piece: the piece that the reader is in, and the next."""

    def __init__(
        self,
        span: Span,
        request_bytes: int,
        request: Request,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.start, self._end = span
        self._request_bytes = request_bytes
        self._request, self._threads = request, threads
        # In turn, one holds the piece that the reader is in, and the other is filled. New memory
        # for each piece would cost more.
        size = min(request_bytes, self._end - self.start)
        self._buffers = [memoryview(bytearray(size)), memoryview(b"")]
        if self._end - self.start > size:
            self._buffers[1] = memoryview(bytearray(size))
        self._piece, self._piece_start = memoryview(b""), self.start
        self._next: Future[memoryview] | None = None
        self._request_next()

    def read(self, start: int, size: int) -> bytearray | memoryview | None:
        """Return bytes from a position; None if they aren't in the two pieces or the ones after."""
        if not self._piece_start <= start or start + size > self._end:
            return None
        skipped = start - self._piece_start
        if skipped + size <= len(self._piece):
            return self._piece[skipped : skipped + size]
        # A reader that leaves out more than a piece isn't reading in order.
        if skipped - len(self._piece) >= self._request_bytes:
            return None
        data, filled = bytearray(size), 0
        while filled < size:
            skipped = start + filled - self._piece_start
            if skipped >= len(self._piece):
                self._advance()
                continue
            part = self._piece[skipped : skipped + size - filled]
            data[filled : filled + len(part)] = part
            filled += len(part)
        return data

    def cancel(self) -> None:
        if self._next is not None:
            self._next.cancel()

    def _advance(self) -> None:
        assert self._next is not None
        piece = self._next.result()
        self._piece_start += len(self._piece)
        self._piece = piece
        self._request_next()

    def _request_next(self) -> None:
        start = self._piece_start + len(self._piece)
        size = min(self._request_bytes, self._end - start)
        if size <= 0:
            self._next = None
            return
        buffer, other = self._buffers
        self._buffers = [other, buffer]
        self._next = self._threads.submit(self._fill, start, buffer[:size])

    def _fill(self, start: int, buffer: memoryview) -> memoryview:
        self._request(start, buffer)
        return buffer


def _whole(request: Request, start: int, buffer: memoryview) -> int:
    """Fill a buffer, and repeat the request where a server fails, cuts its answer or restarts."""
    for pause_seconds in (*_PAUSES_SECONDS, None):
        try:
            size = request(start, buffer)
            if size == len(buffer):
                return size
            problem = OSError(
                f"it ends at byte {start + size:,}, and was longer when it was opened"
            )
        except OSError as error:
            problem = error
        if pause_seconds is None or _LASTING.search(str(problem)):
            break
        time.sleep(pause_seconds)
    raise problem
