"""The session of a model in this process: opened by the first task, kept for all later ones."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tf2spark.package.file_source import FileSource, ModelFolder, PackageFolder, ShippedFiles
from tf2spark.package.host_cache import LIMIT_BYTES, HeldModel, hold_model
from tf2spark.package.manifest import FileEntry
from tf2spark.plan.score import ModelRef
from tf2spark.tensorflow_c.mapped_files import mapped_tensor
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.process import cached_session
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.op_libraries import load_op_libraries
from tf2spark.worker.openings import count_opening

Locate = Callable[[FileEntry], Path]
"""A function that returns where a file that came with the job lies on this host."""


def session_of(model: ModelRef, locate: Locate | None = None) -> CApiSession:
    """Return this process's session for a model, keyed by the content of its files.

    Args:
        model: The model.
        locate: Finds the files of a model that came with the job.

    Raises:
        ModelError: The model can't be loaded, or its files are not those of the reference.
        SetupError: TensorFlow or an op library is missing on this host, or doesn't fit; or the
            host's cache can't be used.
    """
    # By content and not by path: a model that is replaced at its path gets a session of its own.
    libraries = ",".join(library.key for library in model.op_libraries)
    threads = f"{model.threads}{' divides' if model.divides_ops else ''}"
    key = f"{model.digest} {','.join(model.tags)} {threads} {libraries}"
    session = cached_session(key, lambda: _open_counted(model, locate))
    if model.storage == "own":
        # Equal calls of `recommend` have a folder each, of which the older ones are removed.
        session.move(model.path)
    return session


def _open_counted(model: ModelRef, locate: Locate | None) -> CApiSession:
    started = time.monotonic()
    session = _open(model, locate)
    count_opening(model.openings, time.monotonic() - started)
    return session


def _open(model: ModelRef, locate: Locate | None) -> CApiSession:
    load_op_libraries(model, locate)
    if model.storage == "own":
        return open_model(model, Path(model.path))
    held = hold_files(model, locate)
    try:
        session = open_model(model, held.folder)
        try:
            held.check_unchanged()
        except BaseException:
            session.close()
            raise
    except BaseException:
        held.release()
        raise
    # At the end of the process, its locks end with it.
    weakref.finalize(session, held.release).atexit = False
    return session


def hold_files(model: ModelRef, locate: Locate | None = None) -> HeldModel:
    """Return a model's files in the host's cache, verified; the caller releases them.

    Arguments and errors are those of `session_of`.
    """
    limit_bytes = LIMIT_BYTES if model.cache_bytes is None else model.cache_bytes
    source = _source(model, locate)
    return hold_model(model.digest, model.files, source, root=model.cache, limit_bytes=limit_bytes)


def _source(model: ModelRef, locate: Locate | None) -> FileSource:
    if model.storage == "shipped":
        assert locate is not None, model
        return ShippedFiles(locate, _chunk_readers(model))
    return source_on_this_machine(model)


def _chunk_readers(model: ModelRef) -> dict[str, list[Callable[[], bytes]]]:
    return {
        file.sha256: [partial(_read_chunk, chunk) for chunk in file.chunks]
        for file in model.broadcast
    }


def _read_chunk(variable: Any) -> bytes:
    """Return the bytes of a broadcast variable, which PySpark would keep in memory from then on."""
    chunk: bytes = variable.value
    vars(variable).pop("_value", None)
    return chunk


def source_on_this_machine(model: ModelRef) -> FileSource:
    """Return where the files of a model lie whose path is a folder of this machine."""
    folder = Path(model.path)
    return PackageFolder(folder) if model.storage == "package" else ModelFolder(folder)


def open_model(
    model: ModelRef, folder: Path, *, weights: Path | None = None, optimizes: bool = True
) -> CApiSession:
    """Open a new session for a model that lies unpacked in a folder; the caller closes it.

    Args:
        model: Its tags, threads and weights.
        folder: The folder of its ``saved_model.pb``.
        weights: The folder of its weights, if another.
        optimizes: TensorFlow optimizes the graph, which takes longer than the few runs of a check.
    """
    load_op_libraries(model)  # of what `session_of` opens, they are loaded already
    session = open_session(
        str(folder),
        model.tags,
        threads=model.threads,
        divides_ops=model.divides_ops,
        optimizes=optimizes,
        name=model.path,
    )
    try:
        for weight in model.weights:
            session.feed_always(weight.tensor, mapped_tensor(weight, weights or folder))
        if model.initialization.ops:
            session.initialize(model.initialization)
    except BaseException:
        # Spark retries a task in the same worker: a session left open would stay there each time.
        session.close()
        raise
    return session
