"""docs/streams.md, run as one program."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from cases import recommenders
from cases.frames import frame
from cases.models import case, path_of
from cases.models.saving import save_function
from cases.recommenders.running import path_of as recommender_path
from cases.streams import write_files

_PAGE = Path(__file__).parents[3] / "docs" / "streams.md"
_OUTPUTS = r'"((?:houses|prices|good/|bad/|latest/|hourly|best|checkpoints/)[^"]*)"'
_NULL_ID, _ROWS = 187, 20


def blocks(folder: Path) -> list[str]:
    """Return the page's Python blocks, with URIs for paths: a JVM keeps its own working folder."""
    text = re.sub(r"<!-- not run: .+? -->\n```.*?```", "", _PAGE.read_text(), flags=re.DOTALL)
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [re.sub(_OUTPUTS, rf'"{folder.as_uri()}/\1"', block) for block in found]


def save_newer_model(path: Path) -> None:
    """Save a model with the page's signature and other scores."""

    def scores(features: Any) -> Any:
        return {"output_0": tf.reduce_sum(features, 1, keepdims=True)}

    save_function(path, scores, tf.TensorSpec([None, 8], tf.float32, "features"))


def test_the_page_runs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocks run one after the other; new files and a new model come between them."""
    monkeypatch.chdir(tmp_path)
    first = Path(shutil.copytree(path_of(case("keras_mlp")), tmp_path / "models" / "price" / "1"))
    houses = write_films_and_houses(spark, tmp_path)
    ranker = tf2spark.SavedModel(recommender_path(recommenders.case("dot_ties")))
    films = spark.read.parquet(str(tmp_path / "films"))
    visitors = stream_like(spark, tmp_path / "visitors")
    names: dict[str, Any] = {"spark": spark, "ranker": ranker, "films": films, "visitors": visitors}

    simple, split, counted, *rest = blocks(tmp_path)
    exec(simple, names)
    write_files(houses, 1, rows=_ROWS, first=_NULL_ID // _ROWS, null_id=_NULL_ID)
    exec(split, names)
    exec(counted, names)
    (houses / f"{_NULL_ID // _ROWS:03}.parquet").unlink()
    save_newer_model(tmp_path / "models" / "price" / "2")
    write_files(houses, 1, rows=_ROWS, first=2)
    for block in rest:
        exec(block, names)

    def rows(name: str, *columns: str) -> list[tuple[Any, ...]]:
        table = spark.read.parquet(str(tmp_path / name)).select(*columns)
        return [tuple(row) for row in table.orderBy(*columns).collect()]

    versions = [tf2spark.SavedModel(path).digest for path in (first, first.with_name("2"))]
    old, new = (digest.removeprefix("sha256:") for digest in versions)
    assert rows("prices", "id", "model") == [(id, old if id < 40 else new) for id in range(60)]
    assert rows("latest", "id", "model") == [(id, new) for id in range(60)]
    assert len(rows("good", "id")) == 3 * _ROWS - 1
    assert rows("bad", "id", "_error") == [(_NULL_ID, f'id={_NULL_ID}: column "features" is null')]
    assert len(rows("best", "user_id")) == 12


def stream_like(spark: SparkSession, folder: Path) -> DataFrame:
    """Return the files of a folder as a stream, with the columns that they have now."""
    schema = spark.read.parquet(str(folder)).schema
    return spark.readStream.schema(schema).parquet(str(folder))


def write_films_and_houses(spark: SparkSession, folder: Path) -> Path:
    """Write what the page reads, and return the folder of the houses."""
    ranker = recommenders.case("dot_ties")
    frame(spark, ranker.users(12)).coalesce(1).write.parquet(str(folder / "visitors"))
    frame(spark, ranker.items(30)).coalesce(1).write.parquet(str(folder / "films"))
    return write_files(folder / "houses", 2, rows=_ROWS)
