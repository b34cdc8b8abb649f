"""Saved stages: the model travels with them, or is named by its path and digest."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from cases.models import case, path_of
from tf2spark.errors import ModelError, OutputError
from tf2spark.ml import SavedModelTransformer

_COLUMNS = [f"f{number}" for number in range(8)]
_LOADED_ELSEWHERE = """
import sys
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
table = spark.read.json(sys.argv[2])
scored = PipelineModel.load(sys.argv[1]).transform(table).orderBy("id")
print([row.s for row in scored.collect()])
"""


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    rows = [(row, *(row * 0.1 + n for n in range(8))) for row in range(20)]
    return spark.createDataFrame(rows, ["id", *_COLUMNS]).coalesce(1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of a model that a test may remove."""
    return Path(shutil.copytree(path_of(case("keras_mlp")), tmp_path / "model"))


def stage_of(model: Path | tf2spark.SavedModel, **params: object) -> SavedModelTransformer:
    stage = SavedModelTransformer(model=model, feed={"features": _COLUMNS}, fetch={"s": "output_0"})
    return stage.setParams(**params)


def pipeline_of(model: Path, table: DataFrame) -> PipelineModel:
    assembler = VectorAssembler(inputCols=_COLUMNS, outputCol="features")
    stage = SavedModelTransformer(model=model, fetch={"s": "output_0"}, keep=["id"])
    return Pipeline(stages=[assembler, stage]).fit(table)


@pytest.mark.oldest
def test_a_stage_is_saved_with_its_model(tmp_path: Path, table: DataFrame, model: Path) -> None:
    """It can be moved, and scores after the original has gone."""
    stage = stage_of(model)
    expected = stage.transform(table).collect()
    stage.save(str(tmp_path / "saved"))
    shutil.rmtree(model)
    (tmp_path / "saved").rename(tmp_path / "moved")
    loaded = SavedModelTransformer.load(str(tmp_path / "moved"))
    assert loaded.uid == stage.uid
    assert loaded.getDigest() == f"sha256:{stage.opened().digest}"
    assert loaded.transform(table).collect() == expected


def test_a_package_is_saved_as_a_package(tmp_path: Path, table: DataFrame, model: Path) -> None:
    """The loaded stage has the manifest and scores the same."""
    package = tf2spark.SavedModel(model).compile(tmp_path / "package")
    stage = stage_of(package)
    stage.save(str(tmp_path / "saved"))
    loaded = SavedModelTransformer.load(str(tmp_path / "saved"))
    assert loaded.opened().contract.package == package.contract.package
    assert loaded.transform(table).collect() == stage.transform(table).collect()


def test_a_pipeline_loads_in_another_process(tmp_path: Path, table: DataFrame, model: Path) -> None:
    """`PipelineModel.load` finds the class by its public name."""
    pipeline = pipeline_of(model, table)
    pipeline.save(str(tmp_path / "pipeline"))
    table.write.json(str(tmp_path / "table"))
    finished = subprocess.run(
        [sys.executable, "-c", _LOADED_ELSEWHERE, tmp_path / "pipeline", tmp_path / "table"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-2000:]
    expected = [row.s for row in pipeline.transform(table).orderBy("id").collect()]
    assert json.loads(finished.stdout) == expected


def test_a_loaded_pipeline_is_saved_over_itself(
    tmp_path: Path, table: DataFrame, model: Path
) -> None:
    """Spark removes the folder first, so a loaded stage holds its model's files."""
    path = str(tmp_path / "pipeline")
    pipeline_of(model, table).save(path)
    loaded = PipelineModel.load(path)
    loaded.write().overwrite().save(path)
    again = PipelineModel.load(path)
    assert again.transform(table).collect() == loaded.transform(table).collect()


def test_a_reference_names_path_and_digest(tmp_path: Path, table: DataFrame, model: Path) -> None:
    """No file of the model is written; another model at its path is refused."""
    stage_of(model, save_model="reference").save(str(tmp_path / "saved"))
    assert not (tmp_path / "saved" / "model").exists()
    loaded = SavedModelTransformer.load(str(tmp_path / "saved"))
    assert loaded.getModel() == str(model)
    assert loaded.transform(table).count() == 20
    shutil.rmtree(model)
    shutil.copytree(path_of(case("mlp_128")), model)
    with pytest.raises(ModelError, match="is not the expected one"):
        SavedModelTransformer.load(str(tmp_path / "saved")).transform(table)


def test_a_folder_that_exists_is_overwritten_on_demand(tmp_path: Path, model: Path) -> None:
    """Spark's own `overwrite()` is the advice."""
    path = tmp_path / "saved"
    stage_of(model).save(str(path))
    with pytest.raises(OutputError, match=r"write\(\)\.overwrite\(\)\.save\(\.\.\.\) replaces it"):
        stage_of(model).save(str(path))
    stage_of(model).write().overwrite().save(str(path))
    assert SavedModelTransformer.load(str(path)).getModel() == f"{path}/model"


def test_a_stage_is_not_saved_over_its_own_model(tmp_path: Path, model: Path) -> None:
    """Overwriting would remove the model before it is copied."""
    with pytest.raises(OutputError, match="the stage's model lies inside"):
        stage_of(model).write().overwrite().save(str(tmp_path))
    assert (model / "saved_model.pb").exists()


def test_a_damaged_copy_is_refused(tmp_path: Path, model: Path) -> None:
    """A stage's digest covers every file of its model."""
    stage_of(model).save(str(tmp_path / "saved"))
    with next((tmp_path / "saved" / "model" / "variables").glob("*.data-*")).open("r+b") as stream:
        stream.seek(8)
        stream.write(b"\xff\xff")
    with pytest.raises(ModelError, match="is not the expected one"):
        SavedModelTransformer.load(str(tmp_path / "saved"))
