"""Verification: the compiled model and the original are run on the same inputs and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf2spark.compile.build import Built
from tf2spark.compile.original import NotCompilable, Original, fault_of, reason
from tf2spark.compile.verification.examples import generated_texts
from tf2spark.compile.verification.inputs import Feeds, generate_feeds, row_count, warmup_feeds
from tf2spark.dtypes import STRING, from_code
from tf2spark.errors import ModelError
from tf2spark.package.manifest import Verified
from tf2spark.saved_model.contract import Signature
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.mapped_files import mapped_tensor
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.strings import views_of
from tf2spark.tensorflow_c.tensor import Strings, Tensor

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-5
"""How much an output may differ: by this much, or this much times its size, whichever is more.

Constants folded ahead of time are rounded where TensorFlow would round later, or not at all.
"""


def verify(
    original: Original,
    signature: Signature,
    built: Built,
    compiled: Path,
    tags: tuple[str, ...],
    feeds: Sequence[Feeds],
    kind: str,
    tolerance: float,
    *,
    constants: Mapping[str, Any],
    random_op: str | None = None,
) -> Verified:
    """Run both models on the same inputs and compare all outputs.

    Args:
        original: The model as TensorFlow loaded it.
        signature: The inputs and outputs, without the inputs that became constants.
        built: The compiled model.
        compiled: Its folder.
        tags: Its tags.
        feeds: The inputs of each run.
        kind: Where the inputs are from; see `Verified`.
        tolerance: See `TOLERANCE`.
        constants: The values of the inputs that became constants; the original is fed these too.
        random_op: An op of the model that draws random numbers, if it has one.

    Raises:
        NotCompilable: The original's outputs change from run to run.
        ModelError: The outputs differ by more than the tolerance; the message says where. Or the
            original refuses the inputs.
    """
    fetches = [name for spec in signature.outputs for name in spec.tensors]
    names = [spec.name for spec in signature.outputs for _ in spec.tensors]
    compiled_names = _compiled_names(signature, built.signature)
    largest = dict.fromkeys(names, 0.0)
    with _open_compiled(compiled, built, tags) as run:
        for run_feeds in feeds:
            expected = _run_original(original, fetches, {**constants, **run_feeds}, kind)
            _refuse_random(names, expected, original.run(fetches, {**constants, **run_feeds}))
            actual = run({compiled_names[name]: value for name, value in run_feeds.items()})
            for name, old, new in zip(names, expected, actual, strict=True):
                difference = _compare(name, old, new, tolerance, random_op)
                largest[name] = max(largest[name], difference)
    return Verified(kind, row_count(feeds), tuple(sorted(largest.items())), tolerance)


def _run_original(
    original: Original, fetches: list[str], feeds: Mapping[str, Any], kind: str
) -> list[Array]:
    try:
        return original.run(fetches, feeds)
    except tf.errors.OpError as error:
        raise fault_of(error) or ModelError(
            f"TensorFlow refuses the {kind}: {reason(error)}"
        ) from None


def find_inputs(
    original: Original,
    signature: Signature,
    folder: Path,
    name: str,
    constants: Mapping[str, Any],
) -> tuple[list[Feeds], str]:
    """Return inputs that the original accepts, and where they are from.

    Raises:
        NoInputs: TensorFlow refuses all inputs that could be made.
    """
    fetches = [tensor for spec in signature.outputs for tensor in spec.tensors]
    if requests := warmup_feeds(folder, signature, name):
        return requests, "warmup requests"
    first_refusal = ""
    texts = generated_texts(original.meta_graph.graph_def, signature)
    for feeds in generate_feeds(signature, texts):
        try:
            for run_feeds in feeds:
                original.run(fetches, {**constants, **run_feeds})
        except (tf.errors.OpError, ValueError) as error:
            if fault := fault_of(error):
                raise NoInputs(str(fault)) from error
            first_refusal = first_refusal or reason(error)
            continue
        return feeds, "generated from the contract"
    refused = f"TensorFlow refuses inputs generated from the contract ({first_refusal})"
    raise NoInputs(f"{refused}; pass rows with sample=")


class NoInputs(Exception):
    """There are no inputs to run the models on; the message says why."""


def _compiled_names(signature: Signature, compiled: Signature) -> dict[str, str]:
    """Return the compiled model's name of each input tensor."""
    specs = zip(signature.inputs, compiled.inputs, strict=True)
    return {
        old: new
        for original_spec, compiled_spec in specs
        for old, new in zip(original_spec.tensors, compiled_spec.tensors, strict=True)
    }


@contextmanager
def _open_compiled(
    folder: Path, built: Built, tags: tuple[str, ...]
) -> Iterator[Callable[[Mapping[str, Any]], list[Array]]]:
    """Yield a function that runs the compiled model as workers do, through TensorFlow's C API."""
    session = open_session(str(folder), tags, threads=1)
    signature = built.signature
    for weight in built.weights:
        session.feed_always(weight.tensor, mapped_tensor(weight, folder))
    names = [name for spec in signature.inputs for name in spec.tensors]
    run = session.prepare(names, [name for spec in signature.outputs for name in spec.tensors])

    def run_on(feeds: Mapping[str, Any]) -> list[Array]:
        try:
            outputs = run([_as_tensor(feeds[name]) for name in names])
            return list(map(_as_array, outputs))
        except TensorFlowFailure as failure:
            raise ModelError(
                f"the compiled model refuses inputs that the original accepts: {failure.message}"
            ) from failure

    try:
        yield run_on
    finally:
        session.close()


def _as_tensor(value: Array) -> Tensor:
    value = np.asarray(value, order="C")
    if value.dtype == object:
        views, owner = views_of(value.reshape(-1).tolist())
        return Tensor(STRING, value.shape, views, owner)
    dtype = from_code(tf.as_dtype(value.dtype).as_datatype_enum)
    return Tensor(dtype, value.shape, value)


def _as_array(output: Tensor | Strings) -> Array:
    if isinstance(output, Tensor):
        dtype = tf.as_dtype(output.dtype.code).as_numpy_dtype
        return np.asarray(output.data.view(dtype).reshape(output.shape))
    data, offsets = output.data.tobytes(), output.offsets.tolist()
    texts = [data[start:end] for start, end in pairwise(offsets)]
    flat = np.empty(len(texts), object)
    flat[:] = texts
    return flat.reshape(output.shape)


def _refuse_random(names: Sequence[str], first: list[Array], second: list[Array]) -> None:
    for name, output, again in zip(names, first, second, strict=True):
        if not _identical(output, again):
            raise NotCompilable(
                f'its output "{name}" changes from run to run, so nothing can be verified'
            )


def _compare(
    name: str, expected: Array, actual: Array, tolerance: float, random_op: str | None
) -> float:
    try:
        return _difference(name, expected, actual, tolerance)
    except ModelError as error:
        if random_op is None:
            raise
        # With a fixed seed, two runs of one model agree, but runs of two models don't.
        raise NotCompilable(
            f'its output "{name}" depends on random numbers ({random_op}), so nothing can be '
            "verified; if an input turns them off (keep_prob, is_training), feed it a constant"
        ) from error


def _identical(first: Array, second: Array) -> bool:
    """Return whether two outputs have the same bits, so that NaN equals NaN."""
    if first.dtype == object:
        return bool(np.array_equal(first, second))
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def _difference(name: str, expected: Array, actual: Array, tolerance: float) -> float:
    """Return the largest absolute difference of an output; raise `ModelError` if too large."""
    if expected.shape != actual.shape:
        raise ModelError(
            f'output "{name}" of the compiled model has shape {list(actual.shape)}, but that of '
            f"the original has {list(expected.shape)}"
        )
    if _identical(expected, actual):
        return 0.0
    if expected.dtype == object or expected.dtype.kind in "iub":
        position = int(np.flatnonzero((expected != actual).reshape(-1))[0])
        raise ModelError(
            f'output "{name}" of the compiled model is {actual.reshape(-1)[position]!r}, but the '
            f"original gives {expected.reshape(-1)[position]!r}"
        )
    return _largest_difference(name, expected.astype(float), actual.astype(float), tolerance)


def _largest_difference(name: str, expected: Array, actual: Array, tolerance: float) -> float:
    same = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    with np.errstate(invalid="ignore"):
        differences = np.where(same, 0.0, np.abs(expected - actual))
        # Infinity must match exactly: relative to it, any number would be close enough.
        finite = np.where(np.isfinite(expected), np.abs(expected), 0.0)
        allowed = tolerance * np.maximum(1.0, finite)
    # NaN on only one side gives NaN here, for which "<=" is false.
    if not (differences <= allowed).all():
        worst = int(np.argmax(np.nan_to_num(differences - allowed, nan=np.inf)))
        raise ModelError(
            f'output "{name}" of the compiled model is {actual.reshape(-1)[worst]:.9g}, but the '
            f"original gives {expected.reshape(-1)[worst]:.9g}: they differ by more than the "
            f"tolerance {tolerance:g}"
        )
    return float(differences.max(initial=0.0))
