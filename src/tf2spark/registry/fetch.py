"""The files of a model in MLflow on this machine, and which of them are the model."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from tf2spark import other_formats
from tf2spark.binding.stored.call_json import feeds_from_json, fetches_from_json
from tf2spark.errors import (
    Advice,
    ContractError,
    ModelError,
    ModelNotFoundError,
    first_line,
)
from tf2spark.package.digests import parse_digest
from tf2spark.package.staging import staging_folder
from tf2spark.registry.client import need_mlflow, server, server_errors
from tf2spark.registry.pin import PinnedModel, pin
from tf2spark.shown_text import redact

FLAVOR = "tf2spark"
"""What `tf2spark.mlflow` calls its flavor in the file MLmodel."""


@frozen
class FetchedModel:
    """A model in MLflow that was copied to this machine.

    Attributes:
        uri: Its URI; with the version, where the user named it by an alias.
        folder: All that was logged with it.
        path: The SavedModel or package in it, or the Keras file.
        kind: Which of them it is.
        digest: The digest (hex) that it had when tf2spark logged it.
        call: The signature, feed and fetch that it was logged with.
    """

    uri: str
    folder: Path
    path: Path
    kind: Literal["saved_model", "keras"]
    digest: str | None = None
    call: tuple[str | None, Any, Any] = (None, None, None)


# What was downloaded in this process, for calls that name the same model again.
_fetched: dict[tuple[str, ...], FetchedModel] = {}


def fetch(uri: str) -> FetchedModel:
    """Copy a model to this machine; a version that was copied already isn't copied again.

    Args:
        uri: ``models:/``, ``runs:/`` or ``mlflow-artifacts:/``.

    Raises:
        ModelNotFoundError: There is no such model, or it is none of TensorFlow's.
        SetupError: MLflow is missing, or has no server.
        StorageError: The server or its store can't be reached, or refuses.
    """
    pinned = pin(uri)
    if pinned.identity is not None and pinned.identity in _fetched:
        return _fetched[pinned.identity]
    fetched = describe(redact(pinned.uri), _download(pinned))
    if pinned.identity is not None:
        _fetched[pinned.identity] = fetched
    return fetched


def _download(pinned: PinnedModel) -> Path:
    mlflow = need_mlflow()
    # A folder for each: MLflow writes to it what it finds in the store.
    target = tempfile.mkdtemp(prefix="mlflow-", dir=staging_folder())
    asked = f'"{redact(pinned.uri)}"'
    with server_errors(f"files under {asked}", files=True):
        path = Path(mlflow.artifacts.download_artifacts(artifact_uri=pinned.uri, dst_path=target))
    if path.is_dir() and not any(path.iterdir()):
        raise ModelNotFoundError(f"{server()} has no files under {asked}")
    return path


def describe(uri: str, folder: Path) -> FetchedModel:
    """Return which of a model's files on this machine are the model itself.

    Args:
        uri: What messages call it.
        folder: All that was logged, or a file of it.

    Raises:
        ModelNotFoundError: It isn't a model of TensorFlow's.
        ModelError: Its MLmodel is damaged.
    """
    if folder.is_file():
        return _describe_file(uri, folder)
    if not (folder / other_formats.MLMODEL).is_file():
        return FetchedModel(uri, folder, folder, "saved_model")
    flavors = _flavors(uri, folder)
    if flavor := flavors.get(FLAVOR):
        path = _inside(uri, folder, flavor.get("data"))
        return FetchedModel(uri, folder, path, "saved_model", *_digest_and_call(uri, flavor))
    conf = flavors.get("tensorflow") or flavors.get("keras")
    if conf is None:
        raise _other_flavors(uri, folder, flavors)
    if "saved_model_dir" in conf:  # a tf.Module
        return FetchedModel(
            uri, folder, _inside(uri, folder, conf["saved_model_dir"]), "saved_model"
        )
    data = _inside(uri, folder, conf.get("data", "data"))
    for name in ("model.keras", "model.h5"):
        if (data / name).is_file():
            return FetchedModel(uri, folder, data / name, "keras")
    return FetchedModel(uri, folder, data / "model", "saved_model")  # before Keras 3


def _describe_file(uri: str, file: Path) -> FetchedModel:
    if other_formats.kind_of_file(file) == "keras":
        return FetchedModel(uri, file, file, "keras")
    kind = other_formats.kind_of_file(file)
    if kind is None:
        raise ModelNotFoundError(f'"{uri}" is a file, and not a model', "name the model's folder")
    raise other_formats.error_of(kind, uri)


def _flavors(uri: str, folder: Path) -> Mapping[str, Any]:
    try:
        flavors: Mapping[str, Any] = need_mlflow().models.Model.load(str(folder)).flavors
    except Exception as error:  # YAML's, TypeError, ...: whatever a damaged file leads to
        raise ModelError(
            f'the file {other_formats.MLMODEL} of "{uri}" can\'t be read: {first_line(error)}'
        ) from None
    return flavors


def _digest_and_call(
    uri: str, flavor: Mapping[str, Any]
) -> tuple[str, tuple[str | None, Any, Any]]:
    """Return what `tf2spark.mlflow` has written about a model."""
    try:
        call = flavor["call"]
        feed, fetch = feeds_from_json(call["feed"]), fetches_from_json(call["fetch"])
        return parse_digest(flavor["digest"]), (call["signature"], feed, fetch)
    except (ContractError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(
            f'the file {other_formats.MLMODEL} of "{uri}" is damaged: {first_line(error)}'
        ) from None


def _inside(uri: str, folder: Path, path: object) -> Path:
    """Return a path that MLmodel names, which must lie in its folder.

    Raises:
        ModelError: It doesn't.
    """
    inner = (folder / str(path)).resolve()
    if path is None or not inner.is_relative_to(folder.resolve()) or not inner.exists():
        raise ModelError(
            f'"{uri}" is incomplete: it has no {path}, which its {other_formats.MLMODEL} names'
        )
    return inner


def _other_flavors(uri: str, folder: Path, flavors: Mapping[str, Any]) -> ModelError:
    """Return the error of a model that isn't TensorFlow's, though it may contain one."""
    names = ", ".join(flavors) or "none"
    problem = f'"{uri}" is no TensorFlow model: its MLflow flavors are {names}'
    inner = sorted(folder.rglob("saved_model.pb"))
    if not inner:
        return ModelNotFoundError(
            problem,
            "tf2spark scores what mlflow.tensorflow or "
            "tf2spark.mlflow has logged, and SavedModels among artifacts",
        )
    path = inner[0].parent.relative_to(folder).as_posix()
    return ModelNotFoundError(f"{problem}, but it contains a SavedModel", f'write "{uri}/{path}"')


def keras_error(fetched: FetchedModel) -> ModelError:
    """Return the error of a Keras model where a SavedModel is needed."""
    name = fetched.uri.partition(":/")[2].strip("/").partition("/")[0].partition("@")[0]
    package = f"{name}.tf2spark"
    return ModelNotFoundError(
        f'"{fetched.uri}" is a Keras model ({fetched.path.name}), not a SavedModel',
        Advice(
            "compile it once, and score the package: "
            f'tf2spark.compile_model("{fetched.uri}", "{package}"), or log it with '
            "tf2spark.mlflow.log_model",
            f"compile it once, and score the package: tf2spark compile {fetched.uri} {package}",
        ),
    )
