"""What bfloat16 would bring to layers that run per pair, and what a certified scan would leave.

Run as ``python -m benchmarks.coarse_layers``. It prints JSON: nanoseconds a pair on one core of the
layers behind two halves that are added, in float32, in bfloat16, and with only the layers in
bfloat16; and which share of the items a bound by the layers' spectral norms leaves to be scored in
float32. The layers are those of `recommend-deepfm`, with Glorot's random weights.
"""

from __future__ import annotations

import json
import statistics
import time
from itertools import pairwise
from typing import Any

import numpy as np
from attrs import asdict, frozen

from benchmarks.gemm_floor import pin_to_one_core
from benchmarks.own_process import run_module

WIDTHS = (256, 128, 64, 1)
USERS, ITEMS, K = 64, 5000, 10
_BLOCK = (32, 256)
_RUNS = 40


@frozen
class CoarseLayers:
    """See the module; `bound` and `seen` are errors of scores, `spread` their deviation."""

    float32_ns: float
    bfloat16_ns: float
    mixed_ns: float
    share_left: float
    bound: float
    seen: float
    spread: float


def time_layers() -> CoarseLayers:
    """Run this module in a process of its own."""
    return CoarseLayers(**run_module("benchmarks.coarse_layers", action="timing layers"))


def main() -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    weights = [_glorot(random, *shape) for shape in pairwise(WIDTHS)]
    halves = [random.standard_normal((rows, WIDTHS[0])).astype(np.float32) for rows in _BLOCK]
    nanoseconds = [
        _nanoseconds(tf, weights, halves, *dtypes)
        for dtypes in (
            (tf.float32, tf.float32),
            (tf.bfloat16, tf.bfloat16),
            (tf.float32, tf.bfloat16),
        )
    ]
    users, items = (
        random.standard_normal((rows, WIDTHS[0])).astype(np.float32) for rows in (USERS, ITEMS)
    )
    errors = np.mean([_errors(tf, weights, user + items) for user in users], axis=0)
    print(json.dumps(asdict(CoarseLayers(*nanoseconds, *errors.tolist()))))


def _glorot(random: np.random.Generator, inputs: int, units: int) -> Any:
    limit = np.sqrt(6 / (inputs + units))
    return random.uniform(-limit, limit, (inputs, units)).astype(np.float32)


def _nanoseconds(tf: Any, weights: list[Any], halves: list[Any], sums: Any, layers: Any) -> float:
    """Time the sum of two halves in one dtype, and the layers behind it in another."""
    graph = tf.Graph()
    with graph.as_default():
        fed = [tf.compat.v1.placeholder(sums, half.shape) for half in halves]
        rows = tf.nn.relu(tf.reshape(fed[0][:, None] + fed[1], (-1, WIDTHS[0])))
        rows = tf.cast(rows, layers)
        for layer, kernel in enumerate(weights):
            rows = tf.nn.relu(rows) if layer else rows
            bias = tf.zeros(kernel.shape[1], layers)
            rows = tf.nn.bias_add(tf.matmul(rows, tf.constant(kernel, layers)), bias)
    run = tf.compat.v1.Session(graph=graph).make_callable(rows, fed)
    feeds = [half.astype(sums.as_numpy_dtype) for half in halves]
    seconds = []
    for _ in range(_RUNS):
        before = time.process_time()
        run(*feeds)
        seconds.append(time.process_time() - before)
    return statistics.median(seconds) / (_BLOCK[0] * _BLOCK[1]) * 1e9


def _errors(tf: Any, weights: list[Any], sums: Any) -> tuple[float, float, float, float]:
    """Return the share of items that a bound leaves, the bound, the largest error, the spread.

    A layer makes an error e of rows h at most |W| e + |W - Ŵ| |ĥ|, with spectral norms of matrices;
    ReLU makes none larger. Rounding the result adds to it.
    """

    def rounded(values: Any) -> Any:
        return values.astype(tf.bfloat16.as_numpy_dtype).astype(np.float32)

    exact = np.maximum(sums, 0)
    coarse = rounded(exact)
    bounds = np.linalg.norm(exact - coarse, axis=1)
    for layer, kernel in enumerate(weights):
        norms = [np.linalg.norm(matrix, 2) for matrix in (kernel, kernel - rounded(kernel))]
        bounds = norms[0] * bounds + norms[1] * np.linalg.norm(coarse, axis=1)
        exact, product = exact @ kernel, coarse @ rounded(kernel)
        if layer < len(weights) - 1:
            exact, product = np.maximum(exact, 0), np.maximum(product, 0)
        coarse = rounded(product)
        bounds += np.linalg.norm(product - coarse, axis=1)
    scores, scanned = exact[:, 0], coarse[:, 0]
    left = np.mean(scanned + bounds >= np.sort(scores)[-K])
    seen = np.abs(scores - scanned).max()
    return float(left), float(np.median(bounds)), float(seen), float(scores.std())


if __name__ == "__main__":
    pin_to_one_core()
    main()
