from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from cases.session_contract import REFUSED, SessionContract
from tf2spark.conversion.rows import numbers_or_views, tensor
from tf2spark.dtypes import FLOAT32, STRING
from tf2spark.tensorflow_c.failure import INVALID_ARGUMENT, TensorFlowFailure
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.testing import FakeSession, fed_strings, fetched_strings


def floats(*values: float) -> Tensor:
    return tensor(FLOAT32, np.array(values, np.float32), (len(values),))


def contract_model(fed: dict[str, Tensor]) -> dict[str, Tensor | Strings]:
    """Compute what the model of `cases.session_contract` does."""
    fetched: dict[str, Tensor | Strings] = {**fed}
    if "x:0" in fed:
        x = fed["x:0"].data
        if (x == REFUSED).any():
            raise TensorFlowFailure(INVALID_ARGUMENT, f"{REFUSED} is refused")
        fetched["double:0"] = tensor(FLOAT32, x * 2, x.shape)
        fetched["pair:0"] = tensor(FLOAT32, np.stack([x, x], axis=1), (len(x), 2))
    if "word:0" in fed:
        fetched["loud:0"] = fetched_strings([word + b"!" for word in fed_strings(fed["word:0"])])
    return fetched


class TestFakeSession(SessionContract):
    """The session of `tf2spark.testing` does what a real one does."""

    @pytest.fixture
    def session(self) -> FakeSession:
        """Return a fake session of the suite's model."""
        return FakeSession(contract_model)


def test_the_fake_session_runs_a_function_by_names() -> None:
    """Feeds arrive under their names, fetches leave in the order prepared, runs are counted."""
    session = FakeSession(
        lambda fed: {"double:0": floats(*(fed["x:0"].data * 2)), "x:0": fed["x:0"]}
    )
    run = session.prepare(["x:0"], ["x:0", "double:0"])
    same, double = run([floats(1, 2)])
    assert isinstance(same, Tensor)
    assert isinstance(double, Tensor)
    assert same.data.tolist() == [1, 2]
    assert double.data.tolist() == [2, 4]
    run([floats(1, 2, 3)])
    assert session.runs == [2, 3]
    session.close()


def test_the_fake_session_fails_as_its_model_does() -> None:
    """What the function raises is what a run raises."""

    def model(fed: dict[str, Tensor]) -> dict[str, Tensor | Strings]:
        raise TensorFlowFailure(3, "indices[0] = 9 is not in [0, 3)")

    with pytest.raises(TensorFlowFailure, match="is not in"):
        FakeSession(model).prepare([], ["y:0"])([])


def test_fed_strings_are_read_back() -> None:
    """Views onto an Arrow array give its values, empty and long ones too."""
    views, owner = numbers_or_views(pa.array(["", "a", "b" * 100]))
    assert fed_strings(tensor(STRING, views, (3,), owner)) == [b"", b"a", b"b" * 100]


def test_fetched_strings_have_offsets_from_zero() -> None:
    """Text is encoded, and a shape that the values don't fill is refused."""
    fetched = fetched_strings(["ż", b"\xff", ""], (3, 1))
    assert fetched.shape == (3, 1)
    assert fetched.offsets.tolist() == [0, 2, 3, 3]
    assert fetched.data.tobytes() == "ż".encode() + b"\xff"
    assert fetched_strings([]).shape == (0,)
    with pytest.raises(ValueError, match=r"2 values don't fill the shape \[3\]"):
        fetched_strings(["a", "b"], (3,))
