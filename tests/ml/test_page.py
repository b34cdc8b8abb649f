"""docs/pipelines.md, run as one program."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cases.models import case, path_of

_PAGE = Path(__file__).parents[2] / "docs" / "pipelines.md"


def test_the_page_runs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocks run one after the other, and the loaded pipeline scores as the saved one."""
    shutil.copytree(path_of(case("keras_mlp")), tmp_path / "models" / "price" / "1")
    monkeypatch.chdir(tmp_path)
    columns = ["id", "size", "age", "rooms", "width", "depth", "floor", "tax", "year"]
    rows = [(row, *(float(row + n) for n in range(8))) for row in range(3)]
    program = "\n".join(re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL))
    # The page's model has three features; this one has eight.
    program = program.replace('["size", "age", "rooms"]', str(columns[1:]))
    names: dict[str, Any] = {"houses": spark.createDataFrame(rows, columns)}
    uri = tmp_path.as_uri()
    program = program.replace('"pipelines/', f'"{uri}/pipelines/')  # a JVM keeps its own folder
    exec(program, names)
    pipeline, loaded = names["pipeline"], names["loaded"]
    assert (
        loaded.transform(names["houses"]).collect() == pipeline.transform(names["houses"]).collect()
    )
    assert (tmp_path / "pipelines" / "by_reference").exists()
