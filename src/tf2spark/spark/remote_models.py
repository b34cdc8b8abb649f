"""Models on HDFS and object storage: reads models, and writes packages.

The driver copies a plain SavedModel to this machine and treats it as a local one. Of a package it
copies only the manifest and the graph; the executors fetch the other files themselves.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import evolve, frozen
from pyspark.sql import SparkSession

from tf2spark import other_formats
from tf2spark.errors import (
    OVERWRITE_ADVICE,
    ModelError,
    ModelNotFoundError,
    OutputError,
    SetupError,
)
from tf2spark.package.digests import check_digest
from tf2spark.package.file_source import damaged
from tf2spark.package.folder import check_size, find_stored
from tf2spark.package.manifest import FILES, MANIFEST, FileEntry, Manifest, to_json
from tf2spark.package.manifest_reader import MAX_MANIFEST_BYTES, from_json, path_problem
from tf2spark.package.safe_files import MAX_FILES, open_regular, sha256_of
from tf2spark.package.staging import staged_path, staging_folder
from tf2spark.package.stored_names import readable_names
from tf2spark.saved_model import reader
from tf2spark.saved_model.files import choose_version, is_version
from tf2spark.saved_model.reader import LoadedModel
from tf2spark.shown_text import redact
from tf2spark.spark import hadoop
from tf2spark.spark.recognize import is_connect
from tf2spark.spark.session import current_session

GRAPH_FILE = "saved_model.pb"
# In how many folders below one that isn't a model a model is looked for.
_LOOKED_INTO = 10


@frozen(eq=False)
class RemoteModel:
    """A model that was read from a URI.

    Attributes:
        loaded: The model.
        uri: Where it is.
        copy: Its copy on this machine; None for a package.
    """

    loaded: LoadedModel
    uri: str
    copy: Path | None


def session_for(path: str) -> SparkSession:
    """Return the session through which a URI is read.

    Raises:
        SetupError: There is none.
    """
    session = current_session()
    if session is None:
        raise SetupError(
            f'"{path}" is read through Spark, with the settings and keys of its session: start the '
            "session first (SparkSession.builder...getOrCreate())"
        )
    if is_connect(session):
        raise SetupError(
            f'"{path}" can\'t be read from here: a Spark Connect client has no access to the '
            "cluster's file systems. Copy the model to this machine, and give its path"
        )
    return session


def read_remote(
    spark: SparkSession,
    path: str,
    version: int | None,
    tags: Sequence[str] | None,
    digest: str | None = None,
) -> RemoteModel:
    """Read a model, a package, or the right one of a base path's version folders.

    Args:
        spark: The session through which it is read.
        path: Its URI.
        version: The version folder; None for the largest.
        tags: The tags of the MetaGraph; None for the default.
        digest: The digest (hex) that the model must have; None for any.

    Raises:
        ModelNotFoundError: There is nothing at the path, or no such version.
        ModelError: It is damaged or incomplete, or has another digest.
        StorageError: The storage can't be reached.
        SetupError: A jar is missing.
    """
    uri, number = _find(spark, hadoop.as_hadoop(path), version)
    if _has(spark, uri, MANIFEST):
        return RemoteModel(_read_package(spark, uri, number, digest), uri, None)
    copy = _copy(spark, uri)
    loaded = reader.read(copy, tags=tags, digest=digest)
    contract = evolve(loaded.contract, path=redact(uri), version=number)
    return RemoteModel(evolve(loaded, contract=contract), uri, copy)


def _has(spark: SparkSession, uri: str, name: str) -> bool:
    return hadoop.exists(spark, f"{uri}/{name}")


def _find(spark: SparkSession, uri: str, version: int | None) -> tuple[str, int | None]:
    if _has(spark, uri, GRAPH_FILE) or _has(spark, uri, MANIFEST):
        if version is not None:
            raise ModelError(
                f'version={version} was given, but "{uri}" is a model itself; leave version out, '
                "or give the folder that contains the version folders"
            )
        return uri, None
    if _has(spark, uri, FILES):
        raise _incomplete(uri)
    try:
        folders = hadoop.folders(spark, uri)
    except ModelNotFoundError as error:
        raise _nothing_at(spark, uri, error) from None
    versions = {int(name) for name in folders if is_version(name)}
    if not versions:
        raise _not_a_model(spark, uri, folders)
    chosen = choose_version(uri, versions, version)
    folder = f"{uri}/{chosen}"
    if not (_has(spark, folder, GRAPH_FILE) or _has(spark, folder, MANIFEST)):
        raise ModelError(
            f'version folder "{folder}" contains neither {GRAPH_FILE} nor {MANIFEST} (is it still '
            "being copied?)"
        )
    return folder, chosen


def _not_a_model(spark: SparkSession, uri: str, folders: Sequence[str]) -> ModelError:
    is_file = hadoop.is_file(spark, uri)
    parent, _, name = uri.rpartition("/")
    if name == GRAPH_FILE and is_file:
        problem = f'a SavedModel is a folder, but "{uri}" is a file'
        return ModelNotFoundError(problem, f'pass its folder, "{parent}"')
    model = other_formats.model_around(uri, is_folder=not is_file)
    if model is not None and _has(spark, model, GRAPH_FILE):
        return other_formats.part_error(uri, model)
    if is_file:
        if kind := _kind_of(spark, uri):
            return other_formats.error_of(kind, redact(uri))
        return ModelNotFoundError(f'a SavedModel is a folder, but "{uri}" is a file')
    below = [f"{uri}/{folder}" for folder in sorted(folders)[:_LOOKED_INTO]]
    if models := [folder for folder in below if _has(spark, folder, GRAPH_FILE)]:
        return other_formats.not_a_model_but(uri, models)
    names = hadoop.file_names(spark, uri)[:_LOOKED_INTO]
    return other_formats.advice_of_files(
        redact(uri), names, lambda name: _kind_of(spark, f"{uri}/{name}")
    ) or ModelNotFoundError(
        f'"{uri}" is not a model: it contains neither {GRAPH_FILE} nor {MANIFEST} nor version '
        "folders with integer names"
    )


def _kind_of(spark: SparkSession, uri: str) -> str | None:
    """Return the format of a file that is no SavedModel, by its content or its name."""
    first, last = hadoop.ends_of(spark, uri, other_formats.HEAD_BYTES, other_formats.END_BYTES)
    return other_formats.kind_of_content(first, last, uri.rpartition("/")[2])


def _nothing_at(spark: SparkSession, uri: str, error: ModelNotFoundError) -> ModelError:
    """Return the error of a path where nothing is, which may be the prefix of a checkpoint."""
    if hadoop.exists(spark, f"{uri}.index"):
        return other_formats.error_of("checkpoint", redact(uri))
    return error


def _incomplete(uri: str) -> ModelError:
    return ModelError(
        f'"{uri}" is an incomplete package: it has {FILES}/ but no {MANIFEST}, which is written '
        "last; wait until the copy is done, or copy the package again"
    )


def _copy(spark: SparkSession, uri: str) -> Path:
    """Copy a SavedModel to this machine; one that changes meanwhile is refused."""
    before = hadoop.files(spark, uri, limit=MAX_FILES)
    for file in before:
        # An object store allows any name, also one that leads out of a folder.
        if problem := path_problem(file.path):
            raise ModelError(f'"{uri}" has a file that no model has: {problem}')
    target = staging_folder() / f"model-{uuid.uuid4().hex[:12]}"
    for file in before:
        hadoop.download(spark, f"{uri}/{file.path}", target / file.path)
    if hadoop.files(spark, uri, limit=MAX_FILES) != before:
        shutil.rmtree(target, ignore_errors=True)
        raise ModelError(f'"{uri}" changed while it was being read: read it again')
    return target


def _read_package(
    spark: SparkSession, uri: str, version: int | None, digest: str | None
) -> LoadedModel:
    manifest = _manifest(spark, uri)
    check_digest(digest, manifest.digest, uri)
    listed = hadoop.files(spark, f"{uri}/{FILES}", limit=MAX_FILES)
    sizes_bytes = {file.path: file.size_bytes for file in listed}
    for entry in manifest.files:
        name = find_stored(entry, sizes_bytes.__contains__)
        if name is None:
            raise ModelError(f'"{uri}" is incomplete: {FILES}/{entry.stored} is missing')
        check_size(entry, f"{uri}/{FILES}/{name}", sizes_bytes[name])
    graph = next((entry for entry in manifest.files if entry.path == GRAPH_FILE), None)
    if graph is None:
        raise ModelError(f'"{uri}" is a package without {GRAPH_FILE}')
    content = fetch_file(spark, uri, graph).read_bytes()
    return reader.read_package(redact(uri), manifest, content, version)


def _manifest(spark: SparkSession, uri: str) -> Manifest:
    location = f"{uri}/{MANIFEST}"
    size_bytes = hadoop.size_bytes(spark, location)
    if size_bytes > MAX_MANIFEST_BYTES:
        raise ModelError(
            f'"{location}" has {size_bytes:,} bytes; a manifest has at most {MAX_MANIFEST_BYTES:,}'
        )
    target = staging_folder() / f"manifest-{uuid.uuid4().hex[:12]}"
    hadoop.download(spark, location, target)
    try:
        return from_json(target.read_bytes(), location)
    finally:
        target.unlink()


def fetch_file(spark: SparkSession, uri: str, entry: FileEntry) -> Path:
    """Return a verified copy on this machine of one of a package's files.

    Raises:
        ModelError: Its bytes are not those of the manifest.
    """
    target = staged_path(entry)
    if not target.exists():
        partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}")
        location = f"{uri}/{FILES}/{_stored_name(spark, uri, entry)}"
        hadoop.download(spark, location, partial)
        with open_regular(partial) as stream:
            is_intact = sha256_of(stream) == (entry.sha256, entry.size_bytes)
        if not is_intact:
            partial.unlink()
            raise damaged(location, entry)
        partial.rename(target)
    return target


def _stored_name(spark: SparkSession, uri: str, entry: FileEntry) -> str:
    names = readable_names(entry.sha256, entry.path)
    if len(names) == 1:  # the usual case, without a request
        return names[0]
    return find_stored(entry, lambda name: _has(spark, uri, f"{FILES}/{name}")) or names[0]


def download_file(spark: SparkSession, uri: str) -> Path:
    """Return a copy on this machine of a single file, for as long as this process runs.

    Raises:
        ModelError: There is no such file.
        StorageError: The storage can't be reached.
    """
    target = staging_folder() / f"file-{uuid.uuid4().hex[:12]}"
    if not hadoop.exists(spark, uri):
        raise ModelError(f'there is no file at "{redact(uri)}"')
    hadoop.download(spark, hadoop.as_hadoop(uri), target)
    return target


def fetch_all(spark: SparkSession, uri: str, files: tuple[FileEntry, ...]) -> Path:
    """Copy a package's files to this machine, and return the folder that they are in."""
    for entry in files:
        fetch_file(spark, uri, entry)
    return staging_folder()


def check_package_free(spark: SparkSession, uri: str, *, overwrite: bool) -> None:
    """Raise `OutputError` where a package must not be written to `uri`."""
    if not hadoop.exists(spark, uri):
        return
    if not overwrite:
        raise OutputError(f"{uri} already exists", OVERWRITE_ADVICE)
    if not (_has(spark, uri, MANIFEST) or _has(spark, uri, FILES)):
        raise OutputError(
            f"{uri} exists and is not a tf2spark package, so it is not overwritten: remove it, or "
            "choose another path"
        )


def write_remote(
    spark: SparkSession,
    manifest: Manifest,
    locate: Callable[[FileEntry], Path],
    uri: str,
    *,
    overwrite: bool,
) -> None:
    """Write a package: its files, then the manifest, without which it counts as absent.

    Files are named by their content. Those of a package that is replaced stay as they are, so that
    jobs which use them go on; files that neither package lists are deleted.

    Raises:
        OutputError: There is something at `uri` and `overwrite` is false.
        StorageError: It can't be written.
    """
    check_package_free(spark, uri, overwrite=overwrite)
    kept = {entry.stored for entry in manifest.files}
    if _has(spark, uri, MANIFEST):
        kept |= {entry.stored for entry in _manifest(spark, uri).files}
    for entry in manifest.files:
        hadoop.upload(spark, locate(entry), f"{uri}/{FILES}/{entry.stored}")
    try:
        _write_manifest(spark, manifest, uri, overwrite=overwrite)
    except FileExistsError:
        _delete_files_except(spark, uri, {entry.stored for entry in _manifest(spark, uri).files})
        raise OutputError(
            f"{uri} appeared while this package was being written: it stays, and the new package "
            "was removed",
            OVERWRITE_ADVICE,
        ) from None
    _delete_files_except(spark, uri, kept)


def _delete_files_except(spark: SparkSession, uri: str, kept: set[str]) -> None:
    for file in hadoop.files(spark, f"{uri}/{FILES}"):
        if file.path not in kept:
            hadoop.delete(spark, f"{uri}/{FILES}/{file.path}")


def _write_manifest(spark: SparkSession, manifest: Manifest, uri: str, *, overwrite: bool) -> None:
    """Write the manifest in one step, which makes the package valid.

    Raises:
        FileExistsError: There is one, and `overwrite` is false.
    """
    with tempfile.TemporaryDirectory(prefix="manifest-", dir=staging_folder()) as folder:
        local = Path(folder) / MANIFEST
        local.write_text(to_json(manifest))
        if hadoop.scheme_of(uri) in hadoop.OBJECT_STORES:
            # There a file replaces the old one once it is complete.
            if not overwrite and _has(spark, uri, MANIFEST):
                raise FileExistsError(uri)
            hadoop.upload(spark, local, f"{uri}/{MANIFEST}")
            return
        written = f"{uri}/.{MANIFEST}-{uuid.uuid4().hex[:12]}"
        hadoop.upload(spark, local, written)
        rename = hadoop.replace if overwrite else hadoop.rename_new
        try:
            rename(spark, written, f"{uri}/{MANIFEST}")
        finally:
            hadoop.delete(spark, written)
