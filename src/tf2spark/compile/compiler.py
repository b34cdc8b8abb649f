"""`compile`: a SavedModel in, a verified package out; as it was, and why, where it can't be."""

from __future__ import annotations

import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf
from attrs import evolve, frozen

from tf2spark.binding.feeds import Column, Constant
from tf2spark.binding.request import FedInput, FetchedOutput, Request, choose_signature
from tf2spark.compile import original as originals
from tf2spark.compile.build import Built, Call, build
from tf2spark.compile.original import NotCompilable
from tf2spark.compile.sample import sample_feeds
from tf2spark.compile.verify import TOLERANCE, NoInputs, find_inputs, verify
from tf2spark.compile.weights import THRESHOLD_BYTES
from tf2spark.errors import ContractError
from tf2spark.package.folder import check_free, entries_of, write
from tf2spark.package.manifest import Manifest, Verified, constant_text
from tf2spark.saved_model import reader
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.reader import LoadedModel

_PREDICT = "tensorflow/serving/predict"


@frozen
class CompileOptions:
    """How a model is compiled, apart from what is fed and fetched.

    Attributes:
        sample: A pyarrow Table whose rows both models are run on.
        tolerance: How far numbers may be apart; see `verify`.
        threshold_bytes: Tensors of this size and more are mapped from files.
        overwrite: Replace a package that is there.
    """

    sample: Any = None
    tolerance: float = TOLERANCE
    threshold_bytes: int = THRESHOLD_BYTES
    overwrite: bool = False


def compile_to(
    target: Path,
    place: str,
    loaded: LoadedModel,
    request: Request,
    signature: str | None,
    options: CompileOptions,
) -> Manifest:
    """Write a model's package to a local folder.

    Args:
        target: Where it goes.
        place: The folder that has the model's files.
        loaded: The model, a plain SavedModel.
        request: Its inputs and outputs. Constants become part of the graph, tensors that were
            named raw become inputs and outputs of the signature.
        signature: The signature's name, as the user gave it.
        options: The rest.

    Raises:
        ContractError: The request can't be compiled.
        ModelError: Original and compiled model differ, or the original can't be loaded.
        OutputError: The package can't be written.
    """
    check_free(target, overwrite=options.overwrite)
    source = Path(place)
    name = _signature_name(loaded, signature)
    call = _call(name, request)
    with tempfile.TemporaryDirectory(prefix="tf2spark-compile-") as folder:
        tree = Path(folder)
        manifest = _described(loaded, source)
        try:
            with originals.loaded(source, loaded.contract.tags, name) as original:
                built = build(original, call, source, tree, options.threshold_bytes)
                verified, why = _verified(
                    original, source, loaded, call, built, tree, request, options
                )
        except NotCompilable as reason:
            tree = source
            manifest = evolve(manifest, why_as_it_was=str(reason))
        else:
            manifest = evolve(
                manifest,
                signature=name,
                constants=_described_constants(request),
                weights=built.weights,
                verified=verified,
                not_verified=why,
            )
        manifest = evolve(manifest, files=entries_of(tree))
        write(tree, target, manifest, overwrite=options.overwrite)
    return manifest


def _signature_name(loaded: LoadedModel, signature: str | None) -> str:
    try:
        chosen = choose_signature(loaded.contract, signature)
    except ContractError:
        if signature is not None:
            raise
        chosen = None
    return "serving_default" if chosen is None else chosen.name


def _call(name: str, request: Request) -> Call:
    constants = {
        one.spec.tensors[0]: _constant(one.spec, one.feed)
        for one in request.inputs
        if isinstance(one.feed, Constant)
    }
    inputs = [_input(one) for one in request.inputs if not isinstance(one.feed, Constant)]
    outputs = [_output(one) for one in request.outputs]
    signature = Signature(name, tuple(inputs), tuple(outputs), _PREDICT)
    return Call(signature, constants)


def _described_constants(request: Request) -> tuple[tuple[str, str], ...]:
    return tuple(
        (one.spec.name, constant_text(one.feed.value))
        for one in request.inputs
        if isinstance(one.feed, Constant)
    )


def _constant(spec: TensorSpec, feed: Constant) -> Any:
    if spec.kind != "dense" or (spec.shape is not None and None in spec.shape):
        raise ContractError(
            f'input "{spec.name}" has a value for every row, so that a constant can\'t be compiled '
            "in: leave it out here, and give it when you score"
        )
    value = tf.constant(feed.value, tf.as_dtype(spec.dtype.code))
    if spec.shape is not None and value.shape.as_list() != list(spec.shape):
        value = tf.reshape(value, spec.shape)
    return value.numpy()


def _input(one: FedInput) -> TensorSpec:
    """Return an input; a raw tensor is named as its column."""
    spec = one.spec
    if ":" not in spec.name:
        return spec
    is_column = isinstance(one.feed, Column) and "." not in one.feed.path
    return evolve(spec, name=str(one.feed) if is_column else spec.name.partition(":")[0])


def _output(one: FetchedOutput) -> TensorSpec:
    return evolve(one.spec, name=one.column)


def _described(loaded: LoadedModel, source: Path) -> Manifest:
    contract = loaded.contract
    return Manifest(
        files=(),
        tags=contract.tags,
        source=contract.path,
        source_digest=reader.digest(source),
        tensorflow=tf.__version__,
        tf2spark=importlib.metadata.version("tf2spark"),
    )


def _verified(
    original: originals.Original,
    source: Path,
    loaded: LoadedModel,
    call: Call,
    built: Built,
    tree: Path,
    request: Request,
    options: CompileOptions,
) -> tuple[Verified | None, str | None]:
    """Hold the compiled model against the original, or say why it can't be."""
    signature, constants = call.signature, dict(call.constants)
    try:
        if options.sample is not None:
            feeds, what = sample_feeds(options.sample, request), "sample"
        else:
            feeds, what = find_inputs(original, signature, source, signature.name, constants)
    except NoInputs as error:
        return None, f"{error}; give rows with sample="
    draws = next((op for op, why in loaded.contract.careful_ops if why.startswith("random")), None)
    found = verify(
        original,
        signature,
        built,
        tree,
        loaded.contract.tags,
        feeds,
        what,
        options.tolerance,
        constants=constants,
        draws=draws,
    )
    return found, None
