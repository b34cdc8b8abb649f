"""Sends the model's files, and tf2spark itself, to the executors.

Every file ships on its own, under a name that begins with the SHA-256 of its content. So equal
names mean equal bytes, and a file is never partial: Spark fetches a single file under a temporary
name and renames it, while a folder whose transfer breaks off stays partial for good
(``Utils.fetchFile``). The worker verifies the files when it copies them into the host cache. The
names are such that neither Spark nor Python acts upon them: see `tf2spark.package.stored_names`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import threading
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attr
import attrs
from attrs import evolve
from pyspark.errors import UnsupportedOperationException
from pyspark.sql import SparkSession

from tf2spark._vendored import FOLDER
from tf2spark.errors import ContractError
from tf2spark.package.manifest import FILES, FileEntry
from tf2spark.package.op_libraries import LibraryFile
from tf2spark.package.staging import staged_copy, staging_folder
from tf2spark.package.stored_names import readable_names
from tf2spark.plan.score import ModelRef
from tf2spark.spark.broadcast.files import broadcast_files
from tf2spark.spark.facts.containers import memory_mib
from tf2spark.spark.facts.openings import openings_accumulator
from tf2spark.spark.hadoop import exists, explain_java_errors, scheme_of
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.remote_models import fetch_file
from tf2spark.spark.session import check_local_python, runs_here
from tf2spark.worker.model_session import source_on_this_machine

CACHE_SETTING = "spark.tf2spark.cache.dir"
CACHE_SIZE_SETTING = "spark.tf2spark.cache.size"
SHARED_SETTING = "spark.tf2spark.shared.folders"
_YARN_FILES = "spark.yarn.dist.files"
_OWN = Path(__file__).parent.parent
_sent: set[tuple[str, str]] = set()
_lock = threading.Lock()


def ship(spark: SparkSession, model: ModelRef, *, for_stream: bool = False) -> ModelRef:
    """Send a model to the executors of a session, once per session.

    With a local master, tasks run on this machine, where the model already is, and nothing is
    sent. Executors fetch the files of a package on HDFS or object storage from there, large files
    of this machine from each other, and small ones from the driver. A server that takes no files
    has to find the model itself.

    Args:
        spark: The session.
        model: The model.
        for_stream: Send it to a local master too. A streaming query may run for months, in which
            the model's folder is overwritten and the host's cache is cleaned.

    Returns:
        The model as workers find it.

    Raises:
        ContractError: The setting for the size of the host cache is not a size.
        SetupError: Local workers run a Python that lacks a package.
        ModelError: The model changed after it was read, or a file of a package is missing.
        StorageError: A file of a package can't be read.
    """
    cache, limit = (spark.conf.get(key, None) for key in (CACHE_SETTING, CACHE_SIZE_SETTING))
    counted = openings_accumulator(spark)
    model = evolve(model, cache=cache, cache_bytes=_size_bytes(limit), openings=counted)
    runs_locally = not is_connect(spark) and runs_here(str(spark.sparkContext.master))
    if runs_locally:
        check_local_python(spark)
    if runs_locally and scheme_of(model.path) is None and not for_stream:
        return model
    if for_stream and is_connect(spark):
        # Spark runs the query in a clone of the session, whose tasks don't get the session's files
        # (seen on 4.3). So workers have to find the model, and tf2spark, as on Sail.
        return model
    with _lock:
        if not runs_locally and not _send_own_code(spark):
            return model
        if not for_stream and _is_shared(spark, model):
            return model
        sent = evolve(model, files=_not_there(spark, model))
        if not is_connect(spark) and not runs_locally and scheme_of(model.path) is None:
            sent = evolve(
                sent, broadcast=broadcast_files(spark, sent, source_on_this_machine(sent))
            )
        for path in (*_shipped_paths(spark, sent), *_shipped_libraries(sent)):
            _send_once(spark, path)
    return evolve(model, storage="shipped", broadcast=sent.broadcast)


def ship_own_code(spark: SparkSession) -> None:
    """Send tf2spark itself to the executors of a session, unless they are on this machine.

    Raises:
        SetupError: Local workers run a Python that lacks a package.
    """
    if not is_connect(spark) and runs_here(str(spark.sparkContext.master)):
        check_local_python(spark)
        return
    with _lock:
        _send_own_code(spark)


def _send_own_code(spark: SparkSession) -> bool:
    """Send tf2spark itself; False if the session takes no files.

    Sail's server takes none (as of 0.7.2). Its workers have to have tf2spark, and find the model
    under its path; they verify it there, as they do everywhere.
    """
    try:
        _send_once(spark, str(own_zip()), pyfile=True)
    except UnsupportedOperationException:
        if not is_connect(spark):
            raise
        return False
    return True


def _is_shared(spark: SparkSession, model: ModelRef) -> bool:
    """Say whether all of a model lies where the user says that executors have the same files."""
    setting = spark.conf.get(SHARED_SETTING, None) or ""
    folders = [folder.strip() for folder in setting.split(",") if folder.strip()]
    libraries = (library.path for library in model.op_libraries if library.file is not None)
    paths = [os.path.abspath(path) for path in (model.path, *libraries)]
    return scheme_of(model.path) is None and all(
        any(Path(path).is_relative_to(folder) for folder in folders) for path in paths
    )


def _not_there(spark: SparkSession, model: ModelRef) -> tuple[FileEntry, ...]:
    """Return the files of a model that YARN doesn't bring to the executors by itself.

    It puts what ``spark.yarn.dist.files`` names where Spark looks for files of the job, and the
    name of a package's file says what is in it.
    """
    if is_connect(spark) or str(spark.sparkContext.master) != "yarn":
        return model.files
    uris = str(spark.sparkContext.getConf().get(_YARN_FILES, "")).split(",")
    names = {re.split("[/#]", uri.strip())[-1] for uri in uris}
    return tuple(entry for entry in model.files if entry.stored not in names)


def _size_bytes(text: str | None) -> int | None:
    mebibytes = None if text is None else memory_mib(text)
    if text is not None and mebibytes is None:
        raise ContractError(
            f"{CACHE_SIZE_SETTING}={text} is not a size; write it as Spark does, 20g or 512m"
        )
    return None if mebibytes is None else int(mebibytes * 2**20)


def _shipped_paths(spark: SparkSession, model: ModelRef) -> Iterator[str]:
    """Yield what executors fetch: files on the storage, or copies that this process keeps."""
    if scheme_of(model.path) is None:
        source, broadcast = source_on_this_machine(model), {file.sha256 for file in model.broadcast}
        for entry in (each for each in model.files if each.sha256 not in broadcast):
            yield str(staged_copy(entry, source))
        return
    for entry in model.files:
        path = f"{model.path}/{FILES}/{entry.stored}"
        # An early package may have a file only under a name that must not reach executors.
        is_early = len(readable_names(entry.sha256, entry.path)) > 1 and not exists(spark, path)
        yield str(fetch_file(spark, model.path, entry)) if is_early else path


def _shipped_libraries(model: ModelRef) -> Iterator[str]:
    """Yield copies of the op libraries that are files; modules are on the executors already."""
    for library in model.op_libraries:
        if library.file is not None:
            yield str(staged_copy(library.file, LibraryFile(Path(library.path))))


def _session_id(spark: Any) -> str:
    # Only Connect's session has an id of its own; files added to a context stay as long as it does.
    return str(spark.session_id if is_connect(spark) else spark.sparkContext.applicationId)


def _send_once(spark: SparkSession, path: str, *, pyfile: bool = False) -> None:
    session = _session_id(spark)
    if (session, path) in _sent:
        return
    if is_connect(spark):
        spark.addArtifacts(path, pyfile=pyfile, file=not pyfile)
    elif pyfile:
        spark.sparkContext.addPyFile(path)
    else:
        with explain_java_errors(spark, path):
            spark.sparkContext.addFile(path)
    _sent.add((session, path))


@functools.cache
def own_zip() -> Path:
    """Return tf2spark as a zip that Python imports from, with attrs, named by its content."""
    members = sorted(_members())
    digest = hashlib.sha256()
    for name, path in members:
        digest.update(f"{name}\0".encode() + path.read_bytes())
    target = staging_folder() / f"tf2spark-{version('tf2spark')}-{digest.hexdigest()[:16]}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members:
            archive.write(path, name)
    return target


def _members() -> Iterator[tuple[str, Path]]:
    vendored = (Path(str(package.__file__)).parent for package in (attr, attrs))
    for folder, prefix in ((_OWN, ""), *((folder, FOLDER) for folder in vendored)):
        # The lists of ops are text files: a pickled `SavedModel` checks its ops on the worker.
        for path in (*folder.rglob("*.py"), *folder.rglob("*.txt")):
            yield str(Path(prefix) / folder.name / path.relative_to(folder)), path
