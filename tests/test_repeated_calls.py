"""Calls that are alike: what depends on their arguments is done once, and nothing else is kept."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import save_function
from tf2spark import literal
from tf2spark.binding import kept_results, make_request
from tf2spark.binding.graph import checked_runs
from tf2spark.errors import ContractError
from tf2spark.local import score as local_score
from tf2spark.recommend.model.compile_model import compile_pair_model
from tf2spark.runnable import model as runnable_model
from tf2spark.runnable import recommend as runnable_recommend
from tf2spark.saved_model.graph import reachable_nodes


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that adds `offset`, one number for each of three columns of `x`."""
    path = tmp_path_factory.mktemp("calls") / "model"
    save_function(
        path,
        lambda x, offset: {"y": x + offset, "z": x * 2.0},
        tf.TensorSpec([None, 3], tf.float32, "x"),
        tf.TensorSpec([3], tf.float32, "offset"),
    )
    return path


@pytest.fixture
def model(path: Path) -> tf2spark.SavedModel:
    return tf2spark.SavedModel(path)


TABLE = pa.table({"x": [[1.0, 2.0, 3.0]]})


def y_of(model: tf2spark.SavedModel, offset: Any, table: Any = TABLE) -> list[list[float]]:
    scored = model.score(table, feed={"offset": literal(offset)}, fetch=["y"], keep=[])
    values: list[list[float]] = scored["y"].to_pylist()
    return values


def test_later_calls_walk_no_graph(
    model: tf2spark.SavedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their ops were checked by the first one; neither is the request made again."""
    expected = y_of(model, [1.0, 1.0, 1.0])

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a graph is walked, or a table bound, for the second time")

    for module, name in (
        (reachable_nodes._Walker, "walk"),
        (checked_runs, "graph_of"),
        (make_request, "choose_signature"),
        (runnable_model, "bind"),
    ):
        monkeypatch.setattr(module, name, refuse)
    assert y_of(model, [1.0, 1.0, 1.0]) == expected
    assert y_of(model, [1.0, 1.0, 1.0], pa.table({"x": [[1.0, 2.0, 3.0]] * 2})) == expected * 2


def test_a_constant_counts_by_its_values(model: tf2spark.SavedModel) -> None:
    """A list or an array that changed between two calls feeds what it holds now."""
    offset = [0.0, 0.0, 0.0]
    array = np.zeros(3, np.float32)
    for number in range(5):
        offset[1] = array[1] = number
        assert y_of(model, offset) == y_of(model, array) == [[1.0, 2.0 + number, 3.0]]
    assert y_of(model, [0.0, 0.0, 0.0]) == [[1.0, 2.0, 3.0]]
    offset[1] = 7.0
    assert y_of(model, [0.0, 4.0, 0.0]) == [[1.0, 6.0, 3.0]]


def test_tables_of_other_types_are_bound_anew(model: tf2spark.SavedModel) -> None:
    """The schema counts, types and order of columns included."""
    feed = {"offset": literal([0.0, 0.0, 0.0])}
    tables = [
        TABLE,
        pa.table({"id": [1], "x": [[1, 2, 3]]}),
        pa.table({"x": [[1.0, 2.0, 3.0]], "id": ["a"]}),
        pa.table({"x": pa.array([[1, 2, 3]], pa.list_(pa.int8(), 3))}),
    ]
    for table in tables * 2:
        scored = model.score(table, feed=feed, fetch=["z"])
        assert scored.column_names == [*table.column_names, "z"]
        assert scored["z"].to_pylist() == [[2.0, 4.0, 6.0]]
    with pytest.raises(ContractError, match='input "x"'):
        model.score(pa.table({"x": ["a"]}), feed=feed)
    frame = pd.DataFrame({"x": [[1.0, 2.0, 3.0]]})
    assert list(model.score(frame, feed=feed, fetch=["z"], keep=[]).columns) == ["z"]


def test_options_count_too(model: tf2spark.SavedModel) -> None:
    """A plan is kept for the options it was made with."""
    feed = {"offset": literal([0.0, 0.0, 0.0])}
    for keep, mode in [([], "failfast"), (["x"], "permissive"), ([], "dropmalformed")] * 2:
        table = pa.table({"x": [[1.0, 2.0, 3.0], None]})
        if mode == "failfast":
            table = TABLE
        scored = model.score(table, feed=feed, fetch=["y"], keep=keep, mode=mode)  # type: ignore[arg-type]
        added = ["y", "_error"] if mode == "permissive" else ["y"]
        assert scored.column_names == [*keep, *added]
        assert scored.num_rows == (2 if mode == "permissive" else 1)


def test_what_is_kept_is_bounded(model: tf2spark.SavedModel) -> None:
    """Thousands of different calls leave no more behind than the last few."""
    for number in range(150):
        table = TABLE.append_column(f"c{number % 50}", [[number]])
        assert y_of(model, [float(number), 0.0, 0.0], table) == [[1.0 + number, 2.0, 3.0]]
    runnable = model._runnable
    assert len(runnable._requests) <= 32
    assert len(runnable.row_findings) <= 32
    assert len(runnable._plans) <= 32


@pytest.mark.parametrize("frame", [False, True])
def test_later_calls_prepare_no_feeds(
    model: tf2spark.SavedModel, monkeypatch: pytest.MonkeyPatch, frame: bool
) -> None:
    """A table of many columns is prepared for once, whether or not it is of pandas."""
    table = TABLE.to_pandas() if frame else TABLE
    feed = {"offset": literal([5.0, 5.0, 5.0])}
    expected = model.score(table, feed=feed, keep=[])

    def refuse(*arguments: object) -> None:
        raise AssertionError("a plan is prepared for the second time")

    monkeypatch.setattr(local_score, "renumber", refuse)
    monkeypatch.setattr(local_score, "conversion_of", refuse)
    scored = model.score(table, feed=feed, keep=[])
    assert scored.equals(expected)
    with pytest.raises(AssertionError, match="second time"):
        model.score(table, feed=feed, keep=["x"])


def test_what_was_prepared_goes_with_the_model(path: Path) -> None:
    """A model that nothing refers to any more leaves no plan behind."""
    gc.collect()
    before = len(local_score._kept)
    model = tf2spark.SavedModel(path)
    y_of(model, [1.0, 2.0, 3.0])
    assert len(local_score._kept) == before + 1
    del model
    gc.collect()
    assert len(local_score._kept) == before


@pytest.mark.parametrize("frame", [False, True])
def test_thousands_of_calls_keep_no_objects(model: tf2spark.SavedModel, frame: bool) -> None:
    """500 calls of one row leave as many objects behind as the first ones did."""
    table = TABLE.to_pandas() if frame else TABLE
    feed = {"offset": literal([0.0, 0.0, 0.0])}

    def objects_after(calls: int) -> int:
        for _ in range(calls):
            model.score(table, feed=feed, keep=[])
        gc.collect()
        return len(gc.get_objects())

    before = objects_after(20)
    assert objects_after(500) - before < 100


def test_threads_may_call_one_model(model: tf2spark.SavedModel) -> None:
    """With other constants at the same time, each gets its own scores."""
    with ThreadPoolExecutor(4) as pool:
        scored = list(pool.map(lambda i: y_of(model, [float(i % 40), 0.0, 0.0]), range(200)))
    assert scored == [[[1.0 + i % 40, 2.0, 3.0]] for i in range(200)]


def test_pair_models_are_kept_however_large_their_constants_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`recommend` compiles once for equal constants: that takes longer than anything else."""
    save_function(
        tmp_path / "model",
        lambda u, i, table: {"y": u - i + tf.reduce_max(table)},
        tf.TensorSpec([None], tf.float32, "u"),
        tf.TensorSpec([None], tf.float32, "i"),
        tf.TensorSpec([None], tf.float32, "table"),
    )
    model = tf2spark.SavedModel(tmp_path / "model")
    users = pa.table({"user_id": [1], "u": [1.0]})
    items = pa.table({"item_id": [1, 2], "i": [0.5, 2.0]})
    table = np.zeros(kept_results.MAX_CONTENT_BYTES // 4 + 1, np.float32)
    compiled = []

    def counted(*arguments: Any) -> Any:
        compiled.append(arguments)
        return compile_pair_model(*arguments)

    monkeypatch.setattr(runnable_recommend, "compile_pair_model", counted)

    def best(constant: Any) -> float:
        scored = model.recommend(users, items, k=1, feed={"table": literal(constant)})
        score: float = scored["recommendations"].to_pylist()[0][0]["score"]
        return score

    assert [best(table), best(table.copy())] == [0.5, 0.5]
    assert len(compiled) == 1
    table[-1] = 3.0
    assert best(table) == 3.5
    assert len(compiled) == 2
