"""docs/declarative_pipelines.md, run by ``spark-pipelines``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pyspark
import pytest

import tf2spark
from cases.models import case, path_of
from cases.streams import write_files

_PAGE = Path(__file__).parents[3] / "docs" / "declarative_pipelines.md"
_PROGRAM = Path(pyspark.__file__).parent / "bin" / "spark-pipelines"
_NULL_ID = 27


def block(kind: str) -> str:
    (text,) = re.findall(rf"```{kind}\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    return str(text)


def rows_of(folder: Path, name: str) -> list[dict[str, object]]:
    """Return the rows of a dataset in the order of their ids."""
    rows: list[dict[str, object]] = (
        pq.read_table(folder / "spark-warehouse" / name).sort_by("id").to_pylist()
    )
    return rows


@pytest.mark.spark
def test_the_page_runs(tmp_path: Path, mlp: tf2spark.SavedModel) -> None:
    """A view and a stream score; the row without features is refused by the stream."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "price").symlink_to(path_of(case("keras_mlp")))
    (tmp_path / "transformations").mkdir()
    files = write_files(tmp_path / "houses", 2)
    write_files(tmp_path / "stream", 2, null_id=_NULL_ID)
    view, stream = f'read.parquet("{files}")', f'.parquet("{tmp_path}/stream")'
    program = block("python").replace('read.parquet("houses")', view)
    program = program.replace('.parquet("houses")', stream)
    (tmp_path / "transformations" / "prices.py").write_text(program)
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
