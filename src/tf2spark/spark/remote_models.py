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

from tf2spark.errors import (
    OVERWRITE_ADVICE,
    ModelError,
    ModelNotFoundError,
    OutputError,
    SetupError,
)
from tf2spark.package.folder import check_size, sha256_of
from tf2spark.package.manifest import FILES, MANIFEST, FileEntry, Manifest, from_json, to_json
from tf2spark.package.staging import staged_path, staging_folder
from tf2spark.saved_model import reader
from tf2spark.saved_model.files import choose_version, is_version
from tf2spark.saved_model.reader import LoadedModel
from tf2spark.spark import hadoop
from tf2spark.spark.recognize import is_connect

GRAPH_FILE = "saved_model.pb"


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
    session = SparkSession.getActiveSession()
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
    spark: SparkSession, path: str, version: int | None, tags: Sequence[str] | None
) -> RemoteModel:
    """Read a model, a package, or the right one of a base path's version folders.

    Raises:
        ModelNotFoundError: There is nothing at the path, or no such version.
        ModelError: It is damaged or incomplete.
        StorageError: The storage can't be reached.
        SetupError: A jar is missing.
    """
    uri, number = _find(spark, hadoop.as_hadoop(path), version)
    if _has(spark, uri, MANIFEST):
        return RemoteModel(_read_package(spark, uri, number), uri, None)
    copy = _copy(spark, uri)
    loaded = reader.read(copy, tags=tags)
    contract = evolve(loaded.contract, path=uri, version=number)
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
    folders = hadoop.folders(spark, uri)
    versions = {int(name) for name in folders if is_version(name)}
    if not versions:
        raise ModelNotFoundError(
            f'"{uri}" is not a model: it contains neither {GRAPH_FILE} nor {MANIFEST} nor version '
            "folders with integer names"
        )
    chosen = choose_version(uri, versions, version)
    folder = f"{uri}/{chosen}"
    if not (_has(spark, folder, GRAPH_FILE) or _has(spark, folder, MANIFEST)):
        raise ModelError(
            f'version folder "{folder}" contains neither {GRAPH_FILE} nor {MANIFEST} (is it still '
            "being copied?)"
        )
    return folder, chosen


def _incomplete(uri: str) -> ModelError:
    return ModelError(
        f'"{uri}" is an incomplete package: it has {FILES}/ but no {MANIFEST}, which is written '
        "last; wait until the copy is done, or copy the package again"
    )


def _copy(spark: SparkSession, uri: str) -> Path:
    """Copy a SavedModel to this machine; one that changes meanwhile is refused."""
    before = hadoop.files(spark, uri)
    target = staging_folder() / f"model-{uuid.uuid4().hex[:12]}"
    for file in before:
        hadoop.download(spark, f"{uri}/{file.path}", target / file.path)
    if hadoop.files(spark, uri) != before:
        shutil.rmtree(target, ignore_errors=True)
        raise ModelError(f'"{uri}" changed while it was being read: read it again')
    return target


def _read_package(spark: SparkSession, uri: str, version: int | None) -> LoadedModel:
    manifest = _manifest(spark, uri)
    sizes = {file.path: file.size_bytes for file in hadoop.files(spark, f"{uri}/{FILES}")}
    for entry in manifest.files:
        if entry.stored not in sizes:
            raise ModelError(f'"{uri}" is incomplete: {FILES}/{entry.stored} is missing')
        check_size(entry, f"{uri}/{FILES}/{entry.stored}", sizes[entry.stored])
    graph = next((entry for entry in manifest.files if entry.path == GRAPH_FILE), None)
    if graph is None:
        raise ModelError(f'"{uri}" is a package without {GRAPH_FILE}')
    content = fetch_file(spark, uri, graph).read_bytes()
    return reader.read_package(uri, manifest, content, version)


def _manifest(spark: SparkSession, uri: str) -> Manifest:
    target = staging_folder() / f"manifest-{uuid.uuid4().hex[:12]}"
    hadoop.download(spark, f"{uri}/{MANIFEST}", target)
    return from_json(target.read_text(errors="replace"), f"{uri}/{MANIFEST}")


def fetch_file(spark: SparkSession, uri: str, entry: FileEntry) -> Path:
    """Return a verified copy on this machine of one of a package's files.

    Raises:
        ModelError: Its bytes are not those of the manifest.
    """
    target = staged_path(entry)
    if not target.exists():
        partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}")
        hadoop.download(spark, f"{uri}/{FILES}/{entry.stored}", partial)
        if sha256_of(partial) != entry.sha256:
            partial.unlink()
            raise ModelError(
                f'"{uri}/{FILES}/{entry.stored}" ({entry.path}) is damaged: its SHA-256 doesn\'t '
                "match the manifest; copy the package again"
            )
        partial.rename(target)
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
    _replace_manifest(spark, manifest, uri)
    for file in hadoop.files(spark, f"{uri}/{FILES}"):
        if file.path not in kept:
            hadoop.delete(spark, f"{uri}/{FILES}/{file.path}")


def _replace_manifest(spark: SparkSession, manifest: Manifest, uri: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / MANIFEST
        local.write_text(to_json(manifest))
        if hadoop.scheme_of(uri) in hadoop.OBJECT_STORES:
            # There a file replaces the old one once it is complete.
            hadoop.upload(spark, local, f"{uri}/{MANIFEST}")
            return
        written = f"{uri}/.{MANIFEST}-{uuid.uuid4().hex[:12]}"
        hadoop.upload(spark, local, written)
        hadoop.replace(spark, written, f"{uri}/{MANIFEST}")
