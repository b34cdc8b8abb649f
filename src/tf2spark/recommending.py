"""`recommend` from arguments to a plan: for Spark and for tables in this process alike."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tf2spark import savedmodel
from tf2spark.binding.bind import Options, make_options
from tf2spark.binding.messages import listed
from tf2spark.binding.request import FedInput, Request, choose_signature
from tf2spark.catalog.source import CatalogModel
from tf2spark.catalog.tables import Asked
from tf2spark.columns import Column, Constant
from tf2spark.contract import Contract
from tf2spark.errors import ContractError, ModelError
from tf2spark.manifest import FILES
from tf2spark.package import located_in, read_manifest, unpack

TOLERANCE = 1e-4


@frozen
class Ranked:
    """The output that ranks, as the user named it, and which entry of its rows."""

    output: str
    column: int | None


def ranked(contract: Contract, signature: str | None, score: str | None) -> Ranked:
    """Settle which output ranks: the only one, or the one that was named, ``probs[1]``.

    Raises:
        ContractError: There are several and none was named.
    """
    if score is not None:
        if not isinstance(score, str) or not score:
            raise ContractError(f'score={score!r}: write the name of an output, or "probs[1]"')
        found = re.fullmatch(r"(.+?)\[(\d+)\]", score)
        rank = Ranked(found[1], int(found[2])) if found else Ranked(score, None)
        return _checked(rank, contract, signature)
    chosen = choose_signature(contract, signature)
    outputs = [] if chosen is None else [one.name for one in chosen.outputs]
    if len(outputs) != 1:
        what = f"has the outputs {listed(outputs)}" if outputs else "names no output"
        example = outputs[0] if outputs else "y:0"
        raise ContractError(f'the model {what}: say which one ranks, score="{example}"')
    return _checked(Ranked(outputs[0], None), contract, signature)


def _checked(rank: Ranked, contract: Contract, signature: str | None) -> Ranked:
    """Refuse an entry that the output's rows haven't, and rows of several where none is named."""
    chosen = choose_signature(contract, signature)
    outputs = {} if chosen is None else {one.name: one.shape for one in chosen.outputs}
    name, shape = rank.output, outputs.get(rank.output)
    if shape is None or None in shape[1:]:
        return rank
    width = prod(size or 1 for size in shape[1:])
    if rank.column is None and width != 1:
        raise ContractError(
            f'output "{name}" has {width} values a row: say which one ranks, score="{name}[0]"'
        )
    if rank.column is not None and (len(shape) != 2 or rank.column >= width):
        last = f'"{name}[{width - 1}]" is the last' if len(shape) == 2 else f'write score="{name}"'
        raise ContractError(
            f'score="{name}[{rank.column}]": output "{name}" is {list(shape)}, {last}'
        )
    return rank


def make_asked(
    k: Any,
    user_id: str,
    item_id: str,
    exclude: str | None,
    candidates: str | None,
    keep: Sequence[str] | None,
    mode: str,
    error_column: str | None,
    model_column: str | None,
    tolerance: float,
) -> Asked:
    """Check the arguments of `recommend` that no table is needed for.

    Raises:
        ContractError: One is wrong.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ContractError(f"k={k!r}: write a whole number from 1")
    given = {"user_id": user_id, "item_id": item_id, "exclude": exclude, "candidates": candidates}
    for name, value in given.items():
        if not (isinstance(value, str) and value) and not (
            value is None and name in ("exclude", "candidates")
        ):
            raise ContractError(f"{name}={value!r}: write the name of a column")
    if not tolerance >= 0:
        raise ContractError(f"tolerance={tolerance!r}: write a number from 0")
    kept = [keep] if isinstance(keep, str) else list(keep or ())
    options: Options = make_options(
        keep=[user_id, *(name for name in kept if name != user_id)],
        mode=mode,
        error_column=error_column,
        model_column=model_column,
    )
    return Asked(k, user_id, item_id, exclude, candidates, options, tolerance)


def catalog_model(
    place: str,
    loaded: savedmodel.LoadedModel,
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
        read = savedmodel.read(package_folder)
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
    loaded: savedmodel.LoadedModel,
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
