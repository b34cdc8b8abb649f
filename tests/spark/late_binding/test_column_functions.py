"""`spark.late_binding.column_functions`: a `udf` binds on the worker, once a task."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pytest

import tf2spark
from cases.models import case
from tf2spark.binding.options import make_options
from tf2spark.errors import ContractError, RowError
from tf2spark.spark.late_binding import column_functions
from tf2spark.spark.late_binding.column_functions import late_column_scorer
from tf2spark.worker.spark_tasks import Columns


def scorer(model: tf2spark.SavedModel, *, single: bool = True) -> Columns:
    request = model._runnable.request(None, None, None)
    options = make_options(keep=(), columnwise=True)
    reference = model._runnable.reference_for(request)
    return late_column_scorer(request, options, reference, ("features",), single)


@pytest.fixture
def features() -> pa.Array:
    return case("keras_mlp").table(10)["features"].combine_chunks()


def test_batches_are_scored_by_one_plan(
    mlp: tf2spark.SavedModel, features: pa.Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns are bound with the first batch; the scores are those of `score`."""
    bind: Any = column_functions.bind  # type: ignore[attr-defined]
    counted = Mock(wraps=bind)
    monkeypatch.setattr(column_functions, "bind", counted)
    batches = [(features.slice(0, 4),), (features.slice(4, 0),), (features.slice(4, 6),)]
    scored = list(scorer(mlp)(batches))
    assert [len(column) for column in scored] == [4, 0, 6]
    assert counted.call_count == 1
    expected = mlp.score(pa.table({"features": features}))["output_0"]
    assert pa.chunked_array(scored).to_pylist() == pytest.approx(expected.to_pylist())


def test_several_columns_stay_a_struct(mlp: tf2spark.SavedModel, features: pa.Array) -> None:
    """The caller says whether the one output is the result itself."""
    (struct,) = scorer(mlp, single=False)([(features,)])
    assert [field.name for field in struct.type] == ["output_0"]


def test_rows_are_counted_through_the_task(mlp: tf2spark.SavedModel, features: pa.Array) -> None:
    """The number of a bad row is its number in the task, not in its batch."""
    spoiled = pa.concat_arrays([features.slice(4, 2), pa.nulls(1, features.type)])
    with pytest.raises(RowError, match=r"^row 6 \(counted from 0\) can't be scored"):
        list(scorer(mlp)([(features.slice(0, 4),), (spoiled,)]))


def test_another_number_of_arguments_is_refused(
    mlp: tf2spark.SavedModel, features: pa.Array
) -> None:
    """SQL passes what a query says, so a task says which columns the function takes."""
    with pytest.raises(ContractError, match=r"^the model takes 1 column \(features\), but got 2$"):
        list(scorer(mlp)([(features, features)]))


def test_no_batch_is_no_result(mlp: tf2spark.SavedModel) -> None:
    """A task without batches binds nothing."""
    assert list(scorer(mlp)([])) == []
