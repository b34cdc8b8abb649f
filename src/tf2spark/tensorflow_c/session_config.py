"""The options of a session, written as the protobuf bytes that TensorFlow reads.

By hand, so that a worker doesn't import protobuf for 30 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tf2spark.tensorflow_c import library


def config(threads: int) -> bytes:
    """Write the ``ConfigProto`` of a session that may use this many threads.

    Field numbers from ``tensorflow/core/protobuf/config.proto``.
    """
    # One thread: the calling one runs the graph itself (-1), which saves 30 us a run. More: a pool
    # of the session's own (use_per_session_threads), or the first session's size would hold for
    # all. The pool within ops is one a process in any case, sized by its first session.
    between_ops = -1 if threads == 1 else threads
    experimental = _varint(12, 1) + _varint(14, 1)  # optimize_for_static_graph, disable_output_
    return b"".join(  # partition_graphs: don't keep two copies of the graph for who might ask
        (
            _varint(2, threads),
            _varint(5, between_ops),
            _bytes(6, _varint(4, 1)),  # gpu_options.allow_growth: workers share a GPU
            _varint(7, 1),  # allow_soft_placement: a graph saved on a GPU runs on a CPU
            _varint(9, int(threads > 1)),
            _bytes(16, experimental),
        )
    )


def _varint(field: int, value: int) -> bytes:
    return _base128(field << 3) + _base128(value % (1 << 64))


def _bytes(field: int, value: bytes) -> bytes:
    return _base128(field << 3 | 2) + _base128(len(value)) + value


def _base128(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _base128(rest) if rest else bytes([low])


@contextmanager
def session_options(threads: int) -> Iterator[int]:
    """Give ``TF_SessionOptions`` for this many threads."""
    lib = library.library()
    options: int = lib.TF_NewSessionOptions()
    try:
        content = config(threads)
        with library.status() as state:
            lib.TF_SetConfig(options, content, len(content), state)
        yield options
    finally:
        lib.TF_DeleteSessionOptions(options)
