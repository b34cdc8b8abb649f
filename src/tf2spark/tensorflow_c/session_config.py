"""The options of a session, written as the protobuf bytes that TensorFlow reads.

They are written by hand, so that a worker doesn't import protobuf for 30 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tf2spark.tensorflow_c.library import status, tensorflow
from tf2spark.tensorflow_c.process import visible_gpus


def config(
    threads: int, gpus: str = "", *, divides_ops: bool = False, optimizes: bool = True
) -> bytes:
    """Write the ``ConfigProto`` of a session that may use this many threads.

    Field numbers from ``tensorflow/core/protobuf/config.proto``.

    Args:
        threads: CPUs that the session may use.
        gpus: The GPUs that it may use, as numbers with commas; "" for all of them.
        divides_ops: Each op uses several CPUs.
        optimizes: TensorFlow optimizes the graph for each pair of feeds and fetches, which a few
            runs don't repay.
    """
    # With one thread, the calling thread runs the graph itself (-1), which saves 30 us a run. With
    # more, the session has a pool of its own (use_per_session_threads): otherwise the size of the
    # first session's pool would apply to all. For the pool within ops, an environment variable does
    # the same (`library._load`).
    # Ops that each use all threads follow each other: see `saved_model.op_notes`.
    between_ops = -1 if threads == 1 else threads // 2 if divides_ops else threads
    # optimize_for_static_graph, disable_output_partition_graphs: TensorFlow would otherwise keep
    # two more copies of the graph, for callers that extend it or inspect it.
    experimental = _varint(12, 1) + _varint(14, 1)
    # arithmetic_optimization, aggressive: TensorFlow's optimizer then relies on the shapes of
    # placeholders, as it relies on those of arguments in TensorFlow 2's functions. Without them it
    # finds fewer sums and products to merge. Constant folding must not be aggressive: it would take
    # the value of a constant that is fed for known.
    rewrites = _varint(7, 3) if optimizes else _varint(19, 1)  # disable_meta_optimizer
    return b"".join(
        (
            _varint(2, threads),
            _varint(5, between_ops),
            _bytes(6, _gpu_options(gpus)),
            _varint(7, 1),  # allow_soft_placement: a graph saved on a GPU runs on a CPU
            _varint(9, int(threads > 1)),
            _bytes(10, _bytes(10, rewrites)),  # graph_options.rewrite_options
            _bytes(16, experimental),
        )
    )


def _gpu_options(gpus: str) -> bytes:
    # allow_growth: workers share a GPU, and the first one would otherwise take all of its memory.
    return _varint(4, 1) + (_bytes(5, gpus.encode()) if gpus else b"")  # visible_device_list


def _varint(field: int, value: int) -> bytes:
    return _base128(field << 3) + _base128(value % (1 << 64))


def _bytes(field: int, value: bytes) -> bytes:
    return _base128(field << 3 | 2) + _base128(len(value)) + value


def _base128(value: int) -> bytes:
    # Seven bits a byte, the lowest first; the eighth bit says that another byte follows.
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _base128(rest) if rest else bytes([low])


@contextmanager
def session_options(
    threads: int, divides_ops: bool = False, optimizes: bool = True
) -> Iterator[int]:
    """Lend ``TF_SessionOptions`` for this many threads and this process's GPUs."""
    lib = tensorflow()
    options: int = lib.TF_NewSessionOptions()
    try:
        content = config(threads, visible_gpus(), divides_ops=divides_ops, optimizes=optimizes)
        with status() as state:
            lib.TF_SetConfig(options, content, len(content), state)
        yield options
    finally:
        lib.TF_DeleteSessionOptions(options)
