"""Reads a model wherever it is: on this machine, in MLflow, or through a Spark session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from tf2spark import other_formats
from tf2spark.errors import ContractError, ModelError
from tf2spark.locations.optional_imports import need_pyspark
from tf2spark.locations.paths import is_of_mlflow, is_uri, local_path
from tf2spark.saved_model import reader

if TYPE_CHECKING:
    from tf2spark.registry.fetch import FetchedModel


def read_model(
    path: str, version: int | None, tags: Sequence[str] | None, digest: str | None = None
) -> tuple[reader.LoadedModel, str]:
    """Return a model, and its location for workers: a folder, or a package's URI.

    Args:
        path: The model; see `tf2spark.SavedModel`.
        version: The version folder; None for the largest.
        tags: The tags of the MetaGraph; None for the default.
        digest: The digest (hex) that the model must have; None for any.

    Raises:
        ModelError: It can't be read, or has another digest.
        SetupError: It is on another file system, and there is no Spark session to read it through;
            or it is in MLflow, which isn't installed or has no server.
        StorageError: Where it is can't be reached.
    """
    if is_of_mlflow(path):
        return _read_from_mlflow(path, version, tags, digest)
    other_formats.check_address(path)
    if not is_uri(path):
        loaded = reader.read(path, version=version, tags=tags, digest=digest)
        return loaded, loaded.contract.path
    need_pyspark()
    from tf2spark.spark.remote_models import read_remote, session_for

    remote = read_remote(session_for(path), path, version, tags, digest)
    return remote.loaded, str(remote.copy or remote.uri)


def _read_from_mlflow(
    path: str, version: int | None, tags: Sequence[str] | None, digest: str | None
) -> tuple[reader.LoadedModel, str]:
    """Return a model in MLflow, and its folder on this machine, to which its files were copied."""
    if version is not None:
        raise ContractError(
            f'version={version} is for folders, and "{path}" names a model of MLflow',
            "write the version into the URI: models:/NAME/VERSION",
        )
    from tf2spark.registry.fetch import keras_error

    fetched = fetch_from_mlflow(path)
    if fetched.kind == "keras":
        raise keras_error(fetched)
    folder = str(fetched.path)
    try:
        loaded = reader.read(folder, tags=tags, digest=digest or fetched.digest)
    except ModelError as error:
        # It names the copy, which the user doesn't know.
        error.problem = type(error.problem)(error.problem.replace(folder, fetched.uri))
        if isinstance(error.advice, str):
            error.advice = error.advice.replace(folder, fetched.uri)
        raise
    contract = evolve(loaded.contract, path=fetched.uri, version=None)
    return evolve(loaded, contract=contract, logged_call=fetched.call), loaded.contract.path


def fetch_from_mlflow(path: str) -> FetchedModel:
    from tf2spark.registry.fetch import describe, fetch

    return fetch(path) if is_uri(path) else describe(path, local_path(path))
