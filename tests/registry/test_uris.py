"""What MLflow's URIs name."""

from __future__ import annotations

import pytest

from tf2spark.errors import ModelNotFoundError
from tf2spark.registry.uris import Artifact, LoggedModel, RegisteredModel, RunArtifact, parse


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("models:/ctr/3", RegisteredModel("models:/", "ctr", version="3")),
        ("models:/ctr/03/", RegisteredModel("models:/", "ctr", version="3")),
        ("models:/ctr@champion", RegisteredModel("models:/", "ctr", alias="champion")),
        ("models:/a@b@c", RegisteredModel("models:/", "a@b", alias="c")),
        ("models:/ctr/Latest", RegisteredModel("models:/", "ctr")),
        ("models:/ctr/Staging", RegisteredModel("models:/", "ctr", stage="Staging")),
        ("models:/ctr/3/a/b", RegisteredModel("models:/", "ctr", version="3", path="a/b")),
        ("models:/ctr@x/a", RegisteredModel("models:/", "ctr", alias="x", path="a")),
        ("models:/main.ads.ctr/1", RegisteredModel("models:/", "main.ads.ctr", version="1")),
        ("models:/m-0a1b", LoggedModel("m-0a1b")),
        (
            "models://team@databricks/ctr/3",
            RegisteredModel("models://team@databricks/", "ctr", version="3"),
        ),
        ("runs:/0a1b/model", RunArtifact("0a1b", "model")),
        ("runs:/0a1b", RunArtifact("0a1b", "")),
        ("mlflow-artifacts:/1/0a1b/artifacts/x", Artifact("1/0a1b/artifacts/x")),
    ],
)
def test_a_uri_names_what_mlflow_says(uri: str, named: object) -> None:
    """The forms are those of MLflow's own documentation."""
    assert parse(uri) == named


def test_a_pinned_uri_keeps_the_path_inside_the_model() -> None:
    """An alias becomes a version, and the rest stays."""
    named = parse("models:/ctr@champion/data/model")
    assert isinstance(named, RegisteredModel)
    assert named.pinned("3") == "models:/ctr/3/data/model"


@pytest.mark.parametrize(
    "uri", ["models:/", "runs://", "mlflow-artifacts:///", "models:/ctr@", "models:/@best"]
)
def test_a_uri_of_nothing_is_refused(uri: str) -> None:
    """The message has every form."""
    with pytest.raises(ModelNotFoundError, match="names no model; write models:/NAME/VERSION"):
        parse(uri)
