"""Saving a stage and loading it: its Params as Spark ML writes them, and its model beside them.

A saved stage is a folder with ``metadata/``, in Spark ML's format, and the model's files in
``model/``. The metadata is written last, so that a stage is never loaded without its model.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyspark
from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReader, MLWriter
from pyspark.sql import SparkSession

from tf2spark.errors import OutputError
from tf2spark.locations.fetch import fetch_to_this_machine
from tf2spark.locations.paths import is_uri
from tf2spark.locations.write import write_files
from tf2spark.package.digests import digest_text
from tf2spark.package.staging import staging_folder
from tf2spark.runnable.model import RunnableModel
from tf2spark.spark import hadoop
from tf2spark.spark.output.table_writer import local_path
from tf2spark.spark.recognize import is_connect

if TYPE_CHECKING:
    from tf2spark.ml.transformer import SavedModelTransformer

_MODEL = "model"


class StageWriter(MLWriter):
    """Saves a stage.

    Args:
        stage: The stage.
        model: The model that it has.
    """

    def __init__(self, stage: SavedModelTransformer, model: RunnableModel) -> None:
        super().__init__()
        self._stage = stage
        self._model = model

    def save(self, path: str) -> None:
        """Write the stage to a folder of any file system that Spark writes to.

        Raises:
            OutputError: The folder exists, or the stage's model is in it; or a Spark Connect
                client would have to write the model's files.
        """
        copies = self._stage.getSaveModel() == "copy"
        if copies and is_connect(self.sparkSession):
            raise OutputError(
                "a Spark Connect client has no access to the cluster's file systems, so it can't "
                "save the model with the stage",
                'setSaveModel("reference") saves the path and digest of the model',
            )
        if _is_inside(self._model.location, path):
            raise OutputError(
                f'the stage\'s model lies inside "{path}", which saving would replace',
                "save the stage to another folder",
            )
        if is_connect(self.sparkSession):
            self._save_by_connect(path)
            return
        if not self.shouldOverwrite:
            _check_free(self.sparkSession, path)
        super().save(path)

    def _save_by_connect(self, path: str) -> None:
        if self.shouldOverwrite:
            from pyspark.ml.connect.readwrite import RemoteMLWriter

            RemoteMLWriter.handleOverwrite(path, True)
        self.saveImpl(path)

    def saveImpl(self, path: str) -> None:
        """Write the model's files, then the Params."""
        params = {param.name: value for param, value in self._stage._paramMap.items()}
        params |= {"digest": digest_text(self._model.digest), "version": None}
        params["model"] = _full_path(self._model)
        if self._stage.getSaveModel() == "copy":
            target = f"{path.rstrip('/')}/{_MODEL}"
            _copy_model(self.sparkSession, self._model, target)
            # Whoever loads the stage finds the model beside it, wherever the stage was moved.
            params["model"] = _MODEL
        DefaultParamsWriter.saveMetadata(self._stage, path, session_of(self), paramMap=params)


class StageReader(MLReader["SavedModelTransformer"]):
    """Loads a stage.

    Args:
        stage_class: Its class.
    """

    def __init__(self, stage_class: type[SavedModelTransformer]) -> None:
        super().__init__()
        self._class = stage_class

    def load(self, path: str) -> SavedModelTransformer:
        """Return the stage that was saved in a folder, with its model.

        Raises:
            ModelError: The model isn't there, is damaged, or has another digest.
        """
        metadata = DefaultParamsReader.loadMetadata(path, session_of(self))
        stage = self._class()
        stage._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(stage, metadata)
        if stage.getSaveModel() == "copy":
            stage.setModel(f"{path.rstrip('/')}/{_MODEL}")
            _keep_files(stage)
        return stage


def session_of(stage_io: MLWriter | MLReader[Any]) -> Any:
    """Return what PySpark writes and reads metadata with: a SparkContext before 4.0."""
    return stage_io.sc if pyspark.__version__.startswith("3.") else stage_io.sparkSession


def _keep_files(stage: SavedModelTransformer) -> None:
    """Copy a loaded stage's model to this machine, so that saving over it doesn't lose it."""
    model = stage.opened()
    if is_uri(model.location):
        fetch_to_this_machine(model.reference())  # later calls find the files that this has fetched
        return
    folder = staging_folder() / f"stage-{uuid4().hex}"
    write_files(model.reference(), model.contract.package, folder)
    kept = _open(str(folder), model)
    kept.name_source(model.contract.path)
    stage.keep_opened(kept)


def _full_path(model: RunnableModel) -> str:
    """Return the path of a model as another process finds it."""
    path = model.contract.path
    return path if is_uri(path) else os.path.abspath(path)


def _is_inside(location: str, path: str) -> bool:
    folder = local_path(path)
    if folder is None or is_uri(location):
        return location.startswith(f"{path.rstrip('/')}/")
    return Path(os.path.realpath(location)).is_relative_to(os.path.realpath(folder))


def _check_free(spark: SparkSession, path: str) -> None:
    if hadoop.exists(spark, path):
        raise OutputError(f'"{path}" exists', "write().overwrite().save(...) replaces it")


def _copy_model(spark: SparkSession, model: RunnableModel, target: str) -> None:
    """Copy a model's files, and check that what was written is the model.

    Raises:
        ModelError: The model has changed since it was read.
        StorageError: The files can't be written.
    """
    local = local_path(target)
    if local is not None:
        local.parent.mkdir(parents=True, exist_ok=True)
        write_files(model.reference(), model.contract.package, local)
    else:
        with TemporaryDirectory(prefix="stage-", dir=staging_folder()) as name:
            folder = Path(name) / _MODEL
            write_files(model.reference(), model.contract.package, folder)
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                hadoop.upload(spark, file, f"{target}/{file.relative_to(folder)}")
    _open(target, model)


def _open(location: str, like: RunnableModel) -> RunnableModel:
    local = local_path(location)
    return RunnableModel(
        location if local is None else str(local),
        tags=like.contract.tags,
        allow_ops=like.allow_ops,
        op_libraries=[library.path or library.name for library in like.op_libraries],
        digest=like.digest,
    )
