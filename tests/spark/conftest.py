from __future__ import annotations

import pytest

import tf2spark
from cases.models import case, path_of


@pytest.fixture(scope="session")
def mlp() -> tf2spark.SavedModel:
    """A dense model: features [None, 8] to one score."""
    return tf2spark.SavedModel(path_of(case("keras_mlp")))
