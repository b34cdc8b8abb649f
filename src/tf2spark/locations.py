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


def read(
    path: str, version: int | None, tags: Sequence[str] | None
) -> tuple[reader.LoadedModel, str]:
    """Return the model that was read, and where workers of this machine, or all, find it."""
    if not is_uri(path):
        loaded = reader.read(path, version=version, tags=tags)
        return loaded, loaded.contract.path
    need_pyspark()
    from tf2spark.spark.remote_models import read_remote, session_for

    found = read_remote(session_for(path), path, version, tags)
    return found.loaded, str(found.copy or found.uri)


def is_uri(path: str) -> bool:
    """Say whether a path is on another file system than this machine's."""
    return re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:/", path) is not None


@contextmanager
def written(target: str, *, overwrite: bool) -> Iterator[Path]:
    """Yield the local folder that a package is written to, and upload it where it belongs."""
    if not is_uri(target):
        yield Path(os.path.abspath(os.path.expanduser(target.removeprefix("file://"))))
        return
    need_pyspark()
    from tf2spark.spark import remote_models

    spark = remote_models.session_for(target)
    remote_models.check_free(spark, target, overwrite=overwrite)
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


def on_this_machine(model: ModelRef) -> ModelRef:
    """Fetch a package that lies elsewhere, for scoring in this process."""
    if not is_uri(model.path):
        return model
    from tf2spark.spark.remote_models import fetch_all, session_for

    folder = fetch_all(session_for(model.path), model.path, model.files)
    return evolve(model, path=str(folder))


def need_pyspark() -> None:
    """Raise `SetupError` where PySpark can't be imported."""
    from tf2spark.spark.session import need_pyspark as need

    need()
