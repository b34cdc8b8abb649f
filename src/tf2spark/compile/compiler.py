"""`compile`: turns a SavedModel into a verified package.

A model that can't be compiled is packaged unchanged, and the manifest says why.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf
from attrs import evolve, frozen

from tf2spark.binding.feeds import Column, Constant
from tf2spark.binding.make_request import choose_signature
from tf2spark.binding.request import FedInput, FetchedOutput, Request
from tf2spark.compile.build import Built, Compilation, build
from tf2spark.compile.model_state import refuse_other_state
from tf2spark.compile.original import NotCompilable, Original, load_original
from tf2spark.compile.verification.inputs import Feeds
from tf2spark.compile.verification.sample import sample_feeds
from tf2spark.compile.verification.verify import TOLERANCE, NoInputs, find_inputs, verify
from tf2spark.compile.weights import THRESHOLD_BYTES
from tf2spark.errors import ContractError, ModelError
from tf2spark.package.file_source import FileSource, ModelFolder
from tf2spark.package.folder import check_free, entries_of, write
from tf2spark.package.host_cache import HeldModel
from tf2spark.package.manifest import Manifest, Verified, constant_text
from tf2spark.package.staging import staging_folder
from tf2spark.saved_model.contract import Signature, TensorSpec
from tf2spark.saved_model.reader import LoadedModel

_PREDICT = "tensorflow/serving/predict"


@frozen
class CompileOptions:
    """How a model is compiled, apart from what is fed and fetched.

    Attributes:
        sample: A pyarrow Table of rows that both models are run on; None to use the model's warmup
            requests, or inputs generated from the contract.
        tolerance: How much outputs may differ; see `verify`.
        threshold_bytes: Tensors of at least this size become files that workers map.
        table_bytes: The same for tables from which rows are gathered; see `WeightFiles`.
        overwrite: Replace an existing package.
        op_libraries: The names of the op libraries that it needs.
        custom_ops: The ops of the graph that these provide.
        inline_loops: Inline a graph with loops over variables too, which makes it slower on its
            own, but lets `recommend` split it.
        open_modules: Replace modules of JAX by ops, for the same reason; see `stablehlo`.
    """

    sample: Any = None
    tolerance: float = TOLERANCE
    threshold_bytes: int = THRESHOLD_BYTES
    table_bytes: int = THRESHOLD_BYTES
    overwrite: bool = False
    op_libraries: tuple[str, ...] = ()
    custom_ops: tuple[str, ...] = ()
    inline_loops: bool = False
    open_modules: bool = False


def compile_to(
    target: Path,
    held: HeldModel,
    loaded: LoadedModel,
    request: Request,
    signature: str | None,
    options: CompileOptions,
) -> Manifest:
    """Write a model's package to a local folder.

    Args:
        target: The package's folder.
        held: The model's files in the host cache, verified.
        loaded: The model, a plain SavedModel.
        request: Its inputs and outputs. Constants become part of the graph; tensors fed or fetched
            by their raw names become inputs and outputs of the signature.
        signature: The name of the signature, as the user gave it.
        options: How to compile.

    Returns:
        The manifest of the package.

    Raises:
        ContractError: The request can't be compiled.
        ModelError: The original can't be loaded or changes meanwhile, or the compiled model's
            outputs differ.
        OutputError: The package can't be written.
    """
    check_free(target, overwrite=options.overwrite)
    source = held.folder
    name = _signature_name(loaded, signature)
    compilation = _compilation(name, request)
    with tempfile.TemporaryDirectory(prefix="compile-", dir=staging_folder()) as folder:
        tree = Path(folder)
        written: FileSource = held
        manifest = evolve(_source_manifest(loaded), op_libraries=options.op_libraries)
        try:
            _refuse_other_state(loaded, compilation, options.custom_ops)
            with load_original(
                source,
                loaded.contract.tags,
                name,
                name=loaded.contract.path,
                custom_ops=options.custom_ops,
            ) as original:
                built, verified, why_not = _build_verified(
                    original, compilation, source, tree, loaded, request, options
                )
        except NotCompilable as reason:
            manifest = evolve(manifest, files=loaded.entries, why_as_it_was=str(reason))
        else:
            held.check_unchanged()
            written = ModelFolder(tree)
            manifest = evolve(
                manifest,
                files=entries_of(tree),
                signature=name,
                constants=_constant_texts(request),
                weights=built.weights,
                verified=verified,
                not_verified=why_not,
            )
        write(written, target, manifest, overwrite=options.overwrite)
    return manifest


def _refuse_other_state(
    loaded: LoadedModel, compilation: Compilation, custom_ops: Collection[str]
) -> None:
    signature = compilation.signature
    fetches = [name for spec in signature.outputs for name in spec.tensors]
    feeds = [name for spec in signature.inputs for name in spec.tensors]
    refuse_other_state(loaded.meta_graph, fetches, [*feeds, *compilation.constants], custom_ops)


def _signature_name(loaded: LoadedModel, signature: str | None) -> str:
    try:
        chosen = choose_signature(loaded.contract, signature)
    except ContractError:
        if signature is not None:
            raise
        chosen = None
    return "serving_default" if chosen is None else chosen.name


def _compilation(name: str, request: Request) -> Compilation:
    constants = {
        fed.spec.tensors[0]: _constant(fed.spec, fed.feed)
        for fed in request.inputs
        if isinstance(fed.feed, Constant)
    }
    inputs = [_input(fed) for fed in request.inputs if not isinstance(fed.feed, Constant)]
    outputs = [_output(fetched) for fetched in request.outputs]
    signature = Signature(name, tuple(inputs), tuple(outputs), _PREDICT)
    return Compilation(signature, constants)


def _constant_texts(request: Request) -> tuple[tuple[str, str], ...]:
    return tuple(
        (fed.spec.name, constant_text(fed.feed.value))
        for fed in request.inputs
        if isinstance(fed.feed, Constant)
    )


def _constant(spec: TensorSpec, feed: Constant) -> Any:
    if spec.kind != "dense" or (spec.shape is not None and None in spec.shape):
        raise ContractError(
            f'input "{spec.name}" has one value per row, so a constant can\'t be compiled in; omit '
            "it here, and pass it to score"
        )
    value = tf.constant(feed.value, tf.as_dtype(spec.dtype.code))
    if spec.shape is not None and value.shape.as_list() != list(spec.shape):
        value = tf.reshape(value, spec.shape)
    return value.numpy()


def _input(fed: FedInput) -> TensorSpec:
    """Return the spec of an input; a raw tensor is named after its column."""
    spec = fed.spec
    if ":" not in spec.name:
        return spec
    is_column = isinstance(fed.feed, Column) and "." not in fed.feed.path
    return evolve(spec, name=str(fed.feed) if is_column else spec.name.partition(":")[0])


def _output(fetched: FetchedOutput) -> TensorSpec:
    return evolve(fetched.spec, name=fetched.column)


def _source_manifest(loaded: LoadedModel) -> Manifest:
    """Return the part of the manifest that is known before anything is compiled."""
    contract = loaded.contract
    return Manifest(
        files=(),
        tags=contract.tags,
        source=contract.path,
        source_digest=loaded.digest,
        tensorflow=tf.__version__,
        tf2spark=importlib.metadata.version("tf2spark"),
    )


def _build_verified(
    original: Original,
    compilation: Compilation,
    source: Path,
    tree: Path,
    loaded: LoadedModel,
    request: Request,
    options: CompileOptions,
) -> tuple[Built, Verified | None, str | None]:
    """Build the model and compare it with the original; return the result, or why there is none.

    What is rounded in another order is verified. Where that is beyond the tolerance, the model is
    built again without.
    """
    make = partial(
        build,
        original,
        compilation,
        source,
        tree,
        options.threshold_bytes,
        options.table_bytes,
        inline_loops=options.inline_loops,
        open_modules=options.open_modules,
    )
    feeds, kind_or_reason = _feeds(original, source, compilation, request, options)
    if feeds is None:
        built = make(reorder=False)
        return built, None, kind_or_reason
    ops = loaded.contract.careful_ops
    random_op = next((op for op, reason in ops if reason.startswith("random")), None)
    check = partial(
        verify,
        original,
        compilation.signature,
        tags=loaded.contract.tags,
        feeds=feeds,
        kind=kind_or_reason,
        tolerance=options.tolerance,
        constants=compilation.constants,
        random_op=random_op,
    )
    built = make()
    try:
        return built, check(built, tree), None
    except ModelError:
        if not built.reordered:
            raise
    shutil.rmtree(tree)
    tree.mkdir()
    built = make(reorder=False)
    return built, check(built, tree), None


def _feeds(
    original: Original,
    source: Path,
    compilation: Compilation,
    request: Request,
    options: CompileOptions,
) -> tuple[list[Feeds] | None, str]:
    """Return what to run both models on and where it is from, or None and why there is nothing."""
    if options.sample is not None:
        return sample_feeds(options.sample, request), "sample"
    signature, constants = compilation.signature, compilation.constants
    try:
        return find_inputs(original, signature, source, signature.name, constants)
    except NoInputs as error:
        return None, str(error)
