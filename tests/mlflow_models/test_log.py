"""Models in MLflow's format, without a server."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import tf2spark
from cases.comparing import same_but_for_rounding
from cases.models import case, path_of
from tf2spark.errors import ContractError, ModelError, OutputError
from tf2spark.mlflow import load_model, save_model
from tf2spark.mlflow.environment import REQUIREMENTS

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.DataFrame({"x": list(np.random.default_rng(1).normal(size=(3, 8)))})


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model without a registry: features [None, 8], fed from x, to a score."""
    folder = str(tmp_path_factory.mktemp("saved") / "ctr")
    save(case("keras_mlp"), folder, feed={"features": "x"}, fetch={"score": "output_0"})
    return folder


def save(model: Any, folder: str | Path, **arguments: Any) -> None:
    """Save a case of the zoo as it is: compiling is tested with the server."""
    save_model(path_of(model), folder, **{"compile": False, **arguments})


def signature(folder: str | Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the columns of a saved model's signature, with their types as text."""
    known = mlflow.models.Model.load(str(folder)).signature
    return tuple(  # type: ignore[return-value]
        {spec.name: repr(spec.type) for spec in schema.inputs}
        for schema in (known.inputs, known.outputs)
    )


def test_a_saved_model_is_opened_by_its_folder(saved: str, rows: pd.DataFrame) -> None:
    """`load_model` gives the model that was saved, and what it was saved with applies."""
    model = load_model(saved)
    assert model.digest == tf2spark.SavedModel(path_of(case("keras_mlp"))).digest
    assert list(model.score(rows)) == ["x", "score"]
    assert list(model.score(rows, feed={"features": "x"})) == ["x", "output_0"]


def test_the_signature_follows_from_the_model(saved: str, tmp_path: Path) -> None:
    """Columns have the names of the feed, and the widest type of their kind."""
    assert signature(saved) == ({"x": "Array(double)"}, {"score": "float"})
    save(case("keras_lookups"), tmp_path / "lookups")
    inputs, outputs = signature(tmp_path / "lookups")
    assert inputs == {"city": "string", "year": "long"}
    assert outputs == {"output_0": "Array(float)"} or outputs == {"output_0": "float"}
    save(case("conversions"), tmp_path / "conversions")
    assert signature(tmp_path / "conversions")[0]["int_to_uint64"] == "long"


def test_the_signature_follows_from_an_example(tmp_path: Path) -> None:
    """Of an example, the columns that the model reads count, and rows of it are saved."""
    values = {f"f{number}": [0.5, 1.5] for number in range(8)}
    example = pd.DataFrame({"id": [1, 2], **values})
    feed = {"features": list(values)}
    save(case("keras_mlp"), tmp_path / "joined", feed=feed, input_example=example)
    inputs, _ = signature(tmp_path / "joined")
    assert inputs == dict.fromkeys(values, "double")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "joined"))
    assert list(loaded.input_example.columns) == list(values)
    assert len(loaded.predict(example)) == 2


def test_an_example_that_doesnt_fit_is_refused(tmp_path: Path) -> None:
    """The error is that of `score`, and nothing is written."""
    with pytest.raises(ContractError, match='no column for input "features"'):
        save(case("keras_mlp"), tmp_path / "ctr", input_example=pd.DataFrame({"x": [1.0]}))
    assert list(tmp_path.iterdir()) == []


def test_types_that_the_model_doesnt_tell_need_an_example(tmp_path: Path) -> None:
    """A field of a struct may have any neighbors."""
    with pytest.raises(ContractError, match=r'input "features".*pass a few rows: input_example='):
        save(case("keras_mlp"), tmp_path / "ctr", feed={"features": "user.vector"})


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists and is not empty"):
        save(case("keras_mlp"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_signature_of_mlflow_has_an_argument_of_its_own(saved: str, tmp_path: Path) -> None:
    """`signature` is the SavedModel's, as in `score`."""
    schema = mlflow.models.Model.load(saved).signature
    with pytest.raises(ContractError, match="pass a signature of MLflow as mlflow_signature="):
        save(case("keras_mlp"), tmp_path / "ctr", signature=schema)


def test_a_changed_model_is_refused_by_mlflows_loader(tmp_path: Path) -> None:
    """`pyfunc` scores with the bytes that were saved, or not at all."""
    save(case("keras_mlp"), tmp_path / "ctr")
    graph = tmp_path / "ctr" / "saved_model" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes() + b"\n\x00")
    with pytest.raises(ModelError):
        mlflow.pyfunc.load_model(str(tmp_path / "ctr"))


def test_requirements_are_what_scoring_needs(saved: str) -> None:
    """They have our own dependencies and the TensorFlow of this machine; tf2spark is in `code`."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) < set(REQUIREMENTS)
    written = (Path(saved) / "requirements.txt").read_text().splitlines()
    assert set(REQUIREMENTS) < set(written)
    assert any(re.match(r"tensorflow-cpu==\d", line) for line in written)
    assert any(re.match(r"mlflow(-skinny)?==\d", line) for line in written)
    assert {path.name for path in (Path(saved) / "code").iterdir()} == {
        "tf2spark.zip",
        "tf2spark_loader.py",
    }


def test_a_saved_model_brings_tf2spark_along(saved: str) -> None:
    """MLflow's loader works where tf2spark isn't installed."""
    program = (
        "import sys; sys.path = [path for path in sys.path if not path.endswith('/src')]\n"
        "import importlib.util; assert importlib.util.find_spec('tf2spark') is None\n"
        "import mlflow.pyfunc, pandas\n"
        f"model = mlflow.pyfunc.load_model({saved!r})\n"
        "print(len(model.predict(pandas.DataFrame({'x': [[0.5] * 8]}))))\n"
        "import tf2spark; print(tf2spark.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    count, path = done.stdout.split()
    assert count == "1"
    assert "tf2spark-code-" in path
    assert not Path(path).exists()


@pytest.mark.parametrize("name", ["keras_lookups", "keras_two_outputs", "labels"])
def test_spark_udf_returns_every_kind_of_output(
    name: str, tmp_path: Path, spark: SparkSession
) -> None:
    """Scalars, lists, strings and several outputs have the values that `score` gives."""
    model = case(name)
    save(model, tmp_path / "saved", feed=model.feed, fetch=model.fetch)
    rows = model.table(3)
    udf = mlflow.pyfunc.spark_udf(spark, str(tmp_path / "saved"), env_manager="local")
    table = spark.createDataFrame(rows.to_pandas())
    scored = table.select(udf(*table.columns).alias("out")).collect()
    expected = tf2spark.SavedModel(path_of(model)).score(
        rows, feed=model.feed, fetch=model.fetch, keep=[]
    )
    name = expected.column_names[0]
    rows_of_udf = [
        row.out.asDict() if hasattr(row.out, "asDict") else {name: row.out} for row in scored
    ]
    assert same_but_for_rounding(rows_of_udf, expected.to_pylist())


def test_a_database_needs_more_than_mlflow_skinny(tmp_path: Path) -> None:
    """One sentence says what to install; the default of MLflow is a database, too."""
    program = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "import mlflow, tf2spark.mlflow\n"
        "for uri in (None, 'sqlite:///mine.db'):\n"
        "    mlflow.set_tracking_uri(uri)\n"
        f"    try: tf2spark.mlflow.log_model({str(path_of(case('keras_mlp')))!r})\n"
        "    except tf2spark.errors.SetupError as error: print(error)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    default, chosen = done.stdout.splitlines()
    assert re.fullmatch(r"MLflow at sqlite:\S+mlflow.db can't be asked for .*", default)
    assert "mlflow-skinny alone opens no database; pip install mlflow, or name a server" in chosen
    assert list(tmp_path.iterdir()) == []
