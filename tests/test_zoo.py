"""The zoo itself: TensorFlow runs every model, and a wrong score would differ from its answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from pyspark.sql.pandas.types import from_arrow_schema
from tensorflow.core.protobuf import saved_model_pb2

from cases.models import (
    ALL,
    REFUSING,
    SPECIAL,
    UNSAFE,
    Case,
    case,
    expected_of,
    path_of,
    run_tensorflow,
)
from cases.models.running import session_of

pytestmark = pytest.mark.slow

_ROWS = 23
_EVERY = [*ALL, *REFUSING, *UNSAFE, *SPECIAL]
_RUNNING = [case for case in _EVERY if case.runs_directly]
_SPARSE = ["vectors_to_tf2_sparse", "map_to_tf2_sparse", "assembled_to_sparse"]
_RAGGED = ["ragged_1", "ragged_2", "ragged_uniform"]


def by_case(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("model", cases, ids=lambda model: model.name)


def scorable(model: Case, rows: int = _ROWS) -> pa.Table:
    """Return a table without the rows that the model refuses."""
    table = model.table(rows)
    return table if model.refused is None else table.filter(pa.array(~model.refused(table)))


@by_case(_RUNNING)
def test_answers_can_tell_a_right_score_from_a_wrong_one(model: Case) -> None:
    """Every output that is fetched is there, finite, and not the same in all rows."""
    expected = expected_of(model, scorable(model))
    signatures = session_of(path_of(model))[1]
    outputs: Any = model.fetch
    if outputs is None:
        outputs = signatures[model.kwargs.get("signature") or default_of(signatures)].outputs
    assert set(expected) == set(outputs)
    for array in expected.values():
        assert array.dtype == object or np.isfinite(array).all()
        assert array.ndim == 0 or len({repr(row) for row in array.tolist()}) > 1


def default_of(signatures: dict[str, Any]) -> str:
    return "serving_default" if len(signatures) > 1 else next(iter(signatures))


@by_case([*ALL, *REFUSING])
def test_answers_have_one_entry_per_row(model: Case) -> None:
    """Every output of a case that can be scored has as many entries as the table has rows."""
    table = scorable(model)
    assert {len(array) for array in expected_of(model, table).values()} == {table.num_rows}


@by_case(ALL)
def test_one_row_is_enough(model: Case) -> None:
    """Every case can run a table of a single row."""
    assert all(len(array) == 1 for array in expected_of(model, model.table(1)).values())


@by_case(_EVERY)
def test_tables_are_those_of_spark(model: Case) -> None:
    """A table is the same at every call, and all its types exist in Spark."""
    table = model.table(_ROWS)
    assert table.num_rows == _ROWS
    assert table.equals(model.table(_ROWS))
    assert len(from_arrow_schema(table.schema)) == table.num_columns


@by_case([case for case in REFUSING if case.reason])
def test_tensorflow_refuses_the_bad_rows_one_by_one(model: Case) -> None:
    """Each row that a case calls refused fails on its own, with the reason of the case."""
    table = model.table(_ROWS)
    assert model.refused is not None
    bad = np.flatnonzero(model.refused(table))
    assert 0 < len(bad) < _ROWS
    for row in bad:
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            expected_of(model, table.slice(row, 1))
        assert model.reason in str(caught.value)


@by_case([case for case in _EVERY if case.v2_refuses])
def test_the_v2_loader_refuses_what_the_v1_loader_loads(model: Case) -> None:
    """`tf.saved_model.load` can't load the models that a case says need the v1 loader."""
    with pytest.raises(Exception, match=r"`tags=`|needs an input for each placeholder"):
        tf.saved_model.load(str(path_of(model)))
    assert expected_of(model, model.table(_ROWS))


@by_case([case(name) for name in _SPARSE])
def test_flattened_sparse_tensors_match_the_function(model: Case) -> None:
    """The function, called with a SparseTensor, gives the result of the flattened feeds."""
    table = model.table(_ROWS)
    feeds = model.feeds(table)
    sparse = tf.SparseTensor(feeds["x"], feeds["x_1"], feeds["x_2"])
    loaded = tf.saved_model.load(str(path_of(model)))
    assert_same(loaded.serving_default(sparse), model, table)


@by_case([case(name) for name in _RAGGED])
def test_flattened_ragged_tensors_match_the_function(model: Case) -> None:
    """The function, called with a RaggedTensor, gives the result of the flattened feeds."""
    table = model.table(_ROWS)
    (name,) = table.column_names
    values, *splits = model.feeds(table).values()
    ragged = tf.RaggedTensor.from_nested_row_splits(values, splits)
    assert ragged.to_list() == decode_rows(table[name].to_pylist(), ragged.dtype)
    loaded = tf.saved_model.load(str(path_of(model)))
    assert_same(loaded.serving_default(ragged), model, table)


def decode_rows(rows: Any, dtype: Any) -> Any:
    """Return a column's lists in the form of `RaggedTensor.to_list`."""
    if isinstance(rows, list):
        return [decode_rows(row, dtype) for row in rows]
    return rows.encode() if dtype == tf.string else float(np.float32(rows))


def assert_same(actual: dict[str, Any], model: Case, table: pa.Table) -> None:
    for name, expected in expected_of(model, table).items():
        if expected.dtype == np.float32:
            np.testing.assert_allclose(actual[name].numpy(), expected, rtol=1e-5)
        else:
            assert actual[name].numpy().tolist() == expected.tolist()


@by_case(UNSAFE)
def test_unsafe_models_contain_their_unsafe_ops(model: Case) -> None:
    """The ops that the check must name are in the graph, inside functions."""
    message = saved_model_pb2.SavedModel.FromString(
        (path_of(model) / "saved_model.pb").read_bytes()
    )
    graph = message.meta_graphs[0].graph_def
    inside = {node.op for function in graph.library.function for node in function.node_def}
    assert inside.issuperset(model.unsafe)


def test_counter_counts() -> None:
    """The stateful model gives another result at every run of a session."""
    counter = case("counter")
    feeds = counter.feeds(counter.table(2))
    first, second = (run_tensorflow(path_of(counter), None, feeds)["y"] for _ in range(2))
    np.testing.assert_allclose(second - first, 1, rtol=1e-5)


def test_binary_is_not_text() -> None:
    """The bytes of the binary case can't be decoded, so they don't fit a string column."""
    binary = case("binary")
    for value in expected_of(binary, binary.table(3))["raw"]:
        with pytest.raises(UnicodeDecodeError):
            value.decode()


def test_names_are_unique() -> None:
    """No two cases share a name, and each is found by its name."""
    assert len({model.name for model in _EVERY}) == len(_EVERY)
    assert all(case(model.name) is model for model in _EVERY)


def test_models_are_written_once() -> None:
    """Cases of the same model share its folder, other cases don't."""
    shared = path_of(case("keras_mlp")), path_of(case("keras_mlp_doubles"))
    assert shared[0] == shared[1] != path_of(case("mlp_128"))
