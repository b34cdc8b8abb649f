"""`tf2spark.worker.recommend.user_values`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import Factory, define

from tf2spark.binding.bind import bind_inputs
from tf2spark.binding.feeds import Column, Padded
from tf2spark.binding.options import Options
from tf2spark.binding.request import FedInput, Request
from tf2spark.dtypes import FLOAT32, INT64
from tf2spark.plan.recommend import CatalogPlan, SplitPlan
from tf2spark.plan.score import ModelRef, RowRelation
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.recommend.user_values import UserValues, user_values
from tf2spark.worker.row_probe import same_values

Array = np.ndarray[Any, Any]
HISTORIES = [[5], [1, 2, 3], [4, 4], [9], [2, 2, 2], [7, 8], [6]]


@define
class _Session:
    """A model whose one user value is computed by `values`; it remembers the rows of its runs."""

    values: Callable[[Array], Any]
    runs: list[int] = Factory(list)

    def prepare(self, feeds: Sequence[str], fetches: Sequence[str]) -> Any:
        def run(tensors: Sequence[Tensor]) -> list[Tensor]:
            (fed,) = tensors
            self.runs.append(fed.shape[0])
            data = self.values(fed.data.reshape(fed.shape)).astype(np.float32)
            return [Tensor(FLOAT32, data.shape, data)]

        return run

    def close(self) -> None: ...


def _values_of(session: _Session, relation: RowRelation) -> UserValues:
    spec = TensorSpec("history", INT64, (None, None), ("history:0",))
    request = Request((FedInput(spec, Padded(Column("history"), 0)),), ())
    schema = pa.schema([("history", pa.list_(pa.int64()))])
    users = bind_inputs(request, schema, Options(keep=()), ModelRef("", (), ""))
    strategy = SplitPlan(
        ("taste:0",), ("u:0",), (), "m:0", "n:0", "s:0", 9, 4, 4, user_rows=relation
    )
    return user_values(CatalogPlan(users, strategy, 3, 9, 1), strategy, session)


def _batch(rows: Sequence[Sequence[int]] = HISTORIES) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"history": pa.array(rows, pa.list_(pa.int64()))})


def _sums(fed: Array) -> Any:
    return fed.sum(1)


def _padded_means(fed: Array) -> Any:
    """Average over the padding as well, as a model without a mask does."""
    return fed.mean(1)


def _centred_sums(fed: Array) -> Any:
    return fed.sum(1) - fed.sum(1).mean()


def test_users_who_are_known_to_be_independent_are_one_run() -> None:
    """Nothing is checked where a rule proves it."""
    session = _Session(_sums)
    (value,) = _values_of(session, "independent")(_batch())
    assert value.data.tolist() == [sum(row) for row in HISTORIES]
    assert session.runs == [len(HISTORIES)]


def test_users_who_may_depend_on_each_other_are_one_run_as_long_as_they_do_not() -> None:
    """A few users are run alone beside it."""
    session = _Session(_sums)
    (value,) = _values_of(session, "unknown")(_batch())
    assert value.data.tolist() == [sum(row) for row in HISTORIES]
    assert session.runs[0] == len(HISTORIES)
    assert set(session.runs[1:]) == {1}


@pytest.mark.parametrize("relation", ["unknown", "batch"])
def test_padding_is_avoided_by_running_users_of_equal_length_together(
    relation: RowRelation,
) -> None:
    """Each user has the value that it has alone; the next batch isn't tried as a whole again."""
    session = _Session(_padded_means)
    values = _values_of(session, relation)
    (value,) = values(_batch())
    assert value.data.tolist() == pytest.approx([np.mean(row) for row in HISTORIES])
    session.runs.clear()
    (value,) = values(_batch(HISTORIES[::-1]))
    assert value.data.tolist() == pytest.approx([np.mean(row) for row in HISTORIES[::-1]])
    assert max(session.runs) == 3  # those of length 1


@pytest.mark.parametrize("relation", ["unknown", "batch"])
def test_users_who_depend_on_each_other_run_alone(relation: RowRelation) -> None:
    """Whatever their lengths are: all later batches, too."""
    session = _Session(_centred_sums)
    values = _values_of(session, relation)
    (value,) = values(_batch())
    assert value.data.tolist() == [0.0] * len(HISTORIES)
    session.runs.clear()
    values(_batch())
    assert session.runs == [1] * len(HISTORIES)


def test_a_user_without_company_is_one_run() -> None:
    """There is nothing to compare it with."""
    session = _Session(_sums)
    (value,) = _values_of(session, "unknown")(_batch([[3, 4]]))
    assert value.data.tolist() == [7.0]
    assert session.runs == [1]


def test_rounding_is_no_difference() -> None:
    """Sums in another order differ by a few units in the last place; other shapes are others."""
    values = np.array([1.0, -2.0, np.nan, np.inf], np.float32)
    assert same_values(values, values * np.float32(1 + 1e-6))
    assert not same_values(values, values * np.float32(1.01))
    assert not same_values(values, values[:3])
    assert not same_values(np.array([1, 2]), np.array([1, 3]))
