"""Copies of models and op libraries that are on other file systems, on this machine."""

from __future__ import annotations

from attrs import evolve

from tf2spark.locations.optional_imports import need_pyspark
from tf2spark.locations.paths import is_uri
from tf2spark.plan.score import ModelRef


def fetch_to_this_machine(model: ModelRef) -> ModelRef:
    """Return a reference to the model on this machine; a remote package is fetched."""
    if not is_uri(model.path):
        return model
    from tf2spark.spark.remote_models import fetch_all, session_for

    folder = fetch_all(session_for(model.path), model.path, model.files)
    return evolve(model, path=str(folder))


def library_on_this_machine(path: str) -> str:
    """Return the path of a file on this machine; one on another file system is fetched.

    Raises:
        SetupError: There is no Spark session to fetch it through.
        StorageError: It can't be fetched.
    """
    if not is_uri(path):
        return path.removeprefix("file://") if path.startswith("file://") else path
    need_pyspark()
    from tf2spark.spark.remote_models import download_file, session_for

    return str(download_file(session_for(path), path))
