from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cases.tensors import array_of, random_tensor, string_tensor
from tf2spark.dtypes import INT32
from tf2spark.errors import ModelError, RunError
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.tensor import Tensor


@pytest.mark.parametrize(
    ("feeds", "fetches", "message"),
    [
        (["in_float"], [], "the graph has no tensor 'in_float'; did you mean 'in_float"),
        ([], ["nothing_like_it"], "the graph has no tensor 'nothing_like_it'"),
        ([], ["split:3"], "the graph has no tensor 'split:3': node 'split' has 3 output(s)"),
        ([], ["split:x"], "the graph has no tensor 'split:x': node 'split' has 3 output(s)"),
        (
            [],
            ["resource:0"],
            "tensor 'resource:0' can't be fetched: its dtype is resource, which is a handle and "
            "has no values",
        ),
        (
            [],
            ["complex"],
            "tensor 'complex' can't be fetched: its dtype is complex64, which no column can hold",
        ),
    ],
)
def test_names_that_can_t_be_used_are_refused(
    dtypes_session: CApiSession, feeds: list[str], fetches: list[str], message: str
) -> None:
    """`prepare` names a tensor that the graph doesn't have, or that has no values."""
    with pytest.raises(ModelError) as error:
        dtypes_session.prepare(feeds, fetches)
    assert str(error.value).startswith(message)


def test_feeds_must_be_of_the_dtypes_prepared(dtypes_session: CApiSession) -> None:
    """A tensor of another dtype, or one too few, never reaches TensorFlow."""
    run = dtypes_session.prepare(["in_float32", "six"], ["same_float32"])
    with pytest.raises(RunError, match=r"must be fed in_float32 float32, six int32; got int32$"):
        run([random_tensor(INT32, (6,))])


@pytest.mark.parametrize(
    ("node", "fed", "code", "message"),
    [
        ("gather", [0, 9, 1], 3, "indices[1] = 9 is not in [0, 2) (node gather)"),
        ("asserted", [1, -7], 3, "assertion failed: [positive!"),
        ("divided", [1, 0], 3, "Integer division by zero (node divided)"),
        ("number", [b"1", b"one"], 3, "StringToNumberOp could not correctly convert string: one"),
        ("unzipped", [b"no zip"], 15, "inflate() failed"),
        ("csv", [b"1"], 3, "Expect 2 fields but have 1 in record 0"),
        ("utf8", [b"\xff"], 3, "Invalid formatting on input string"),
        ("parsed/parsed", [b"rubbish"], 3, "Name: <unknown>, Feature: a"),
    ],
)
def test_values_that_tensorflow_refuses_are_row_caused(
    rows_session: CApiSession, node: str, fed: list[Any], code: int, message: str
) -> None:
    """Bad values raise a row-caused TensorFlowFailure with a readable message."""
    is_text = isinstance(fed[0], bytes)
    tensor = string_tensor(fed) if is_text else Tensor(INT32, (len(fed),), np.array(fed, np.int32))
    run = rows_session.prepare(["text" if is_text else "ids"], [node])
    with pytest.raises(TensorFlowFailure) as error:
        run([tensor])
    assert (error.value.code, error.value.row_caused) == (code, True)
    assert str(error.value).startswith(message)
    assert "{{" not in str(error.value)


def test_session_goes_on_after_a_failure(rows_session: CApiSession) -> None:
    """A failed run has no effect on the next one."""
    run = rows_session.prepare(["ids"], ["gather"])
    with pytest.raises(TensorFlowFailure):
        run([Tensor(INT32, (1,), np.array([5], np.int32))])
    assert array_of(run([Tensor(INT32, (1,), np.array([1], np.int32))])[0]).tolist() == [2.0]


def test_a_table_that_nothing_fills_is_the_model_s_fault(rows_session: CApiSession) -> None:
    """It fails for every row, and the message says what to export instead."""
    run = rows_session.prepare(["ids"], ["looked_up/LookupTableFindV2"])
    with pytest.raises(ModelError, match=r"nothing fills one .*not initialized.*main_op$"):
        run([Tensor(INT32, (1,), np.array([1], np.int32))])


def test_closed_session_refuses_to_run(models: Path) -> None:
    """After `close`, which may be called twice, a prepared run fails instead of crashing."""
    session = open_session(str(models / "linear"), ["serve"], threads=1)
    run = session.prepare([], ["Variable/Read/ReadVariableOp"])
    session.close()
    session.close()
    with pytest.raises(RunError, match=r"is closed$"):
        run([])
    with pytest.raises(RunError, match=r"is closed$"):
        session.prepare([], [])
