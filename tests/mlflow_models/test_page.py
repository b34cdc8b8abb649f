"""docs/mlflow.md, run as one program."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from cases.models import case, path_of

_PAGE = Path(__file__).parents[2] / "docs" / "mlflow.md"


def test_the_page_runs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocks run one after the other, and every way to score gives the same prices."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(path_of(case("keras_mlp")), tmp_path / "models" / "price" / "1")
    measures = [row.tolist() for row in np.random.default_rng(1).normal(size=(6, 8))]
    houses = pd.DataFrame({"id": range(6), "measures": measures})
    program = "\n".join(re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL))
    names: dict[str, Any] = {"houses": houses, "table": spark.createDataFrame(houses)}
    names["spark"] = spark
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        exec(program, names)
    finally:
        mlflow.set_tracking_uri(None)
    assert names["model"].contract.path == "models:/price/1"
    here = names["model"].score(houses, feed={"features": "measures"})
    assert list(names["prices"]) == list(here["output_0"])
