"""From a URI of MLflow to one that always names the same model, or an error that says what exists.

An alias, a stage or "latest" is looked up once: a job keeps the version that it began with.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from tf2spark.binding.messages import did_you_mean, listed
from tf2spark.errors import ModelNotFoundError, Tf2SparkError
from tf2spark.registry.client import connect, is_missing, need_mlflow, server, server_errors
from tf2spark.registry.uris import Artifact, LoggedModel, RegisteredModel, RunArtifact, parse

# How many versions, aliases or artifacts a message lists.
_SHOWN = 8


@frozen
class PinnedModel:
    """A model in MLflow.

    Attributes:
        uri: Its URI, with the version that an alias stood for.
        identity: What no other model has, so that files that were downloaded for it can be used
            again; None where files may be replaced at the same URI.
    """

    uri: str
    identity: tuple[str, ...] | None = None


def pin(uri: str) -> PinnedModel:
    """Look up what a URI names.

    Raises:
        ModelNotFoundError: There is no such model, version, alias or run, or the URI is malformed.
        SetupError: MLflow is missing, or has no server.
        StorageError: The server can't be reached, or refuses.
    """
    named = parse(uri)
    client = connect()
    match named:
        case RegisteredModel():
            return _pin_version(client, named)
        case LoggedModel(model_id):
            return _pin_logged(client, model_id)
        case RunArtifact(run_id, path):
            _check_run(client, run_id, path)
            return PinnedModel(f"runs:/{run_id}/{path}")
        case Artifact(path):
            return PinnedModel(f"mlflow-artifacts:/{path}")


def _pin_version(client: Any, named: RegisteredModel) -> PinnedModel:
    asked = f'registered model "{named.name}"'
    with server_errors(asked, registry=True):
        found = _version(client, named)
        if found is None:
            raise _no_version(client, named)
    identity = (str(need_mlflow().get_registry_uri()), named.scheme, named.name)
    created = str(found.creation_timestamp)
    return PinnedModel(
        named.pinned(str(found.version)), (*identity, str(found.version), named.path, created)
    )


def _version(client: Any, named: RegisteredModel) -> Any:
    """Return the version that a URI names, or None if there is none."""
    if not (named.version or named.alias):
        versions = _versions(client, named.name)
        if named.stage:
            stage = named.stage.lower()
            versions = [each for each in versions if (each.current_stage or "").lower() == stage]
        return max(versions, key=lambda each: int(each.version), default=None)
    try:
        if named.alias:
            return client.get_model_version_by_alias(named.name, named.alias)
        return client.get_model_version(named.name, named.version)
    except need_mlflow().MlflowException as error:
        # That an alias is missing, servers say with another code than that a version is.
        if is_missing(error) or error.error_code == "INVALID_PARAMETER_VALUE":
            return None
        raise


def _versions(client: Any, name: str) -> list[Any]:
    quote = '"' if "'" in name else "'"
    return list(client.search_model_versions(f"name={quote}{name}{quote}"))


def _no_version(client: Any, named: RegisteredModel) -> Tf2SparkError:
    """Return the error of a registered model that isn't there, or has no such version."""
    wanted = (
        (named.version and f"version {named.version}")
        or (named.alias and f'alias "{named.alias}"')
        or (named.stage and f'version in the stage "{named.stage}"')
        or "version"
    )
    try:
        registered = client.get_registered_model(named.name)
    except need_mlflow().MlflowException as error:
        if not is_missing(error):
            raise
        return ModelNotFoundError(
            f'{server(registry=True)} has no registered model "{named.name}"',
            _near_models(client, named.name),
        )
    numbers = sorted((int(each.version) for each in _versions(client, named.name)), reverse=True)
    problem = f'the registered model "{named.name}" on {server(registry=True)} has no {wanted}'
    if not numbers:
        return ModelNotFoundError(problem, "it has no version at all: register one")
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    has = f"it has the versions {', '.join(map(str, numbers[:_SHOWN]))}{more}"
    if len(numbers) == 1:
        has = f"it has the version {numbers[0]}"
    aliases = sorted((registered.aliases or {}).items())
    if aliases:
        text = ", ".join(f'"{alias}" (version {number})' for alias, number in aliases[:_SHOWN])
        has += f", and the alias{'es' if len(aliases) > 1 else ''} {text}"
    return ModelNotFoundError(problem, has)


def _near_models(client: Any, name: str) -> str:
    registered = [each.name for each in client.search_registered_models(max_results=1000)]
    return did_you_mean(name, registered, label="registered model")


def _pin_logged(client: Any, model_id: str) -> PinnedModel:
    mlflow = need_mlflow()
    with server_errors(f'logged model "{model_id}"'):
        try:
            logged = client.get_logged_model(model_id)
        except mlflow.MlflowException as error:
            if not is_missing(error):
                raise
            raise _no_logged_model(client, model_id) from None
    identity = (str(mlflow.get_tracking_uri()), str(logged.model_id))
    return PinnedModel(f"models:/{logged.model_id}", (*identity, str(logged.creation_timestamp)))


def _no_logged_model(client: Any, model_id: str) -> Tf2SparkError:
    """Return the error of an id that isn't one, which may be the name of a registered model."""
    numbers = sorted(int(each.version) for each in _versions(client, model_id))
    problem = f'{server()} has no logged model with the ID "{model_id}"'
    if numbers:
        return ModelNotFoundError(
            problem,
            f'but a registered model of that name: write "models:/{model_id}/{numbers[-1]}" for '
            f'its last version, or "models:/{model_id}@ALIAS"',
        )
    return ModelNotFoundError(
        problem, 'a registered model is written "models:/NAME/VERSION" or "models:/NAME@ALIAS"'
    )


def _check_run(client: Any, run_id: str, path: str) -> None:
    """Check that a run exists, and that something was logged under a path.

    Raises:
        ModelNotFoundError: One doesn't, with what exists.
    """
    mlflow = need_mlflow()
    with server_errors(f'run "{run_id}"'):
        try:
            run = client.get_run(run_id)
        except mlflow.MlflowException as error:
            if not (is_missing(error) or error.error_code == "INVALID_PARAMETER_VALUE"):
                raise
            raise ModelNotFoundError(
                f'{server()} has no run "{run_id}"',
                "the ID of a run is in its address in MLflow's pages, and in run.info.run_id",
            ) from None
        names = _logged_names(client, run)
    if path.partition("/")[0] in names:
        return
    problem = f'the run "{run_id}" on {server()} has logged ' + (
        f'nothing under "{path}"' if path else "several things, and its URI names none"
    )
    raise ModelNotFoundError(
        problem if names or path else f'the run "{run_id}" on {server()} has logged nothing',
        f"it has {listed(names[:_SHOWN])}: write runs:/{run_id}/{names[0]}" if names else None,
    )


def _logged_names(client: Any, run: Any) -> list[str]:
    """Return the names of a run's models and artifacts."""
    artifacts = [entry.path for entry in client.list_artifacts(run.info.run_id)]
    outputs = run.outputs.model_outputs if run.outputs is not None else []
    models = [client.get_logged_model(output.model_id).name for output in outputs]
    return sorted({*models, *artifacts})
