"""The op libraries of a model in this process: loaded before its graph, which names their ops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tf2spark.errors import ModelError
from tf2spark.package.digests import digest_of_files
from tf2spark.package.file_source import FileSource, ShippedFiles
from tf2spark.package.host_cache import LIMIT_BYTES, hold_model
from tf2spark.package.manifest import FileEntry
from tf2spark.package.op_libraries import LibraryFile, OpLibrary
from tf2spark.plan.score import ModelRef
from tf2spark.tensorflow_c import op_libraries
from tf2spark.tensorflow_c.op_libraries import LoadedLibrary


def load_op_libraries(model: ModelRef, locate: Callable[[FileEntry], Path] | None = None) -> None:
    """Load the op libraries of a model, once a process, and check that they have its custom ops.

    Args:
        model: The model.
        locate: Finds the files that came with the job.

    Raises:
        ModelError: None of them has an op of the model, or a file has changed.
        SetupError: A library is missing, or doesn't fit the installed TensorFlow.
    """
    if not model.op_libraries:
        return
    loaded = [loaded_library(library, model, locate) for library in model.op_libraries]
    provided = frozenset[str]().union(*(library.ops for library in loaded))
    missing = [op for op in model.custom_ops if op not in provided]
    if missing:
        raise _not_provided(missing, model, loaded)


def loaded_library(
    library: OpLibrary,
    model: ModelRef | None = None,
    locate: Callable[[FileEntry], Path] | None = None,
) -> LoadedLibrary:
    """Load an op library, once a process; arguments and errors are those of `load_op_libraries`.

    Without a model, a file is taken from this machine.
    """
    if library.file is None:
        return op_libraries.load_module(library.name)
    entry = library.file
    if op_libraries.is_loaded(entry.sha256):
        return op_libraries.load_file(Path(), library.name, entry.sha256)
    source: FileSource = LibraryFile(Path(library.path))
    root, limit_bytes = None, LIMIT_BYTES
    if model is not None:
        if model.storage == "shipped" and locate is not None:
            source = ShippedFiles(locate)
        root = model.cache
        limit_bytes = LIMIT_BYTES if model.cache_bytes is None else model.cache_bytes
    # Never released: a loaded library stays loaded.
    held = hold_model(
        digest_of_files([entry]), (entry,), source, root=root, limit_bytes=limit_bytes
    )
    return op_libraries.load_file(held.folder / entry.path, library.name, entry.sha256)


def _not_provided(missing: list[str], model: ModelRef, loaded: list[LoadedLibrary]) -> ModelError:
    names = ", ".join(library.name for library in model.op_libraries)
    ops = ", ".join(f'"{op}"' for op in missing)
    failures = "; ".join(failure for library in loaded for failure in library.failures[:3])
    why = f" (not loaded: {failures})" if failures else ""
    return ModelError(
        f"the graph has the op{'s' if len(missing) > 1 else ''} {ops}, which {names} "
        f"{'does' if len(model.op_libraries) == 1 else 'do'}n't register{why}",
        "name the library that has it as well: an op of a newer TensorFlow or of another package "
        "is refused",
    )
