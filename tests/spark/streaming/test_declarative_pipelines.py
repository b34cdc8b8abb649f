"""docs/declarative_pipelines.md, run by ``spark-pipelines``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyspark
import pytest
from pyspark.sql.pandas.types import from_arrow_schema

import tf2spark
from cases.models import case, path_of
from cases.recommenders import case as recommender
from cases.recommenders import path_of as ranked_path
from cases.streams import write_files

_PAGE = Path(__file__).parents[3] / "docs" / "declarative_pipelines.md"
_PROGRAM = Path(pyspark.__file__).parent / "bin" / "spark-pipelines"
_NULL_ID = 27
_STREAM = """
@dp.table
def best_of_new():
    users = spark.readStream.schema("SCHEMA").parquet("users")
    return ranker.recommend(users, spark.read.table("films"), k=3, mode="permissive")
"""


def block(kind: str, number: int = 0) -> str:
    blocks = re.findall(rf"```{kind}\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    assert len(blocks) == (2 if kind == "python" else 1)
    return str(blocks[number])


def rows_of(folder: Path, name: str, key: str = "id") -> list[dict[str, object]]:
    """Return the rows of a dataset in the order of a column."""
    rows: list[dict[str, object]] = (
        pq.read_table(folder / "spark-warehouse" / name).sort_by(key).to_pylist()
    )
    return rows


@pytest.mark.spark
def test_the_page_runs(tmp_path: Path, mlp: tf2spark.SavedModel) -> None:
    """A view and a stream score, and a view and a stream recommend as tables of this process do.

    The row without features is refused by the stream.
    """
    (tmp_path / "models").mkdir()
    ranker = recommender("wide_and_deep")
    (tmp_path / "models" / "ranker").symlink_to(ranked_path(ranker))
    users, items = ranker.users(30), ranker.items(40)
    for name, table in (("users", users), ("films", items)):
        (tmp_path / name).mkdir()
        pq.write_table(table, tmp_path / name / "0.parquet")
    (tmp_path / "models" / "price").symlink_to(path_of(case("keras_mlp")))
    (tmp_path / "transformations").mkdir()
    files = write_files(tmp_path / "houses", 2)
    write_files(tmp_path / "stream", 2, null_id=_NULL_ID)
    view, stream = f'read.parquet("{files}")', f'.parquet("{tmp_path}/stream")'
    program = block("python").replace('read.parquet("houses")', view)
    program = program.replace('.parquet("houses")', stream)
    (tmp_path / "transformations" / "prices.py").write_text(program)
    ddl = ", ".join(
        f"{field.name} {field.dataType.simpleString()}" for field in from_arrow_schema(users.schema)
    )
    best = block("python", 1) + _STREAM.replace("SCHEMA", ddl)
    for name in ("users", "films"):
        best = best.replace(f'.parquet("{name}")', f'.parquet("{tmp_path}/{name}")')
    (tmp_path / "transformations" / "best.py").write_text(best)
    storage = (tmp_path / "storage").as_uri()
    (tmp_path / "spark-pipeline.yml").write_text(
        block("yaml").replace("file:///srv/pipelines/prices", storage)
    )
    line = block("sh").splitlines()[-1].replace("spark-pipelines", str(_PROGRAM), 1)
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    want = mlp.score(pq.read_table(files), keep=["id"], fetch={"price": "output_0"})
    assert rows_of(tmp_path, "prices") == want.to_pylist()
    checked = rows_of(tmp_path, "checked_prices")
    assert [row["price"] is None for row in checked] == [id == _NULL_ID for id in range(40)]
    refused = {"id": _NULL_ID, "price": None, "_error": f'id={_NULL_ID}: column "features" is null'}
    assert rows_of(tmp_path, "refused") == [refused]
    model = tf2spark.SavedModel(ranked_path(ranker))
    expected = model.recommend(users, items, 3).sort_by("user_id").to_pylist()
    assert_same_best(rows_of(tmp_path, "best", "user_id"), expected)
    assert_same_best(rows_of(tmp_path, "best_of_new", "user_id"), expected)


def assert_same_best(got: list[Any], expected: list[Any]) -> None:
    assert [row["user_id"] for row in got] == [row["user_id"] for row in expected]
    for row, other in zip(got, expected, strict=True):
        best, wanted = row["recommendations"], other["recommendations"]
        assert [item["item_id"] for item in best] == [item["item_id"] for item in wanted]
        scores = [item["score"] for item in best]
        assert scores == pytest.approx([item["score"] for item in wanted], rel=1e-5)
