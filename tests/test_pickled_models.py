"""A pickled `SavedModel` is its path and digest, so a function that Spark sends can hold it."""

from __future__ import annotations

import copy
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import SparkSession
from pyspark.sql.types import FloatType

import tf2spark
from cases.tiny_models import save_function_model, save_graph_model
from tf2spark.errors import ModelError, ModelNotFoundError
from tf2spark.locations.pickled import _open_pickled

TABLE = pa.table({"x": [[1.0, 2.0], [3.0, 4.0]]})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Two versions of a model, and nothing that this process knows about them."""
    _open_pickled.cache_clear()
    for version in (1, 12):
        save_graph_model(tmp_path / "models" / str(version))
    yield tmp_path / "models"
    _open_pickled.cache_clear()


def scores(model: tf2spark.SavedModel, table: Any = TABLE) -> Any:
    return model.score(table, fetch=["score"], keep=[])["score"].to_pylist()


@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_a_pickle_opens_the_same_model(folder: Path, pickler: Any) -> None:
    """Version, tags, digest and what the user vouches for are those of the original."""
    model = tf2spark.SavedModel(folder, allow_ops=["PyFunc"])
    assert scores(model)
    pickled = pickler.dumps(model)
    assert len(pickled) < 2000
    opened = pickle.loads(pickled)
    assert (opened.contract, opened.digest) == (model.contract, model.digest)
    assert opened._runnable.allow_ops == model._runnable.allow_ops
    assert scores(opened) == scores(model)


def test_the_version_that_was_opened_is_opened_again(folder: Path) -> None:
    """A newer version beside it changes nothing."""
    pickled = pickle.dumps(tf2spark.SavedModel(folder))
    save_function_model(folder / "13")
    assert pickle.loads(pickled).contract.version == 12


def test_a_relative_path_is_that_of_the_opening(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another working folder doesn't lead elsewhere."""
    monkeypatch.chdir(folder.parent)
    model = tf2spark.SavedModel("models", version=1)
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(model)).contract.path == str(folder / "1")


def test_a_package_is_pickled_too(folder: Path, tmp_path: Path) -> None:
    """Its digest is that of its manifest."""
    package = tf2spark.SavedModel(folder).compile(tmp_path / "package")
    opened = pickle.loads(pickle.dumps(package))
    assert opened.digest == package.digest
    assert scores(opened) == scores(package)


def test_another_process_opens_it(folder: Path, tmp_path: Path) -> None:
    """Nothing in the pickle is of this process."""
    model = tf2spark.SavedModel(folder)
    scored = scores(model)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    program = (
        "import pickle, sys, pyarrow as pa\n"
        "model = pickle.load(open(sys.argv[1], 'rb'))\n"
        "table = pa.table({'x': [[1.0, 2.0], [3.0, 4.0]]})\n"
        "print(model.score(table, fetch=['score'], keep=[])['score'].to_pylist())\n"
        "assert 'pyspark' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model.pkl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == f"{scored}\n", done.stderr


def test_copies_share_the_model(folder: Path) -> None:
    """A model has nothing that a copy would have to have of its own."""
    model = tf2spark.SavedModel(folder)
    assert copy.copy(model)._runnable is model._runnable
    assert copy.deepcopy({"m": model})["m"]._runnable is model._runnable


def test_a_process_opens_a_pickle_once(folder: Path) -> None:
    """Spark unpickles a function for every task; all share one model, and one session."""
    pickled = pickle.dumps(tf2spark.SavedModel(folder))
    first, second = pickle.loads(pickled), pickle.loads(pickled)
    assert first._runnable is second._runnable


def test_other_bytes_at_the_path_are_refused(folder: Path) -> None:
    """A model that was replaced is not the one that was pickled."""
    pickled = pickle.dumps(tf2spark.SavedModel(folder, version=1))
    (folder / "1" / "more").write_text("a file")
    with pytest.raises(ModelError, match="is not the expected one: its digest is sha256:"):
        pickle.loads(pickled)


def test_a_path_that_is_nowhere_is_one_sentence(folder: Path) -> None:
    """It names the machine and says what a pickle has."""
    pickled = pickle.dumps(tf2spark.SavedModel(folder))
    folder.rename(folder.with_name("moved"))
    with pytest.raises(ModelNotFoundError) as refused:
        pickle.loads(pickled)
    assert str(refused.value) == (
        f'there is no SavedModel at "{folder}": no such folder on {socket.gethostname()}, and a '
        "pickled model has only the path and digest of its files; put the model where all hosts "
        "find it under this path; SavedModel.score of a Spark DataFrame sends the files itself"
    )


def score_frames(model: tf2spark.SavedModel) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """Return the function that a user writes for `mapInPandas`."""

    def score(frames: Iterator[Any]) -> Iterator[Any]:
        from tf2spark.locations.pickled import _open_pickled
        from tf2spark.tensorflow_c.process import _sessions

        for frame in frames:
            scored = model.score(frame, fetch=["score"], keep=["id"])
            opened = _open_pickled.cache_info().misses, len(_sessions)
            yield scored.assign(opened=str(opened))

    return score


def test_a_function_of_a_spark_job_holds_a_model(folder: Path, spark: SparkSession) -> None:
    """Each worker opens the model once, with one session, for all its tasks and batches."""
    model = tf2spark.SavedModel(folder)
    frame = pd.DataFrame({"id": range(100), "x": [[float(i), 1.0] for i in range(100)]})
    df = spark.createDataFrame(frame).repartition(8)
    expected = model.score(frame, fetch=["score"], keep=["id"])
    for _ in range(2):
        scored = df.mapInPandas(score_frames(model), "id long, score float, opened string")
        done: Any = scored.toPandas()
        done = done.sort_values("id", ignore_index=True)
        assert list(done["score"]) == list(expected["score"])
        models, sessions = zip(*map(eval, set(done["opened"])), strict=True)
        assert set(models) == {1}
        assert len(set(sessions)) == len(sessions)


def test_predict_batch_udf_holds_a_model(folder: Path, spark: SparkSession) -> None:
    """The model is in the closure of the function that makes the function."""
    model = tf2spark.SavedModel(folder)

    def make_predict() -> Callable[[Any], Any]:
        def predict(x: Any) -> Any:
            return model.score(pa.table({"x": list(x)}), fetch=["score"])["score"].to_numpy()

        return predict

    udf = predict_batch_udf(
        make_predict, return_type=FloatType(), batch_size=10, input_tensor_shapes=[[2]]
    )
    df = spark.createDataFrame([(i, [float(i), 1.0]) for i in range(5)], "id int, x array<float>")
    predicted = [row.score for row in df.select(udf("x").alias("score")).collect()]
    assert np.allclose(predicted, [2.0 * (i + 1) for i in range(5)])


def test_a_task_has_the_threads_that_spark_gives_it(folder: Path, spark: SparkSession) -> None:
    """Tasks side by side don't each take all cores."""

    def count(_: Any) -> Iterator[Any]:
        from tf2spark.worker.task_start import available_cpus

        yield pd.DataFrame({"cpus": [available_cpus()]})

    assert {row.cpus for row in spark.range(4).mapInPandas(count, "cpus int").collect()} == {1}


def test_a_task_has_no_session_for_a_remote_model(spark: SparkSession) -> None:
    """A model on a storage that Spark reads can't be opened in a task, and the message says so."""
    pickled = _pickled_remote()

    def open_it(_: Any) -> Iterator[Any]:
        import pickle

        try:
            pickle.loads(pickled)
        except Exception as error:
            yield pd.DataFrame({"error": [f"{type(error).__name__}: {error}"]})

    row = spark.range(1).mapInPandas(open_it, "error string").first()
    assert row is not None
    assert row.error == (
        'SetupError: the pickled model "hdfs://host/models/ctr" can\'t be opened in a Spark task, '
        "which has no session to read it through; put the model where all hosts find it under a "
        "local path; SavedModel.score of a Spark DataFrame has the executors fetch it"
    )


def _pickled_remote() -> bytes:
    from tf2spark.locations.pickled import PickledModel
    from tf2spark.runnable.model import RunnableModel

    class Remote:
        def __reduce__(self) -> tuple[Any, ...]:
            remote = PickledModel("hdfs://host/models/ctr", None, ("serve",), "0" * 64, (), ())
            return _open_pickled, (RunnableModel, remote)

    return pickle.dumps(Remote())


def test_an_op_library_with_other_bytes_is_refused(folder: Path, tmp_path: Path) -> None:
    """The native code that the user vouched for is the code that runs."""
    library = tmp_path / "ops.so"
    library.write_bytes(b"one")
    pickled = pickle.dumps(tf2spark.SavedModel(folder, op_libraries=[str(library)]))
    library.write_bytes(b"two")
    with pytest.raises(ModelError, match="is not the one that the pickled model was opened with"):
        pickle.loads(pickled)
