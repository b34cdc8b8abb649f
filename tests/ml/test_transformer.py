"""`SavedModelTransformer` in the company of Spark ML's own stages."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import StringIndexer, VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession

import tf2spark
from cases.models import case, path_of
from tf2spark import padded
from tf2spark.errors import ContractError, ModelError, ModelNotFoundError
from tf2spark.ml import SavedModelTransformer

_COLUMNS = [f"f{number}" for number in range(8)]


@pytest.fixture(scope="module")
def model_path() -> Path:
    """A dense model: features [None, 8] to one score."""
    return path_of(case("keras_mlp"))


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    rows = [(row, "ab"[row % 2], *(row * 0.1 + n for n in range(8))) for row in range(20)]
    return spark.createDataFrame(rows, ["id", "kind", *_COLUMNS])


@pytest.fixture
def stage(model_path: Path) -> SavedModelTransformer:
    return SavedModelTransformer(
        model=model_path, feed={"features": _COLUMNS}, fetch={"s": "output_0"}, keep=["id"]
    )


@pytest.mark.oldest
def test_a_stage_gives_what_score_gives(
    stage: SavedModelTransformer, table: DataFrame, model_path: Path
) -> None:
    """Its keywords are the arguments of `score`."""
    scored = tf2spark.SavedModel(model_path).score(
        table, feed={"features": _COLUMNS}, fetch={"s": "output_0"}, keep=["id"]
    )
    assert stage.transform(table).collect() == scored.collect()


@pytest.mark.oldest
def test_a_stage_takes_the_vectors_of_the_stage_before_it(
    table: DataFrame, model_path: Path, stage: SavedModelTransformer
) -> None:
    """A pipeline of VectorAssembler, StringIndexer and a SavedModel gives the same scores."""
    pipeline = Pipeline(
        stages=[
            StringIndexer(inputCol="kind", outputCol="index"),
            VectorAssembler(inputCols=_COLUMNS, outputCol="features"),
            SavedModelTransformer(model=model_path, fetch={"s": "output_0"}, keep=["id", "index"]),
        ]
    )
    scored = pipeline.fit(table).transform(table)
    assert scored.columns == ["id", "index", "s"]
    assert scored.select("id", "s").collect() == stage.transform(table).collect()


def test_a_cross_validator_fits_what_follows_the_model(
    table: DataFrame, stage: SavedModelTransformer
) -> None:
    """Stages are copied with other Params; the scores feed an estimator and an evaluator."""
    stage.setKeep(["id", "f0"])
    assembler = VectorAssembler(inputCols=["s"], outputCol="features")
    regression = LinearRegression(labelCol="f0", maxIter=2)
    grid = ParamGridBuilder().addGrid(regression.regParam, [0.0, 10.0])
    grid = grid.addGrid(stage.reproducible, [True])
    validator = CrossValidator(
        estimator=Pipeline(stages=[stage, assembler, regression]),
        estimatorParamMaps=grid.build(),
        evaluator=RegressionEvaluator(labelCol="f0"),
        numFolds=2,
        seed=1,
    )
    errors = validator.fit(table).avgMetrics
    assert len(errors) == 2
    assert errors[0] < errors[1]


def test_a_schema_is_checked_without_a_job(stage: SavedModelTransformer, table: DataFrame) -> None:
    """`transformSchema` returns the columns of `transform`, or raises its error."""
    assert stage.transformSchema(table.schema) == stage.transform(table).schema
    with pytest.raises(ContractError, match='the table has no column "f7"'):
        stage.transformSchema(table.drop("f7").schema)


def test_params_are_described_and_checked(stage: SavedModelTransformer) -> None:
    """`explainParams` names each with its default, and a ParamMap overrides one."""
    explained = stage.explainParams()
    assert 'mode: rows that can\'t be scored: "failfast"' in explained
    assert len(explained.splitlines()) == len(stage.params)
    stage.setFeed({"features": padded("ids", 0), "rate": 0.5})
    assert stage.explainParam("feed").endswith(
        "(default: None, current: {features: padded(ids, 0), rate: literal(0.5)})"
    )
    changed = stage.copy({stage.mode: "permissive"})
    assert (stage.getMode(), changed.getMode()) == ("failfast", "permissive")
    assert changed.uid == stage.uid
    with pytest.raises(ContractError, match='save_model must be "copy" or "reference"'):
        stage.setSaveModel("link")


def test_a_wrong_param_is_named_with_the_others(
    stage: SavedModelTransformer, table: DataFrame
) -> None:
    """All mistakes come at once, before a job."""
    wrong = stage.copy({stage.mode: "lenient", stage.fetch: {"s": "output_9"}, stage.keep: ["idd"]})
    with pytest.raises(ContractError) as raised:
        wrong.transform(table)
    assert "mode can't be" in str(raised.value)
    assert 'no output "output_9"' in str(raised.value)
    assert 'keep: the table has no column "idd"' in str(raised.value)


def test_a_stage_without_a_model_says_so(table: DataFrame) -> None:
    """The advice is the keyword."""
    with pytest.raises(ContractError, match=r'write SavedModelTransformer\(model="PATH"\)'):
        SavedModelTransformer().transform(table)


def test_a_saved_model_gives_its_stage_its_digest(model_path: Path) -> None:
    """The stage never scores with other bytes than those that were opened."""
    model = tf2spark.SavedModel(model_path)
    stage = SavedModelTransformer(model=model, save_model="reference")
    assert stage.getDigest() == model.digest
    with pytest.raises(ModelError, match="is not the expected one"):
        stage.copy({stage.model: path_of(case("mlp_128"))}).opened()


def test_a_changed_path_opens_another_model(stage: SavedModelTransformer) -> None:
    """A stage reads its model once, and again when its Params name another."""
    assert stage.opened() is stage.opened()
    assert stage.copy({stage.mode: "permissive"}).opened() is stage.opened()
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        stage.setModel("/nowhere").opened()


def test_a_stage_pickles(stage: SavedModelTransformer, table: DataFrame) -> None:
    """Copies in other processes read the model anew."""
    expected = stage.transform(table).collect()
    assert pickle.loads(pickle.dumps(stage)).transform(table).collect() == expected


def test_an_empty_table_has_the_columns_of_a_full_one(
    stage: SavedModelTransformer, table: DataFrame
) -> None:
    """Nothing is scored, and the stages after it find what they ask for."""
    scored = stage.transform(table.limit(0))
    assert scored.schema == stage.transform(table).schema
    assert scored.collect() == []


def test_a_broken_model_fails_in_a_pipeline_as_elsewhere(
    tmp_path: Path, table: DataFrame, model_path: Path
) -> None:
    """The error is ours and names the model, before a job runs."""
    broken = Path(shutil.copytree(model_path, tmp_path / "broken"))
    graph = broken / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])
    stage = SavedModelTransformer(model=broken, feed={"features": _COLUMNS})
    following = VectorAssembler(inputCols=["output_0"], outputCol="score")
    with pytest.raises(ModelError, match="broken"):
        Pipeline(stages=[stage, following]).fit(table).transform(table)


def test_a_stage_that_does_not_fit_names_what_is_missing(
    table: DataFrame, stage: SavedModelTransformer
) -> None:
    """In a pipeline too, whose own stages come before it."""
    indexer = StringIndexer(inputCol="kind", outputCol="index")
    wrong = stage.copy({stage.keep: ["id", "indx"]})
    with pytest.raises(ContractError, match='the table has no column "indx"'):
        Pipeline(stages=[indexer, wrong]).fit(table).transform(table)
