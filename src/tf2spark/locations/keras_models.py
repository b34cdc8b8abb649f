"""Keras models, from files, MLflow or memory, exported so that they can be read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tf2spark import other_formats
from tf2spark.binding.argument_types import path_text
from tf2spark.locations.fetch import library_on_this_machine
from tf2spark.locations.optional_imports import compiler_module
from tf2spark.locations.paths import is_of_mlflow, is_uri, local_path
from tf2spark.locations.read import fetch_from_mlflow
from tf2spark.package.staging import staging_folder
from tf2spark.table_types import is_keras_model


class KerasModel(Protocol):
    """A model of Keras 3 or tf_keras in memory. A protocol, as neither has to be installed."""

    def get_config(self) -> object:
        """Return what the model can be made from anew."""

    def get_weights(self) -> object:
        """Return the values of its variables."""


@contextmanager
def saved_model_of(
    model: str | os.PathLike[str] | KerasModel,
) -> Iterator[tuple[str, str | None]]:
    """Yield the path of a model for `read_model`; a Keras model is exported for the block.

    Args:
        model: The path of a SavedModel or of a Keras file, a model's URI in MLflow, or a Keras
            model in memory.

    Yields:
        The path, and what the model was exported from, or None.

    Raises:
        ContractError: It is none of these.
        ModelError: Keras can't load or export it.
        SetupError: TensorFlow, Keras or PySpark is missing.
    """
    in_memory = is_keras_model(model)
    path = "" if in_memory else path_text(model, name="the model")
    source = path
    if is_of_mlflow(path):
        fetched = fetch_from_mlflow(path)
        if fetched.kind == "saved_model":
            yield fetched.uri, None
            return
        path, source = str(fetched.path), fetched.uri
    if not in_memory and not _is_keras_file(path):
        yield path, None
        return
    exporter = compiler_module("keras_models")
    with tempfile.TemporaryDirectory(prefix="keras-", dir=staging_folder()) as name:
        folder = Path(name) / "model"
        if in_memory:
            source = f"Keras model {getattr(model, 'name', '')}".rstrip()
            exporter.export_object(model, folder, source)
        else:
            exporter.export_file(_with_ending(path, Path(name)), folder, source)
        yield str(folder), source


def _is_keras_file(path: str) -> bool:
    if is_uri(path):
        return other_formats.kind_by_name(path) == "keras"
    local = local_path(path)
    return local.is_file() and other_formats.kind_of_file(local) == "keras"


def _with_ending(path: str, folder: Path) -> Path:
    """Return a link to a Keras file with the ending by which Keras knows its format."""
    source = Path(library_on_this_machine(path)).expanduser().absolute()
    with source.open("rb") as stream:
        is_zip = stream.read(2) == b"PK"
    link = folder / ("model.keras" if is_zip else "model.h5")
    link.symlink_to(source)
    return link
