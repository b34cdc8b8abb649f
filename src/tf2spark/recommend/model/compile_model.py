"""The model that `recommend` splits: compiled for that, or a package as it is."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tf2spark.binding.feeds import Column, Constant
from tf2spark.binding.request import FedInput, Request
from tf2spark.errors import ModelError, SetupError
from tf2spark.package.file_source import FileSource, PackageFolder
from tf2spark.package.folder import copy_files
from tf2spark.package.host_cache import HeldModel
from tf2spark.package.op_libraries import OpLibrary
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.arguments import TOLERANCE
from tf2spark.recommend.catalog.files import linked_files
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.saved_model import reader
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.graph.function_library import CALLS, JAX_MODULE
from tf2spark.worker.model_session import hold_files

# A call writes, opens and optimizes the graph several times, each time with all of its constants.
_TABLE_BYTES = 1 << 20


@frozen(eq=False)
class PairRequest:
    """What `recommend` needs of a model.

    Attributes:
        request: The inputs as the user feeds them, and the one output that ranks.
        signature: The signature's name.
        column: Which entry of the output's rows is the score; None where there is only one.
        copy_strings: See `op_check.retains_strings`.
        op_libraries: The libraries of the model's custom ops.
        custom_ops: The ops that these provide.
    """

    request: Request
    signature: str | None
    column: int | None
    copy_strings: bool
    op_libraries: tuple[OpLibrary, ...] = ()
    custom_ops: tuple[str, ...] = ()


def compile_pair_model(
    model: ModelRef,
    loaded: reader.LoadedModel,
    pair_request: PairRequest,
    parent: Path,
    compiler: Callable[[], Any],
) -> PairModel:
    """Compile a model for `recommend`; a package whose calls are inlined is used as it is.

    Args:
        model: The model, on this machine.
        loaded: The same model as it was read.
        pair_request: What `recommend` needs of it.
        parent: A folder for what is written.
        compiler: Returns the module ``tf2spark.compile.compiler``; not called for a package without
            calls of functions.
    """
    if loaded.contract.package is not None and not _has_calls(loaded):
        return _unpacked_model(PackageFolder(Path(model.path)), parent, loaded, pair_request)
    held = hold_files(model)
    try:
        return _compiled_or_copied(held, loaded, pair_request, parent, compiler)
    finally:
        held.release()


def _has_calls(loaded: reader.LoadedModel) -> bool:
    """Say whether a package has calls left, for the sake of loops, that can be inlined here.

    Modules of JAX are left too, as `compile` doesn't open them.

    Files that workers map are placeholders of its graph, which can't be compiled again.
    """
    package = loaded.contract.package
    if package is None or package.weights or package.why_as_it_was is not None:
        return False
    return any(
        node.op in CALLS or node.op == JAX_MODULE for node in loaded.meta_graph.graph_def.node
    )


def _compiled_or_copied(
    held: HeldModel,
    loaded: reader.LoadedModel,
    pair_request: PairRequest,
    parent: Path,
    compiler: Callable[[], Any],
) -> PairModel:
    with tempfile.TemporaryDirectory(prefix="compiled-", dir=parent) as folder:
        package = Path(folder) / "package"
        try:
            _compile(held, loaded, pair_request, package, compiler())
        except (ModelError, SetupError) as error:
            if loaded.contract.package is not None:
                return _unpacked_model(held, parent, loaded, pair_request)
            if isinstance(error, SetupError):
                raise
            return _unpacked_model(held, parent, loaded, pair_request, str(error))
        compiled = reader.read(package)
        return _unpacked_model(PackageFolder(package), parent, compiled, pair_request)


def _compile(
    held: HeldModel,
    loaded: reader.LoadedModel,
    pair_request: PairRequest,
    package: Path,
    compiler: Any,
) -> None:
    """Write the model as a package."""
    options = compiler.CompileOptions(
        tolerance=TOLERANCE,
        table_bytes=_TABLE_BYTES,
        custom_ops=pair_request.custom_ops,
        inline_loops=True,
        open_modules=True,
    )
    request = _request_to_compile(pair_request.request)
    compiler.compile_to(package, held, loaded, request, pair_request.signature, options)


def _unpacked_model(
    source: FileSource,
    parent: Path,
    loaded: reader.LoadedModel,
    pair_request: PairRequest,
    why: str | None = None,
) -> PairModel:
    """Copy a model into a folder, which is removed together with the model that is returned.

    Args:
        source: Its files, which are verified once more.
        parent: The folder for the model's folder.
        loaded: The model as it was read.
        pair_request: What `recommend` needs of it.
        why: Why it can't be compiled; for a package, its manifest says so.
    """
    tree = Path(tempfile.mkdtemp(prefix="unpacked-", dir=parent))
    copy_files(source, loaded.entries, tree)
    if loaded.contract.package is not None:
        why = loaded.contract.package.why_as_it_was
    if why is None:
        model = _compiled_model(tree, loaded, pair_request)
    else:
        model = _uncompiled_model(tree, loaded, pair_request, why)
    # At the end of the process, all of `parent` is removed.
    weakref.finalize(model, shutil.rmtree, tree, ignore_errors=True).atexit = False
    return model


def _compiled_model(tree: Path, loaded: reader.LoadedModel, pair_request: PairRequest) -> PairModel:
    manifest = loaded.contract.package
    assert manifest is not None
    (signature,) = loaded.contract.signatures
    return PairModel(
        loaded.meta_graph,
        tree,
        loaded.contract.tags,
        manifest.weights,
        {spec.name: spec for spec in signature.inputs},
        _score_spec(signature.outputs, pair_request.request),
        pair_request.column,
        None,
        pair_request.copy_strings,
        pair_request.op_libraries,
        pair_request.custom_ops,
        linked_files=linked_files(loaded.entries),
    )


def _score_spec(outputs: tuple[TensorSpec, ...], request: Request) -> TensorSpec:
    """Return the output that ranks; of a package it may be a tensor that isn't an output."""
    fetched = request.outputs[0]
    names = (fetched.column, fetched.spec.name)
    spec = next((spec for spec in outputs if spec.name in names), fetched.spec)
    # Messages name it as the user did.
    return evolve(spec, name=fetched.spec.name)


def _uncompiled_model(
    tree: Path, loaded: reader.LoadedModel, pair_request: PairRequest, why: str
) -> PairModel:
    package = loaded.contract.package
    return PairModel(
        loaded.meta_graph,
        tree,
        loaded.contract.tags,
        package.weights if package else (),
        {},
        pair_request.request.outputs[0].spec,
        pair_request.column,
        why,
        pair_request.copy_strings,
        pair_request.op_libraries,
        pair_request.custom_ops,
        linked_files=linked_files(loaded.entries),
    )


def _request_to_compile(request: Request) -> Request:
    """Return the request with constants of known shape; columns feed all other inputs."""
    return evolve(request, inputs=tuple(map(_input_to_compile, request.inputs)))


def _input_to_compile(fed: FedInput) -> FedInput:
    spec = fed.spec
    has_known_shape = spec.kind == "dense" and (spec.shape is None or None not in spec.shape)
    if has_known_shape and isinstance(fed.feed, Constant):
        return fed
    return evolve(fed, feed=Column(spec.name.partition(":")[0]))
