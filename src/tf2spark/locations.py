"""What is on this machine, and what is reached through Spark or MLflow: models and tables."""

from __future__ import annotations

import functools
import os
import re
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark import other_formats
from tf2spark.binding.argument_types import path_text
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError, ModelError, ModelNotFoundError, SetupError
from tf2spark.local.pandas_columns import table_to_arrow
from tf2spark.package.folder import copy_files, read_manifest, write
from tf2spark.package.manifest import FILES, Manifest
from tf2spark.package.op_libraries import OpLibrary
from tf2spark.package.staging import staging_folder
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.tables import Tables
from tf2spark.saved_model import reader
from tf2spark.saved_model.contract import Contract
from tf2spark.table_types import is_keras_model, is_spark
from tf2spark.worker.task_start import current_task

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
    if _is_of_mlflow(path):
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

    fetched = _fetch_from_mlflow(path)
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


def _is_of_mlflow(path: str) -> bool:
    """Return whether a path is a URI of MLflow, or a folder in its format."""
    if other_formats.is_mlflow_uri(path):
        return True
    folder = os.path.expanduser(path.removeprefix("file://"))
    return not is_uri(path) and os.path.isfile(os.path.join(folder, other_formats.MLMODEL))


def _fetch_from_mlflow(path: str) -> FetchedModel:
    from tf2spark.registry.fetch import describe, fetch

    return fetch(path) if is_uri(path) else describe(path, local_path(path))


def local_path(path: str) -> Path:
    """Return a path of this machine, which may be a ``file://`` URI."""
    return Path(path.removeprefix("file://")).expanduser()


def is_uri(path: str) -> bool:
    """Return whether a path is on a file system other than this machine's, or in MLflow."""
    return re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:/", path) is not None


def needs_spark(path: str) -> bool:
    """Return whether a path can only be reached through a Spark session."""
    return is_uri(path) and not other_formats.is_mlflow_uri(path)


def local_package(target: str) -> Path | None:
    """Return the folder of a package on this machine, or None for one on another file system."""
    if is_uri(target):
        return None
    return Path(os.path.abspath(os.path.expanduser(target.removeprefix("file://"))))


@contextmanager
def package_folder(target: str, *, overwrite: bool) -> Iterator[Path]:
    """Yield the local folder to write a package to; a remote target is uploaded at the end.

    Raises:
        OutputError: The target exists, or can't be written.
    """
    local = local_package(target)
    if local is not None:
        yield local
        return
    other_formats.check_address(target)
    need_pyspark()
    from tf2spark.spark import remote_models

    spark = remote_models.session_for(target)
    # Before anything is compiled, which may take minutes.
    remote_models.check_package_free(spark, target, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="package-", dir=staging_folder()) as folder:
        package = Path(folder) / "package"
        yield package
        remote_models.write_remote(
            spark,
            read_manifest(package),
            lambda entry: package / FILES / entry.stored,
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


def write_files(model: ModelRef, package: Manifest | None, folder: Path) -> None:
    """Write a model's files to a new folder of this machine, and verify them.

    Args:
        model: The model, wherever it is.
        package: Its manifest, if it is a package.
        folder: The folder.

    Raises:
        ModelError: The model has changed since it was read.
    """
    from tf2spark.worker.model_session import source_on_this_machine

    reference = fetch_to_this_machine(model)
    source = source_on_this_machine(reference)
    if package is not None:
        write(source, folder, package)
    else:
        folder.mkdir(exist_ok=True)
        copy_files(source, reference.files, folder)
        _share(folder)


def _share(folder: Path) -> None:
    """Let those read the files in a folder who may read the folder, as for any folder."""
    mode = folder.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        path.chmod(mode if path.is_dir() else mode & 0o666)


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


def schema_of(table: Any, paths: Collection[str]) -> pa.Schema:
    """Return the columns of a table as Arrow types; those of pandas only where a path reads them.

    Raises:
        ContractError: The values of a pandas column are not of one type, or of one without a
            tensor.
    """
    if is_spark(table):
        from tf2spark.spark.types import arrow_schema

        return arrow_schema(table.schema)
    return table_to_arrow(table, paths).schema


def recommend_tables(
    users: Any, items: Any, request: Request, arguments: RecommendArguments
) -> Tables:
    """Return the tables of a call of `recommend`.

    Raises:
        ContractError: One is a Spark DataFrame and the other isn't, or a column of a pandas
            DataFrame that is read can't be.
    """
    if is_spark(users) or is_spark(items):
        from tf2spark.spark.recommend.tables import SparkTables

        return SparkTables(users, items, resources=arguments.resources)
    from tf2spark.local.recommend import local_tables

    return local_tables(users, items, request, arguments)


def need_pyspark() -> None:
    """Check that PySpark can be imported.

    Raises:
        SetupError: It can't.
    """
    from tf2spark.spark.session import need_pyspark as need

    need()


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
    if _is_of_mlflow(path):
        fetched = _fetch_from_mlflow(path)
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


def compiler_module(name: str = "compiler") -> Any:
    """Import a module of `tf2spark.compile`, which needs TensorFlow's Python package.

    Raises:
        SetupError: It isn't installed.
    """
    try:
        return import_module(f"tf2spark.compile.{name}")
    except ImportError as error:
        if not (error.name or "").startswith("tensorflow"):
            raise
        raise SetupError(
            f"TensorFlow can't be imported ({error}), and compiling needs its Python package",
            "pip install tensorflow-cpu (or tensorflow); scoring a package works without it",
        ) from None


@frozen
class PickledModel:
    """What a pickle of a model has: where the model is and what it must be, but none of its files.

    Attributes:
        path: An absolute path of this machine, or a URI; a base path if there is a `version`.
        version: The version folder.
        tags: The tags of its MetaGraph.
        digest: Its digest (hex).
        allow_ops: Ops that the user vouches for.
        op_libraries: Libraries of custom ops that the user vouches for.
    """

    path: str
    version: int | None
    tags: tuple[str, ...]
    digest: str
    allow_ops: tuple[str, ...]
    op_libraries: tuple[OpLibrary, ...]


class PickledByPath:
    """A model whose pickle is a `PickledModel`, so that Spark can send it to tasks in a closure.

    Attributes:
        path: The model as the user named it.
        location: Its folder, or its URI.
        allow_ops: Ops that may run beyond the allow-list.
        op_libraries: The libraries of custom ops that the user named.
    """

    path: str
    location: str
    allow_ops: Collection[str]
    op_libraries: tuple[OpLibrary, ...]

    @property
    def contract(self) -> Contract:
        """What is known about the model."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) over the model's files."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        version, tags = self.contract.version, self.contract.tags
        path = self.path
        if other_formats.is_mlflow_uri(path):
            path = self.contract.path  # with the version that an alias stood for
        elif not is_uri(path) and _is_of_mlflow(path):
            path = os.path.abspath(local_path(path))
        elif not is_uri(path):
            # The folder that the path named when the model was opened.
            path = self.location if version is None else os.path.dirname(self.location)
        allowed = tuple(self.allow_ops)
        pickled = PickledModel(path, version, tags, self.digest, allowed, self.op_libraries)
        return _open_pickled, (type(self), pickled)

    def __deepcopy__(self, _: object) -> PickledByPath:
        return self  # nothing that a caller can change belongs to one model alone


@functools.lru_cache(maxsize=16)
def _open_pickled(model_class: Callable[..., PickledByPath], pickled: PickledModel) -> Any:
    """Open the model of a pickle; a process opens it once, however many tasks it runs.

    Raises:
        ModelNotFoundError: It isn't on this machine.
        ModelError: It has another digest, or an op library has other bytes.
        SetupError: It is on another file system, and there is no Spark session to read it through.
    """
    try:
        model = model_class(
            pickled.path,
            version=pickled.version,
            tags=pickled.tags,
            allow_ops=pickled.allow_ops,
            digest=pickled.digest,
            op_libraries=[library.path or library.name for library in pickled.op_libraries],
        )
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"{error.problem} on {socket.gethostname()}, and a pickled model has only the path "
            "and digest of its files",
            "put the model where all hosts find it under this path; SavedModel.score of a Spark "
            "DataFrame sends the files itself",
        ) from None
    except SetupError:
        if current_task() is None or not needs_spark(pickled.path):
            raise
        raise SetupError(
            f'the pickled model "{pickled.path}" can\'t be opened in a Spark task, which has no '
            "session to read it through",
            "put the model where all hosts find it under a local path; SavedModel.score of a "
            "Spark DataFrame has the executors fetch it",
        ) from None
    for expected, library in zip(pickled.op_libraries, model.op_libraries, strict=True):
        if library != expected:
            raise ModelError(
                f'the op library "{library.path}" on {socket.gethostname()} is not the one that '
                "the pickled model was opened with"
            )
    return model
