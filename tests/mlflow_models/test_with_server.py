"""Models in MLflow, against a real server: logged, found by every URI, scored by MLflow's tools."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import tf2spark
from cases.models import case, path_of
from services.mlflow_server import mlflow_server
from tf2spark.cli.main import run
from tf2spark.errors import ContractError, ModelError, ModelNotFoundError, StorageError
from tf2spark.mlflow import load_model, log_model

pytestmark = pytest.mark.cluster

_PAGE = Path(__file__).parents[2] / "docs" / "mlflow.md"
_FEED = {"features": "x"}


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A server of its own is MLflow's tracking server and registry."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        mlflow.set_tracking_uri(uri)
        yield
        mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    values = np.random.default_rng(1).normal(size=(7, 8))
    return pd.DataFrame({"x": list(values), "id": range(7)}, index=range(100, 107))


@pytest.fixture(scope="module")
def logged(rows: pd.DataFrame) -> Any:
    """A model that is registered as version 1 of "ctr", with the alias "champion"."""
    with mlflow.start_run() as active:
        info = log_model(
            path_of(case("keras_mlp")),
            name="model",
            feed=_FEED,
            fetch={"score": "output_0"},
            input_example=rows,
            registered_model_name="ctr",
        )
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("ctr", "champion", "1")
    return SimpleNamespace(info=info, run_id=active.info.run_id, client=client)


def scores(model: tf2spark.SavedModel, rows: pd.DataFrame) -> list[float]:
    scored = model.score(rows, feed=_FEED, fetch={"score": "output_0"}, keep=[])
    return list(scored["score"])


def test_every_uri_opens_the_model(logged: Any, rows: pd.DataFrame) -> None:
    """All name the same bytes, and an alias is shown as its version."""
    info = logged.info
    location = logged.client.get_logged_model(info.model_id).artifact_location
    shown = {
        "models:/ctr/1": "models:/ctr/1",
        "models:/ctr@champion": "models:/ctr/1",
        "models:/ctr/latest": "models:/ctr/1",
        f"models:/{info.model_id}": f"models:/{info.model_id}",
        f"runs:/{logged.run_id}/model": f"runs:/{logged.run_id}/model",
        location: location,
    }
    assert location.startswith("mlflow-artifacts:/")
    models = {uri: tf2spark.SavedModel(uri) for uri in shown}
    assert {uri: model.contract.path for uri, model in models.items()} == shown
    assert len({model.digest for model in models.values()}) == 1
    assert len({tuple(scores(model, rows)) for model in models.values()}) == 1


def test_a_pickle_names_the_version(logged: Any) -> None:
    """A task opens the model that the driver opened, though the alias is gone by then."""
    pickled = pickle.dumps(tf2spark.SavedModel("models:/ctr@champion"))
    logged.client.delete_registered_model_alias("ctr", "champion")
    try:
        assert pickle.loads(pickled).contract.path == "models:/ctr/1"
    finally:
        logged.client.set_registered_model_alias("ctr", "champion", "1")


def test_the_digest_is_wherever_mlflow_shows_tags(logged: Any) -> None:
    """The model, its version and MLmodel name the bytes that are scored."""
    digest = tf2spark.SavedModel("models:/ctr/1").digest
    assert logged.client.get_logged_model(logged.info.model_id).tags["tf2spark.digest"] == digest
    assert logged.client.get_model_version("ctr", "1").tags["tf2spark.digest"] == digest
    assert logged.info.flavors["tf2spark"]["digest"] == digest


def test_mlflows_own_loader_scores_as_logged(logged: Any, rows: pd.DataFrame) -> None:
    """`predict` feeds and fetches what the model was logged with, and keeps the index."""
    predicted = mlflow.pyfunc.load_model("models:/ctr@champion").predict(rows)
    assert list(predicted["score"]) == scores(tf2spark.SavedModel("models:/ctr/1"), rows)
    assert list(predicted.index) == list(rows.index)
    assert logged.info.signature.inputs.input_names() == ["x"]


def test_spark_udf_scores_as_logged(logged: Any, rows: pd.DataFrame, spark: SparkSession) -> None:
    """MLflow's own UDF gives the scores of `score`, with the type of the output."""
    table = spark.createDataFrame(
        [(row.id, row.x.tolist()) for row in rows.itertuples()], "id int, x array<double>"
    )
    udf = mlflow.pyfunc.spark_udf(spark, logged.info.model_uri, env_manager="local")
    scored = table.select("id", udf("x").alias("score"))
    assert scored.schema["score"].dataType.simpleString() == "float"
    direct = tf2spark.SavedModel(logged.info.model_uri).score(
        table, feed=_FEED, fetch={"score": "output_0"}, keep=["id"]
    )
    assert dict(scored.collect()) == pytest.approx(dict(direct.collect()), rel=1e-6)


def test_an_alias_that_moves_doesnt_move_a_model_that_is_open(
    logged: Any, rows: pd.DataFrame, spark: SparkSession
) -> None:
    """A job keeps the version that it began with; the next one gets the new version."""
    model = tf2spark.SavedModel("models:/ctr@champion")
    table = spark.createDataFrame(rows.assign(x=rows["x"].map(list)))
    job = model.score(table, feed=_FEED, model_column="model", keep=[])
    other = log_model(path_of(case("mlp_128")), registered_model_name="ctr", compile=False)
    logged.client.set_registered_model_alias("ctr", "champion", other.registered_model_version)
    try:
        assert {row.model for row in job.collect()} == {model.digest.removeprefix("sha256:")}
        moved = tf2spark.SavedModel("models:/ctr@champion")
        assert (moved.contract.path, moved.digest != model.digest) == ("models:/ctr/2", True)
        with pytest.raises(ModelError, match="is not the expected one"):
            tf2spark.SavedModel("models:/ctr@champion", digest=model.digest)
    finally:
        logged.client.set_registered_model_alias("ctr", "champion", "1")


def test_a_stage_by_reference_names_the_version(
    logged: Any, tmp_path: Path, spark: SparkSession
) -> None:
    """A pipeline that was saved with an alias loads the version that it was saved with."""
    from tf2spark.ml import SavedModelTransformer

    stage = SavedModelTransformer(model="models:/ctr@champion", save_model="reference")
    stage.save(str(tmp_path / "stage"))
    loaded = SavedModelTransformer.load(str(tmp_path / "stage"))
    assert loaded.getModel() == "models:/ctr/1"
    assert loaded.getDigest() == logged.info.flavors["tf2spark"]["digest"]


@pytest.mark.usefixtures("spark")
def test_commands_take_uris(
    logged: Any, rows: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`inspect` and `score` open a model as Python does."""
    rows.to_parquet(tmp_path / "in.parquet")
    assert run(["inspect", "models:/ctr@champion", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["path"] == "models:/ctr/1"
    assert described["digest"] == logged.info.flavors["tf2spark"]["digest"]
    command = ["score", "models:/ctr@champion", "--feed", "features=x", "--fetch", "score=output_0"]
    command += ["--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out")]
    assert run([*command, "--keep", "id"]) == 0
    written = pd.read_parquet(tmp_path / "out").sort_values("id")
    expected = scores(tf2spark.SavedModel("models:/ctr/1"), rows)
    assert list(written["score"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/ctr/9", r'"ctr" on MLflow at http\S+ has no version 9; it has the versions? .*1'),
        ("models:/ctr@winner", r'no alias "winner"; .*the alias "champion" \(version 1\)'),
        ("models:/ctr/Production", r'no version in the stage "Production"; it has the version'),
        ("models:/crt/1", r'has no registered model "crt"; did you mean "ctr"\?'),
        ("models:/ctr", r'no logged model with the ID "ctr"; .*write "models:/ctr/\d"'),
        ("models:/m-00", r'no logged model with the ID "m-00"'),
        ("runs:/00000000000000000000000000000000/model", r'has no run "0{32}"'),
        ("mlflow-artifacts:/0/no", r'has no files under "mlflow-artifacts:/0/no"'),
    ],
)
@pytest.mark.usefixtures("logged")
def test_a_missing_model_is_an_error_with_what_exists(uri: str, message: str) -> None:
    """One sentence names what was asked, where, and what to write instead."""
    with pytest.raises(ModelNotFoundError, match=message) as raised:
        tf2spark.SavedModel(uri)
    assert "\n" not in str(raised.value)


def test_a_run_without_that_name_says_what_it_logged(logged: Any) -> None:
    """The advice is the URI to write."""
    uri = f"runs:/{logged.run_id}"
    for path in ("", "/modle"):
        with pytest.raises(ModelNotFoundError, match=f'it has "model": write {uri}/model'):
            tf2spark.SavedModel(uri + path)


def test_a_version_is_written_into_the_uri() -> None:
    """`version` is for the folders of TensorFlow Serving."""
    with pytest.raises(ContractError, match=r"write the version into the URI: models:/NAME/VERS"):
        tf2spark.SavedModel("models:/ctr", version=3)


def test_a_server_that_isnt_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes within seconds, with the address and without the password in it."""
    before = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://user:secret@127.0.0.1:9")
    try:
        with pytest.raises(StorageError, match=r"MLflow at http\S+127.0.0.1:9 can't be reach") as e:
            tf2spark.SavedModel("models:/ctr/1")
        assert "refused" in str(e.value)
        assert "secret" not in str(e.value)
    finally:
        mlflow.set_tracking_uri(before)


def test_other_files_than_those_that_were_logged_are_refused(logged: Any, tmp_path: Path) -> None:
    """What was logged is what runs: the digest in MLmodel is that of the files, or an error."""
    copy = Path(mlflow.artifacts.download_artifacts(logged.info.model_uri, dst_path=str(tmp_path)))
    text = (copy / "MLmodel").read_text()
    digest = logged.info.flavors["tf2spark"]["digest"]
    (copy / "MLmodel").write_text(text.replace(digest, f"sha256:{'0' * 64}"))
    with mlflow.start_run() as active:
        mlflow.log_artifacts(str(copy), "model")
    uri = f"runs:/{active.info.run_id}/model"
    with pytest.raises(ModelError, match=f'the model at "{uri}" is not the expected one'):
        tf2spark.SavedModel(uri)


def test_a_tf_module_of_mlflow_tensorflow_is_read() -> None:
    """Its SavedModel is scored as any other."""
    import tensorflow as tf

    class Double(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return 2.0 * x

    with mlflow.start_run():
        info = mlflow.tensorflow.log_model(
            Double(), name="double", pip_requirements=["tensorflow-cpu"]
        )
    model = load_model(info.model_uri)
    scored = model.score(pd.DataFrame({"x": [1.0, 2.0]}))
    assert list(scored["output_0"]) == [2.0, 4.0]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_keras_model_of_mlflow_tensorflow_is_compiled(tmp_path: Path) -> None:
    """The error says how, and compiling takes the URI."""
    import keras

    network = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
    with mlflow.start_run():
        info = mlflow.tensorflow.log_model(
            network, name="dense", pip_requirements=["tensorflow-cpu"]
        )
    with pytest.raises(ModelNotFoundError, match=f'compile_model."{info.model_uri}"'):
        tf2spark.SavedModel(info.model_uri)
    package = tf2spark.compile_model(info.model_uri, tmp_path / "dense.tf2spark")
    assert package.contract.signatures[0].inputs[0].shape == (None, 2)


def test_other_flavors_are_named() -> None:
    """A model that isn't TensorFlow's isn't looked into."""

    class Constant(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context, model_input):  # type: ignore[no-untyped-def]
            return model_input

    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            name="constant", python_model=Constant(), pip_requirements=["pandas"]
        )
    with pytest.raises(ModelNotFoundError, match="its MLflow flavors are python_function"):
        tf2spark.SavedModel(info.model_uri)


def test_without_mlflow_one_sentence_says_what_to_install() -> None:
    """Neither `import tf2spark` nor other models need it."""
    program = (
        "import sys; sys.modules['mlflow'] = None\n"
        "import tf2spark\n"
        "try: tf2spark.SavedModel('models:/ctr/3')\n"
        "except tf2spark.errors.SetupError as error: print(error)\n"
        "import tf2spark.mlflow"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "MLflow can't be imported" in done.stdout
    assert "pip install mlflow-skinny" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("tf2spark.errors.SetupError: MLflow can't be")


def test_the_page_of_the_manual_runs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocks run one after the other, and every way to score gives the same prices."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(path_of(case("keras_mlp")), tmp_path / "models" / "price" / "1")
    measures = [row.tolist() for row in np.random.default_rng(1).normal(size=(6, 8))]
    houses = pd.DataFrame({"id": range(6), "measures": measures})
    program = "\n".join(re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL))
    names: dict[str, Any] = {"houses": houses, "spark": spark}
    names["table"] = spark.createDataFrame(houses)
    exec(program, names)
    assert names["model"].contract.path == "models:/price/1"
    here = names["model"].score(houses, feed={"features": "measures"})
    assert list(names["prices"]) == list(here["output_0"])
