"""Models whose rows depend on each other, through the public interface."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf
from pyspark.sql import SparkSession

import tf2spark
from cases.models import ALL, Case, path_of
from cases.models.saving import save_function
from tf2spark.binding.options import make_options
from tf2spark.errors import ContractError, ModelError, RowError, RowsDependWarning
from tf2spark.local.score import score_table
from tf2spark.row_dependence import generated_rows_depend
from tf2spark.runnable.model import RunnableModel
from tf2spark.worker.model_session import session_of


def save(folder: Path, *, over_batch: bool = True) -> str:
    """Save a model with a softmax over the batch, or over each row, which refuses unknown ids."""

    def serve(x: Any, ids: Any) -> Any:
        probabilities = tf.nn.softmax(x, name="p")
        known = tf.gather(tf.constant([1.0, 2.0, 3.0]), ids)
        return {"p": probabilities * (known if over_batch else known[:, None])}

    dims = [None] if over_batch else [None, 3]
    x = tf.TensorSpec(dims, tf.float32, "x")
    save_function(folder, serve, x, tf.TensorSpec([None], tf.int64, "ids"))
    return str(folder)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("coupled") / "model")


GOOD = pa.table({"x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "ids": [0, 1, 2, 0, 1, 2]})
BAD = GOOD.set_column(1, "ids", [[0, 1, 99, 0, 1, 2]])


def test_the_user_is_told_once_and_by_which_op(path: str) -> None:
    """One warning a model, which names the softmax, and says how to say that this is meant."""
    model = tf2spark.SavedModel(path)
    with pytest.warns(RowsDependWarning, match='through Softmax "p"') as warned:
        model.score(GOOD)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert 'rows="batch" says that this is meant' in str(warned[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.score(GOOD)


def test_a_batch_of_such_rows_is_scored_whole_or_not_at_all(path: str) -> None:
    """With a row that TensorFlow refuses, no other row gets scores of a smaller batch."""
    table = tf2spark.SavedModel(path).score(BAD, mode="permissive", rows="batch")
    assert table["p"].null_count == 6
    reasons = table["_error"].to_pylist()
    assert "indices" in reasons[2]
    assert "depend on each other" not in reasons[2]
    others = {reason for row, reason in enumerate(reasons) if row != 2}
    assert len(others) == 1
    assert "depend on each other, and row 2 of its batch (counted from 0" in others.pop()
    dropped = tf2spark.SavedModel(path).score(BAD, mode="dropmalformed", rows="batch")
    assert dropped.num_rows == 0
    with pytest.raises(RowError, match=r"row 2 .*can't be scored") as raised:
        tf2spark.SavedModel(path).score(BAD, rows="batch")
    assert 'mode="permissive" scores the other batches' in str(raised.value)


def test_other_batches_keep_their_scores(path: str) -> None:
    """A batch without a bad row has the scores that it has alone."""
    model = tf2spark.SavedModel(path)
    both = pa.concat_tables([GOOD, BAD])
    scored = model.score(both, mode="permissive", rows="batch", batch_rows=6)
    assert scored["p"].to_pylist()[:6] == model.score(GOOD, rows="batch")["p"].to_pylist()
    assert scored["p"].to_pylist()[6:] == [None] * 6


def test_a_user_who_knows_better_is_believed(path: str) -> None:
    """With rows="independent", nothing is looked at, and good rows are scored without the bad."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = tf2spark.SavedModel(path).score(BAD, mode="permissive", rows="independent")
    assert table["p"].null_count == 1


@pytest.mark.parametrize("rows", ["auto", "batch"])
def test_scores_that_change_with_the_batch_can_t_be_reproducible(path: str, rows: Any) -> None:
    """Rows that fill up a run would change the scores of the others: refused before it runs."""
    with pytest.raises(ContractError, match="can't be made reproducible"):
        tf2spark.SavedModel(path).score(GOOD, reproducible=True, rows=rows)


def test_a_softmax_over_each_row_is_none_of_this(tmp_path: Path) -> None:
    """Rows that stand alone are split, padded and cut as ever, without a warning."""
    model = tf2spark.SavedModel(save(tmp_path / "model", over_batch=False))
    table = BAD.set_column(0, "x", [[[float(row), 1.0, 0.0] for row in range(6)]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scored = model.score(table, mode="permissive")
        repeated = model.score(table, mode="permissive", reproducible=True)
    assert scored["p"].null_count == repeated["p"].null_count == 1


@pytest.mark.parametrize("mode", ["permissive", "dropmalformed"])
def test_workers_find_out_where_the_driver_could_not(path: str, mode: Any) -> None:
    """A worker that isn't told looks at its own rows before it splits a batch."""
    runnable = RunnableModel(path)
    request = runnable.request(None, None, None)
    options = make_options(mode=mode)
    assert options.rows == "unknown"
    scored = score_table(BAD, request, options, runnable.reference_for(request))
    assert scored["p"].null_count == scored.num_rows
    with pytest.raises(ModelError, match="can't be made reproducible"):
        score_table(GOOD, request, make_options(reproducible=True), runnable.reference())


def test_a_fixed_batch_dimension_is_not_filled_up(tmp_path: Path) -> None:
    """Rows that are left over from whole batches are refused, not scored with made-up others."""
    spec = tf.TensorSpec([4], tf.float32, "x")
    save_function(tmp_path / "model", lambda x: {"p": tf.nn.softmax(x)}, spec)
    model = tf2spark.SavedModel(tmp_path / "model")
    table = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]})
    with pytest.warns(RowsDependWarning):
        scored = model.score(table, mode="permissive")
    assert scored.p.notna().tolist() == [True] * 4 + [False] * 2
    assert "a run takes exactly 4 rows, and its batch has 2" in scored["_error"][5]


def test_spark_warns_on_the_driver_and_refuses_on_workers(path: str, spark: SparkSession) -> None:
    """The warning comes before any task runs; a worker refuses the batch of a bad row."""
    table = spark.createDataFrame(BAD.to_pandas()).coalesce(1)
    with pytest.warns(RowsDependWarning, match="Softmax"):
        scored = tf2spark.SavedModel(path).score(table, mode="permissive")
    assert [row["p"] for row in scored.collect()] == [None] * 6
    udf = tf2spark.SavedModel(path).udf(mode="permissive", rows="batch")
    values = table.select(udf(x="x", ids="ids").alias("s")).select("s.p").collect()
    assert [row["p"] for row in values] == [None] * 6


def test_a_model_with_a_memory_is_not_run_for_this(tmp_path: Path) -> None:
    """A model that counts its runs has counted one when the first rows are scored."""
    runs = tf.Variable(0.0, name="runs_of_this_test")
    x = tf.TensorSpec([None], tf.float32, "x")
    keep = {"runs": runs}
    save_function(tmp_path / "m", lambda x: {"y": 0 * x + runs.assign_add(1.0)}, x, keep=keep)
    table = pa.table({"x": pa.array([1.0, 2.0], pa.float32())})
    assert tf2spark.SavedModel(tmp_path / "m").score(table)["y"].to_pylist() == [1.0, 1.0]


@pytest.mark.parametrize("model_case", ALL, ids=lambda model_case: model_case.name)
def test_models_of_the_zoo_have_independent_rows(model_case: Case) -> None:
    """No model that scores row by row is taken for one whose rows depend on each other."""
    runnable = RunnableModel(str(path_of(model_case)))
    request = runnable.request(
        model_case.kwargs.get("signature"), model_case.feed, model_case.fetch
    )
    depends = generated_rows_depend(session_of(runnable.reference_for(request)), request)
    assert not depends, model_case.name
