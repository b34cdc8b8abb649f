"""Where models are: on this machine, or on a file system that is reached through Spark."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve

from tf2spark.package.folder import located_in, read_manifest
from tf2spark.plan.score import ModelRef
from tf2spark.saved_model import reader


def read_model(
    path: str, version: int | None, tags: Sequence[str] | None
) -> tuple[reader.LoadedModel, str]:
    """Return a model, and its location for workers: a folder, or a package's URI.

    Raises:
        ModelError: It can't be read.
        SetupError: It is on another file system, and there is no Spark session to read it through.
    """
    if not is_uri(path):
        loaded = reader.read(path, version=version, tags=tags)
        return loaded, loaded.contract.path
    need_pyspark()
    from tf2spark.spark.remote_models import read_remote, session_for

    remote = read_remote(session_for(path), path, version, tags)
    return remote.loaded, str(remote.copy or remote.uri)


def is_uri(path: str) -> bool:
    """Return whether a path is on a file system other than this machine's."""
    return re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:/", path) is not None


@contextmanager
def package_folder(target: str, *, overwrite: bool) -> Iterator[Path]:
    """Yield the local folder to write a package to; a remote target is uploaded at the end.

    Raises:
        OutputError: The target exists, or can't be written.
    """
    if not is_uri(target):
        yield Path(os.path.abspath(os.path.expanduser(target.removeprefix("file://"))))
        return
    need_pyspark()
    from tf2spark.spark import remote_models

    spark = remote_models.session_for(target)
    # Before anything is compiled, which may take minutes.
    remote_models.check_package_free(spark, target, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="tf2spark-package-") as folder:
        package = Path(folder) / "package"
        yield package
        remote_models.write_remote(
            spark,
            read_manifest(package),
            located_in(package),
            target,
            overwrite=overwrite,
        )


def fetch_to_this_machine(model: ModelRef) -> ModelRef:
    """Return a reference to the model on this machine; a remote package is fetched."""
    if not is_uri(model.path):
        return model
    from tf2spark.spark.remote_models import fetch_all, session_for

    folder = fetch_all(session_for(model.path), model.path, model.files)
    return evolve(model, path=str(folder))


def need_pyspark() -> None:
    """Check that PySpark can be imported.

    Raises:
        SetupError: It can't.
    """
    from tf2spark.spark.session import need_pyspark as need

    need()
