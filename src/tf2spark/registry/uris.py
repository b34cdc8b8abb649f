"""MLflow's URIs of models, and what each names.

Source of the forms: ``mlflow/store/artifact/utils/models.py`` and ``runs_artifact_repo.py``.
"""

from __future__ import annotations

import re

from attrs import frozen

from tf2spark.errors import ModelNotFoundError
from tf2spark.shown_text import redact

FORMS = (
    "models:/NAME/VERSION, models:/NAME@ALIAS, models:/MODEL_ID, runs:/RUN_ID/PATH or "
    "mlflow-artifacts:/PATH"
)


@frozen
class RegisteredModel:
    """A version of a registered model: ``models:/ctr/3``, ``models:/ctr@champion``.

    Attributes:
        scheme: What the URI begins with: ``models:/``, or with a Databricks profile,
            ``models://PROFILE@databricks/``.
        name: The name in the registry.
        version: The version, if the URI names it by its number.
        alias: The alias, if it does so by one.
        stage: The stage, as registries had them before aliases: the latest version in it.
        path: A path inside the model's files; empty for the model itself.
    """

    scheme: str
    name: str
    version: str = ""
    alias: str = ""
    stage: str = ""
    path: str = ""

    def pinned(self, version: str) -> str:
        """Return the URI of a version, which stays the same when an alias moves."""
        path = f"/{self.path}" if self.path else ""
        return f"{self.scheme}{self.name}/{version}{path}"


@frozen
class LoggedModel:
    """A model by the id that MLflow 3 gives it when it is logged: ``models:/m-0a1b...``."""

    model_id: str


@frozen
class RunArtifact:
    """What a run has logged: ``runs:/RUN_ID/model``."""

    run_id: str
    path: str


@frozen
class Artifact:
    """A folder of the tracking server's artifacts: ``mlflow-artifacts:/1/RUN_ID/artifacts/model``.

    Attributes:
        path: The path below the root of all artifacts.
    """

    path: str


def parse(uri: str) -> RegisteredModel | LoggedModel | RunArtifact | Artifact:
    """Return what a URI of MLflow names.

    Raises:
        ModelNotFoundError: It has none of the forms of MLflow.
    """
    match = re.match(r"(models|runs|mlflow-artifacts):/(/[^/]*/)?", uri, re.IGNORECASE)
    path = uri[match.end() :].strip("/") if match else ""
    parts = path.split("/")
    if match is None or not all(parts) or parts[0].startswith("@") or parts[0].endswith("@"):
        raise ModelNotFoundError(f'"{redact(uri)}" names no model', f"write {FORMS}")
    if match[1].lower() == "mlflow-artifacts":
        return Artifact(path)
    if match[1].lower() == "runs":
        return RunArtifact(parts[0], "/".join(parts[1:]))
    return _registered_or_logged(match[0], parts)


def _registered_or_logged(scheme: str, parts: list[str]) -> RegisteredModel | LoggedModel:
    first, rest = parts[0], parts[1:]
    name, at, alias = first.rpartition("@")
    if at:
        return RegisteredModel(scheme, name, alias=alias, path="/".join(rest))
    if not rest:
        return LoggedModel(first)
    chosen, path = rest[0], "/".join(rest[1:])
    if chosen.isascii() and chosen.isdigit():
        return RegisteredModel(scheme, first, version=str(int(chosen)), path=path)
    stage = "" if chosen.lower() == "latest" else chosen
    return RegisteredModel(scheme, first, stage=stage, path=path)
