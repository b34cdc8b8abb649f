from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cases.models import case, path_of
from tf2spark.cli.main import run

Capture = pytest.CaptureFixture[str]
README = Path(__file__).parents[3] / "README.md"


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder).to_pylist()
    return sorted(rows, key=lambda row: row["id"])


def readme_job() -> str:
    match = re.search(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture
def folder(tmp_path: Path, spark: SparkSession) -> Path:
    """A folder with the README's model, and a table of the catalog with two days of houses."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "price").symlink_to(path_of(case("keras_mlp")))
    rows = [(number, [0.1 * number] * 8, f"2026-11-{27 + number % 2}") for number in range(10)]
    spark.sql("DROP TABLE IF EXISTS houses")
    df = spark.createDataFrame(rows, "id INT, features ARRAY<DOUBLE>, dt STRING")
    df.write.partitionBy("dt").option("path", str(tmp_path / "houses")).saveAsTable("houses")
    return tmp_path


class TestReadme:
    def test_its_job_runs(self, folder: Path, capsys: Capture) -> None:
        """The file of the README scores one day of a table, and adds it to a partitioned folder."""
        (folder / "nightly.toml").write_text(readme_job())
        assert run(["run", str(folder / "nightly.toml")]) == 0, capsys.readouterr().err
        assert [row["id"] for row in rows_of(folder / "scored")] == [1, 3, 5, 7, 9]
        assert [path.name for path in (folder / "scored").iterdir() if "=" in path.name] == [
            "dt=2026-11-28"
        ]
