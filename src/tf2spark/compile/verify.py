"""The compiled model held against the original: both are run on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tf2spark.compile.build import Built
from tf2spark.compile.examples import example_of
from tf2spark.compile.inputs import Feeds, made, row_count, warmup
from tf2spark.compile.original import NotCompilable, Original
from tf2spark.tensorflow_c.strings import views_of
from tf2spark.dtypes import STRING, from_code
from tf2spark.errors import ModelError
from tf2spark.package.manifest import Verified
from tf2spark.saved_model.contract import Signature
from tf2spark.tensorflow_c.failure import TensorFlowFailure, readable
from tf2spark.tensorflow_c.mapped_files import mapped_tensor
from tf2spark.tensorflow_c.session import open_session
from tf2spark.tensorflow_c.tensor import Strings, Tensor

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-5
"""How far a number may be off: so much, or so much of its own size, whichever is more.

Constants folded ahead of time are rounded where TensorFlow would round them later or not at all.
"""


def verify(
    original: Original,
    signature: Signature,
    built: Built,
    compiled: Path,
    tags: tuple[str, ...],
    feeds: Sequence[Feeds],
    what: str,
    tolerance: float,
    *,
    constants: Mapping[str, Any],
    draws: str | None = None,
) -> Verified:
    """Run both models on the same inputs and compare all outputs.

    Args:
        original: The model as TensorFlow's loader has it.
        signature: Its inputs and outputs.
        built: The compiled one, without the inputs that are constant.
        compiled: Its folder.
        tags: Its tags.
        feeds: The inputs, one run each.
        what: What the inputs are.
        tolerance: See `TOLERANCE`.
        constants: What the original is fed besides.
        draws: An op of the model that draws random numbers, if it has one.

    Raises:
        NotCompilable: The original gives other results at every run.
        ModelError: They differ by more than the tolerance; the message says where.
    """
    fetches = [name for spec in signature.outputs for name in spec.tensors]
    names = [spec.name for spec in signature.outputs for _ in spec.tensors]
    moved = _moved(signature, built.signature)
    largest = dict.fromkeys(names, 0.0)
    with _running(compiled, built, tags) as run:
        for each in feeds:
            wanted = original.run(fetches, {**constants, **each})
            _refuse_random(names, wanted, original.run(fetches, {**constants, **each}))
            got = run({moved[name]: value for name, value in each.items()})
            for name, want, found in zip(names, wanted, got, strict=True):
                apart = _compared(name, want, found, tolerance, draws)
                largest[name] = max(largest[name], apart)
    return Verified(what, row_count(feeds), tuple(sorted(largest.items())), tolerance)


def find_inputs(
    original: Original,
    signature: Signature,
    folder: Path,
    name: str,
    constants: Mapping[str, Any],
) -> tuple[list[Feeds], str]:
    """Return inputs that the original takes, and what they are.

    Raises:
        NoInputs: TensorFlow refuses all that could be made.
    """
    fetches = [one for spec in signature.outputs for one in spec.tensors]
    if requests := warmup(folder, signature, name):
        return requests, "warmup requests"
    said = ""
    for feeds in made(signature, example_of(original.meta_graph.graph_def)):
        try:
            for each in feeds:
                original.run(fetches, {**constants, **each})
        except (tf.errors.OpError, ValueError) as error:
            said = said or _said(error)
            continue
        return feeds, "made from the contract"
    raise NoInputs(f"TensorFlow refuses inputs that are made from the contract ({said})")


class NoInputs(Exception):
    """There is nothing to run the models on; the message says why."""


def _said(error: Exception) -> str:
    return readable(error.message if isinstance(error, tf.errors.OpError) else str(error))


def _moved(signature: Signature, compiled: Signature) -> dict[str, str]:
    pairs = zip(signature.inputs, compiled.inputs, strict=True)
    return {
        old: new
        for before, after in pairs
        for old, new in zip(before.tensors, after.tensors, strict=True)
    }


@contextmanager
def _running(
    folder: Path, built: Built, tags: tuple[str, ...]
) -> Iterator[Callable[[Mapping[str, Any]], list[Array]]]:
    """Yield a function that runs the compiled model as workers will."""
    session = open_session(str(folder), tags, threads=1)
    signature = built.signature
    for weight in built.weights:
        session.feed_always(weight.tensor, mapped_tensor(weight, folder))
    names = [name for spec in signature.inputs for name in spec.tensors]
    run = session.prepare(names, [name for spec in signature.outputs for name in spec.tensors])

    def run_on(feeds: Mapping[str, Any]) -> list[Array]:
        try:
            return [_as_array(one) for one in run([_as_tensor(feeds[name]) for name in names])]
        except TensorFlowFailure as failure:
            raise ModelError(
                f"the compiled model refuses what the original takes: {failure.message}"
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


def _as_array(found: Tensor | Strings) -> Array:
    if isinstance(found, Tensor):
        code = tf.as_dtype(found.dtype.code).as_numpy_dtype
        return np.asarray(found.data.view(code).reshape(found.shape))
    data, ends = found.data.tobytes(), found.offsets.tolist()
    texts = [data[a:b] for a, b in pairwise(ends)]
    flat = np.empty(len(texts), object)
    flat[:] = texts
    return flat.reshape(found.shape)


def _refuse_random(names: Sequence[str], first: list[Any], second: list[Any]) -> None:
    for name, one, other in zip(names, first, second, strict=True):
        if not _equal(one, other):
            raise NotCompilable(
                f'its output "{name}" differs from run to run, so that nothing can be verified'
            )


def _compared(name: str, want: Array, found: Array, tolerance: float, draws: str | None) -> float:
    try:
        return _difference(name, want, found, tolerance)
    except ModelError as error:
        if draws is None:
            raise
        raise NotCompilable(
            f'its output "{name}" depends on random numbers ({draws}), so that nothing can be '
            "verified: where an input switches them off (keep_prob, is_training), make it a "
            'constant, feed={"keep_prob": 1.0}'
        ) from error


def _equal(one: Any, other: Any) -> bool:
    if one.dtype == object:
        return bool(np.array_equal(one, other))
    return bool(one.shape == other.shape and one.tobytes() == other.tobytes())


def _difference(name: str, want: Any, found: Any, tolerance: float) -> float:
    """Return the largest difference of an output; raise where it is too large."""
    if want.shape != found.shape:
        raise ModelError(
            f'output "{name}" of the compiled model has shape {list(found.shape)}, the '
            f"original's {list(want.shape)}"
        )
    if _equal(want, found):
        return 0.0
    if want.dtype == object or want.dtype.kind in "iub":
        at = int(np.flatnonzero((want != found).reshape(-1))[0])
        raise ModelError(
            f'output "{name}" of the compiled model is {found.reshape(-1)[at]!r} where the '
            f"original gives {want.reshape(-1)[at]!r}"
        )
    wide, other = want.astype(np.float64), found.astype(np.float64)
    same = (wide == other) | (np.isnan(wide) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(wide - other))
        allowed = tolerance * np.maximum(1.0, np.abs(wide))
    if not (apart <= allowed).all():
        worst = int(np.argmax(np.nan_to_num(apart - allowed, nan=np.inf)))
        raise ModelError(
            f'output "{name}" of the compiled model is {other.reshape(-1)[worst]:.9g} where the '
            f"original gives {wide.reshape(-1)[worst]:.9g}: more than the tolerance "
            f"{tolerance:g} apart"
        )
    return float(apart.max(initial=0.0))
