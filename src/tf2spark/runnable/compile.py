"""`compile` on a model that was read: its arguments are checked, and the package is written."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from tf2spark.binding.argument_types import check_switch, check_tolerance
from tf2spark.binding.feeds import FeedValue, Fetch
from tf2spark.errors import Mistakes, ModelError
from tf2spark.local.sample import check_sample, sample_to_arrow
from tf2spark.locations.optional_imports import compiler_module
from tf2spark.locations.write import package_folder
from tf2spark.package.manifest import Manifest
from tf2spark.runnable.model import RunnableModel
from tf2spark.table_types import LocalTable
from tf2spark.worker.model_session import hold_files


def write_package(
    model: RunnableModel,
    target: str,
    signature: str | None,
    feed: Mapping[str, FeedValue] | None,
    fetch: Fetch | None,
    *,
    sample: LocalTable | None,
    tolerance: float | None,
    overwrite: bool,
) -> str:
    """Write the model as a package and return its digest (hex); see `SavedModel.compile`."""
    if model.contract.package is not None:
        raise ModelError(f'"{model.contract.path}" is a package already')
    mistakes = Mistakes()
    with mistakes.collected():
        check_switch("overwrite", overwrite)
    with mistakes.collected():
        check_tolerance(0 if tolerance is None else tolerance)
    model.need_op_libraries()
    with mistakes.collected():
        request = model.request(signature, feed, fetch, any_rows=True)
    with mistakes.collected():
        check_sample(sample)
    mistakes.raise_all()
    compiler = compiler_module()
    options = compiler.CompileOptions(
        sample=sample_to_arrow(sample, request),
        overwrite=overwrite,
        op_libraries=tuple(library.name for library in model.op_libraries),
        custom_ops=model.custom_ops,
    )
    if tolerance is not None:
        options = evolve(options, tolerance=tolerance)
    with package_folder(target, overwrite=overwrite) as folder:
        held = hold_files(model.reference())
        try:
            manifest: Manifest = compiler.compile_to(
                folder, held, model.loaded, request, signature, options
            )
        finally:
            held.release()
    return manifest.digest
