"""What every session does, including the fake one of `tf2spark.testing`: a suite to inherit.

The model of the suite has the inputs `x` (float32 [n]) and `word` (string [n]) and the outputs
`double` (twice `x`), `pair` (`x` twice, [n, 2]) and `loud` (`word` with a "!" after it). It refuses
rows where `x` is 13, as a gather refuses an index.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cases.tensors import array_of, string_tensor
from tf2spark.dtypes import FLOAT32
from tf2spark.tensorflow_c.failure import INVALID_ARGUMENT, TensorFlowFailure
from tf2spark.tensorflow_c.session import Session
from tf2spark.tensorflow_c.tensor import Strings, Tensor

REFUSED = 13.0


def floats(*values: float) -> Tensor:
    return Tensor(FLOAT32, (len(values),), np.array(values, np.float32))


def values_of(result: Tensor | Strings) -> list[bytes]:
    assert isinstance(result, Strings)
    joined = result.data.tobytes()
    return [joined[start:end] for start, end in pairwise(result.offsets.tolist())]


class SessionContract:
    """The tests; a subclass has a fixture `session`."""

    @pytest.fixture
    def session(self) -> Session:
        """Return a session of the suite's model."""
        raise NotImplementedError

    def test_results_are_in_the_order_of_the_fetches(self, session: Session) -> None:
        """Whatever the order of the names, the same output twice and a fed tensor among them."""
        fetches = ["pair:0", "x:0", "double:0", "pair:0"]
        results = session.prepare(["x:0"], fetches)([floats(1, 2)])
        expected = [[[1, 1], [2, 2]], [1, 2], [2, 4], [[1, 1], [2, 2]]]
        assert [array_of(result).tolist() for result in results] == expected

    def test_feeds_are_in_the_order_prepared(self, session: Session) -> None:
        """Each tensor reaches the input whose name has its position."""
        fetches = ["double:0", "loud:0", "x:0"]
        fed = {"x:0": floats(1.5), "word:0": string_tensor([b"a"])}
        for feeds in (["x:0", "word:0"], ["word:0", "x:0"]):
            double, loud, x = session.prepare(feeds, fetches)([fed[name] for name in feeds])
            assert (array_of(double).tolist(), values_of(loud)) == ([3.0], [b"a!"])
            assert array_of(x).tolist() == [1.5]

    def test_results_have_the_dtype_and_shape_of_their_data(self, session: Session) -> None:
        """Of several rows, one and none."""
        run = session.prepare(["x:0"], ["double:0", "pair:0"])
        for rows in (3, 1, 0):
            double, pair = run([floats(*range(rows))])
            assert isinstance(double, Tensor)
            assert isinstance(pair, Tensor)
            assert (double.dtype, double.shape, double.data.shape) == (FLOAT32, (rows,), (rows,))
            assert (pair.dtype, pair.shape, pair.data.shape) == (FLOAT32, (rows, 2), (rows, 2))

    def test_strings_are_returned_end_to_end(self, session: Session) -> None:
        """Empty, long and binary ones, and none at all; the offsets begin at 0."""
        run = session.prepare(["word:0"], ["loud:0"])
        for words in ([b"", b"a\x00b", b"\xff" * 100], []):
            (loud,) = run([string_tensor(words)])
            assert values_of(loud) == [word + b"!" for word in words]
            assert isinstance(loud, Strings)
            assert (loud.shape, loud.offsets[0]) == ((len(words),), 0)
            assert loud.offsets.dtype == np.int64
            assert loud.data.dtype == np.uint8

    def test_results_outlive_what_was_fed(self, session: Session) -> None:
        """Memory that is reused after a run doesn't change its results."""
        fed = floats(1, 2)
        double, loud = session.prepare(["x:0", "word:0"], ["double:0", "loud:0"])(
            [fed, words := string_tensor([b"left", b"right"])]
        )
        fed.data[:] = 9.0
        del words
        assert (array_of(double).tolist(), values_of(loud)) == ([2, 4], [b"left!", b"right!"])

    def test_prepared_runs_are_independent(self, session: Session) -> None:
        """Runs that were prepared earlier go on working."""
        first = session.prepare(["x:0"], ["double:0"])
        second = session.prepare(["word:0"], ["loud:0"])
        assert values_of(second([string_tensor([b"a"])])[0]) == [b"a!"]
        assert array_of(first([floats(4)])[0]).tolist() == [8]

    def test_refused_values_are_a_failure_that_rows_cause(self, session: Session) -> None:
        """It has TensorFlow's code and message, and the next run is as if nothing had happened."""
        run = session.prepare(["x:0"], ["double:0"])
        with pytest.raises(TensorFlowFailure, match="13") as error:
            run([floats(1, REFUSED)])
        assert (error.value.code, error.value.row_caused) == (INVALID_ARGUMENT, True)
        assert array_of(run([floats(1, 2)])[0]).tolist() == [2, 4]

    def test_a_session_is_closed_once(self, session: Session) -> None:
        """Closing is the last call, and needs no run before it."""
        session.close()
