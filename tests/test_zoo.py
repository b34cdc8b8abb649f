"""The zoo itself: TensorFlow runs every model, and its answers are such that a test can fail."""

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
    APART,
    REFUSING,
    UNSAFE,
    Case,
    case,
    expected_of,
    path_of,
    run_tensorflow,
)
from cases.models.running import session_of

_ROWS = 23
_EVERY = [*ALL, *REFUSING, *UNSAFE, *APART]
_RUNNING = [one for one in _EVERY if one.runs_directly]
_SPARSE = ["vectors_to_tf2_sparse", "map_to_tf2_sparse", "assembled_to_sparse"]
_RAGGED = ["ragged_1", "ragged_2", "ragged_uniform"]


def by_case(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("one", cases, ids=lambda one: one.name)


def scorable(one: Case, rows: int = _ROWS) -> pa.Table:
    """Return a table without the rows that the model refuses."""
    table = one.table(rows)
    return table if one.refused is None else table.filter(pa.array(~one.refused(table)))


@by_case(_RUNNING)
def test_answers_can_tell_a_right_score_from_a_wrong_one(one: Case) -> None:
    """Every output that is asked for is there, finite, and not the same in all rows."""
    expected = expected_of(one, scorable(one))
    signatures = session_of(path_of(one))[1]
    asked = one.fetch
    if asked is None:
        asked = signatures[one.kwargs.get("signature") or sole(signatures)].outputs
    assert set(expected) == set(asked)
    for array in expected.values():
        assert array.dtype == object or np.isfinite(array).all()
        assert array.ndim == 0 or len({repr(row) for row in array.tolist()}) > 1


def sole(signatures: dict[str, Any]) -> str:
    return "serving_default" if len(signatures) > 1 else next(iter(signatures))


@by_case([*ALL, *REFUSING])
def test_answers_have_one_entry_a_row(one: Case) -> None:
    """Every output of a case that can be scored by the row has as many entries as rows."""
    table = scorable(one)
    assert {len(array) for array in expected_of(one, table).values()} == {table.num_rows}


@by_case(ALL)
def test_one_row_is_enough(one: Case) -> None:
    """A table of a single row runs, in every case."""
    assert all(len(array) == 1 for array in expected_of(one, one.table(1)).values())


@by_case(_EVERY)
def test_tables_are_those_of_spark(one: Case) -> None:
    """A table is the same at every call, and Spark has each of its types."""
    table = one.table(_ROWS)
    assert table.num_rows == _ROWS
    assert table.equals(one.table(_ROWS))
    assert len(from_arrow_schema(table.schema)) == table.num_columns


@by_case([one for one in REFUSING if one.reason])
def test_tensorflow_refuses_the_bad_rows_one_by_one(one: Case) -> None:
    """Each row that is said to be refused fails by itself, with the reason that is stated."""
    table = one.table(_ROWS)
    assert one.refused is not None
    bad = np.flatnonzero(one.refused(table))
    assert 0 < len(bad) < _ROWS
    for row in bad:
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            expected_of(one, table.slice(row, 1))
        assert one.reason in str(caught.value)


@by_case([one for one in _EVERY if one.v2_refuses])
def test_v2_loader_refuses_what_the_v1_loader_loads(one: Case) -> None:
    """`tf.saved_model.load` can't load the models that are said to need the v1 loader."""
    with pytest.raises(Exception, match=r"`tags=`|needs an input for each placeholder"):
        tf.saved_model.load(str(path_of(one)))
    assert expected_of(one, one.table(_ROWS))


@by_case([case(name) for name in _SPARSE])
def test_flattened_sparse_tensors_are_those_of_the_function(one: Case) -> None:
    """The function itself, given a SparseTensor, says what the flattened feeds say."""
    table = one.table(_ROWS)
    feeds = one.feeds(table)
    whole = tf.SparseTensor(feeds["x"], feeds["x_1"], feeds["x_2"])
    model = tf.saved_model.load(str(path_of(one)))
    assert_same(model.serving_default(whole), one, table)


@by_case([case(name) for name in _RAGGED])
def test_flattened_ragged_tensors_are_those_of_the_function(one: Case) -> None:
    """The function itself, given a RaggedTensor, says what the flattened feeds say."""
    table = one.table(_ROWS)
    (name,) = table.column_names
    values, *splits = one.feeds(table).values()
    whole = tf.RaggedTensor.from_nested_row_splits(values, splits)
    assert whole.to_list() == decoded_rows(table[name].to_pylist(), whole.dtype)
    model = tf.saved_model.load(str(path_of(one)))
    assert_same(model.serving_default(whole), one, table)


def decoded_rows(rows: Any, dtype: Any) -> Any:
    """Return a column's lists as `RaggedTensor.to_list` writes them."""
    if isinstance(rows, list):
        return [decoded_rows(row, dtype) for row in rows]
    return rows.encode() if dtype == tf.string else float(np.float32(rows))


def assert_same(got: dict[str, Any], one: Case, table: pa.Table) -> None:
    for name, want in expected_of(one, table).items():
        if want.dtype == np.float32:
            np.testing.assert_allclose(got[name].numpy(), want, rtol=1e-5)
        else:
            assert got[name].numpy().tolist() == want.tolist()


@by_case(UNSAFE)
def test_unsafe_models_hold_the_ops_they_are_unsafe_for(one: Case) -> None:
    """The ops to be named are in the graph, inside of functions."""
    model = saved_model_pb2.SavedModel.FromString((path_of(one) / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    inside = {node.op for function in graph.library.function for node in function.node_def}
    assert inside.issuperset(one.unsafe)


def test_counter_counts() -> None:
    """The stateful model gives something else at every run of one session."""
    one = case("counter")
    feeds = one.feeds(one.table(2))
    first, second = (run_tensorflow(path_of(one), None, feeds)["y"] for _ in range(2))
    np.testing.assert_allclose(second - first, 1, rtol=1e-5)


def test_binary_is_no_text() -> None:
    """The bytes of the binary case can't be decoded, so a string column can't hold them."""
    one = case("binary")
    for value in expected_of(one, one.table(3))["raw"]:
        with pytest.raises(UnicodeDecodeError):
            value.decode()


def test_names_are_unique() -> None:
    """No two cases have one name, and each is found by it."""
    assert len({one.name for one in _EVERY}) == len(_EVERY)
    assert all(case(one.name) is one for one in _EVERY)


def test_models_are_made_once() -> None:
    """Cases of one model share its folder, and others don't."""
    shared = path_of(case("keras_mlp")), path_of(case("keras_mlp_doubles"))
    assert shared[0] == shared[1] != path_of(case("mlp_128"))
