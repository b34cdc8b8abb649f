"""The model that `recommend` splits: compiled, or a package as it is."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from attrs import evolve

from tf2spark.binding.feeds import Column, Constant
from tf2spark.binding.request import FedInput, Request
from tf2spark.errors import ModelError
from tf2spark.package.folder import located_in, read_manifest, unpack
from tf2spark.package.manifest import FILES
from tf2spark.recommend.arguments import TOLERANCE
from tf2spark.recommend.pair_model import CatalogModel
from tf2spark.saved_model import reader


def catalog_model(
    place: str,
    loaded: reader.LoadedModel,
    request: Request,
    signature: str | None,
    column: int | None,
    parent: Path,
    compiler: Any,
    copy_strings: bool,
) -> CatalogModel:
    """Compile a model for `recommend`, or take a package as it is.

    Args:
        place: Where the model's files lie on this machine.
        loaded: The model.
        request: Its inputs as the user feeds them, and the one output that ranks.
        signature: The signature's name.
        column: Which entry of the output's rows ranks.
        parent: A folder for what is made.
        compiler: Returns the module ``tf2spark.compile.compiler``; not called for a package.
        copy_strings: See `safety.retains_strings`.
    """
    package = loaded.contract.package
    if package is None:
        package_folder = Path(tempfile.mkdtemp(prefix="compiled-", dir=parent)) / "package"
        module = compiler()
        options = module.CompileOptions(tolerance=TOLERANCE)
        try:
            module.compile_to(package_folder, place, loaded, _compiled(request), signature, options)
        except ModelError as error:
            return _as_it_is(place, loaded, request, column, str(error), copy_strings)
        read = reader.read(package_folder)
    else:
        package_folder, read = Path(place), loaded
    manifest = read.contract.package
    assert manifest is not None
    if manifest.why_as_it_was is not None:
        why = manifest.why_as_it_was
        if package is None:
            return _as_it_is(place, loaded, request, column, why, copy_strings)
        return _as_it_is(
            str(_unpacked(package_folder, parent)), read, request, column, why, copy_strings
        )
    (described,) = read.contract.signatures
    wanted = request.outputs[0]
    output = next(
        (one for one in described.outputs if one.name in (wanted.column, wanted.spec.name)), None
    )
    return CatalogModel(
        read.meta_graph,
        _unpacked(package_folder, parent),
        read.contract.tags,
        manifest.weights,
        {one.name: one for one in described.inputs},
        output or wanted.spec,
        column,
        None,
        copy_strings,
    )


def _unpacked(package: Path, parent: Path) -> Path:
    tree = Path(tempfile.mkdtemp(prefix="unpacked-", dir=parent))
    assert (package / FILES).is_dir(), package
    unpack(read_manifest(package).files, located_in(package), tree)
    return tree


def _as_it_is(
    place: str,
    loaded: reader.LoadedModel,
    request: Request,
    column: int | None,
    why: str,
    copy_strings: bool,
) -> CatalogModel:
    package = loaded.contract.package
    return CatalogModel(
        loaded.meta_graph,
        Path(place),
        loaded.contract.tags,
        package.weights if package else (),
        {},
        request.outputs[0].spec,
        column,
        why,
        copy_strings,
    )


def _compiled(request: Request) -> Request:
    """Return what is compiled: constants of a known shape go into the graph, the rest stays."""
    return evolve(request, inputs=tuple(map(_to_compile, request.inputs)))


def _to_compile(one: FedInput) -> FedInput:
    spec = one.spec
    known = spec.kind == "dense" and (spec.shape is None or None not in spec.shape)
    if known and isinstance(one.feed, Constant):
        return one
    return evolve(one, feed=Column(spec.name.partition(":")[0]))
