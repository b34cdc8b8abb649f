"""`log_model`, `save_model` and `load_model`: a model in MLflow's format, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlflow.models import Model

from tf2spark.binding.argument_types import path_text
from tf2spark.errors import OutputError
from tf2spark.mlflow.environment import write_code, write_environment
from tf2spark.mlflow.logged_call import logged_call, ready_to_log
from tf2spark.mlflow.write import write_model
from tf2spark.model import SavedModel
from tf2spark.registry.client import check_server
from tf2spark.table_types import LocalTable

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

    from tf2spark.binding.feeds import FeedValue, Fetch
    from tf2spark.locations.keras_models import KerasModel

DIGEST_TAG = "tf2spark.digest"
"""The tag of logged models and registered versions that has the digest."""


def log_model(
    model: str | os.PathLike[str] | SavedModel | KerasModel,
    name: str = "model",
    *,
    feed: Mapping[str, FeedValue] | None = None,
    fetch: Fetch | None = None,
    signature: str | None = None,
    batch_rows: int | None = None,
    input_example: LocalTable | None = None,
    registered_model_name: str | None = None,
    await_registration_for: int = 300,
    compile: bool = True,
    mlflow_signature: ModelSignature | None = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
) -> ModelInfo:
    """Log a model in MLflow: compiled, with its digest and an MLflow signature.

    ``tf2spark.SavedModel(info.model_uri)`` opens it again, and so do ``models:/NAME/VERSION`` and
    ``models:/NAME@ALIAS`` where it is registered. MLflow's own ``pyfunc.load_model`` and
    ``pyfunc.spark_udf`` score it with the feed and fetch given here. The digest is a tag
    (``tf2spark.digest``) of the logged model and of the registered version.

    Args:
        model: A `SavedModel`; the path or URI of one, of a package or of a Keras file; or a Keras
            model in memory.
        name: The name of the logged model.
        feed: As in `SavedModel.score`: what MLflow's tools feed the inputs with.
        fetch: As in `SavedModel.score`: what they return.
        signature: Which signature of the SavedModel.
        batch_rows: The maximum number of rows in one run.
        input_example: A few rows (pandas, pyarrow) to show and to check; the types of the MLflow
            signature are theirs. Without it, they follow from the model.
        registered_model_name: Also make it the next version of this registered model.
        await_registration_for: For how many seconds to wait for that version to be ready.
        compile: Log it as a package, as `SavedModel.compile` writes it, which needs TensorFlow's
            Python package. False logs the SavedModel as it is; so do feeds and fetches of raw
            tensors (``x:0``), which a package no longer has.
        mlflow_signature: The MLflow signature, in place of the one that follows from the model or
            the example.
        pip_requirements: What ``requirements.txt`` has, in place of TensorFlow and what tf2spark
            needs. tf2spark itself travels with the model.
        extra_pip_requirements: What it has in addition.
        metadata: As in `mlflow.models.Model.log`; so are the arguments below.
        params: Parameters of the logged model.
        tags: Its tags, besides the digest.
        model_type: Its type.
        step: The step of its run.

    Raises:
        ContractError: Arguments, example and model don't fit.
        ModelError: The model can't be read, or the compiled one gives other results.
        SetupError: MLflow, TensorFlow or Keras is missing, or MLflow has no server.
        StorageError: The server can't be reached.
    """
    import tf2spark.mlflow as flavor

    check_server()  # before a model is compiled, which may take minutes
    call = logged_call(signature, feed, fetch, batch_rows)
    with ready_to_log(model, call, compile=compile) as (ready, call):
        info: ModelInfo = Model.log(
            artifact_path=None,
            name=name,
            flavor=flavor,
            registered_model_name=registered_model_name,
            await_registration_for=await_registration_for,
            metadata=None if metadata is None else dict(metadata),
            params=None if params is None else dict(params),
            tags={**(tags or {}), DIGEST_TAG: ready.digest},
            model_type=model_type,
            step=step,
            # What follows, MLflow passes on to `save_model`.
            model=ready,
            feed=call.feed,
            fetch=call.fetch,
            signature=call.signature,
            batch_rows=batch_rows,
            input_example=input_example,
            compile=False,
            mlflow_signature=mlflow_signature,
            pip_requirements=pip_requirements,
            extra_pip_requirements=extra_pip_requirements,
        )
    return info


def save_model(
    model: str | os.PathLike[str] | SavedModel | KerasModel,
    path: str | os.PathLike[str],
    *,
    feed: Mapping[str, FeedValue] | None = None,
    fetch: Fetch | None = None,
    signature: str | None = None,
    batch_rows: int | None = None,
    input_example: LocalTable | None = None,
    compile: bool = True,
    mlflow_signature: ModelSignature | None = None,
    pip_requirements: Sequence[str] | str | None = None,
    extra_pip_requirements: Sequence[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    mlflow_model: Model | None = None,
) -> None:
    """Write a model to a folder of this machine, in MLflow's format; see `log_model`.

    Args:
        model: As for `log_model`; so are the arguments that aren't described here.
        path: The folder, which must not exist or be empty.
        feed: What MLflow's tools feed the inputs with.
        fetch: What they return.
        signature: Which signature of the SavedModel.
        batch_rows: The maximum number of rows in one run.
        input_example: A few rows.
        compile: Write a package.
        mlflow_signature: The MLflow signature.
        pip_requirements: What ``requirements.txt`` has.
        extra_pip_requirements: What it has in addition.
        metadata: What the file MLmodel has as metadata.
        mlflow_model: The content of MLmodel, to which this adds; MLflow passes it.

    Raises:
        OutputError: The folder isn't empty.
        ContractError: Arguments, example and model don't fit; other errors are those of
            `log_model`.
    """
    target = Path(os.path.abspath(path_text(path, example="models/ctr")))
    if target.exists() and any(target.iterdir()):
        raise OutputError(f'"{target}" exists and is not empty', "save to another folder")
    call = logged_call(signature, feed, fetch, batch_rows)
    described = Model() if mlflow_model is None else mlflow_model
    if metadata is not None:
        described.metadata = dict(metadata)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        ready_to_log(model, call, compile=compile) as (ready, call),
        # Beside the target, so that it appears complete or not at all.
        TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as name,
    ):
        folder = Path(name) / "model"
        folder.mkdir()
        write_model(folder, described, ready, call, input_example, mlflow_signature)
        write_code(folder)
        write_environment(folder, pip_requirements, extra_pip_requirements)
        described.save(str(folder / "MLmodel"))
        folder.replace(target)


def load_model(uri: str | os.PathLike[str], **arguments: Any) -> SavedModel:
    """Open a model that was logged or saved, by tf2spark or by `mlflow.tensorflow`.

    A call that gives neither signature, feed nor fetch has those that the model was logged with.
    `SavedModel` opens it in the same way.

    Args:
        uri: Its URI (``models:/``, ``runs:/``, ``mlflow-artifacts:/``), or the folder that
            `save_model` has written.
        arguments: Those of `SavedModel`.

    Raises:
        ModelNotFoundError: There is no such model.
        ModelError: It can't be read, or its files are not those that were logged.
        SetupError: MLflow has no server.
        StorageError: The server can't be reached.
    """
    return SavedModel(uri, **arguments)
