"""`conversion.arrow_buffers`: what pyarrow's own conversions give, without pandas."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.models import ALL, path_of
from tf2spark.conversion.arrow_buffers import (
    bool_array,
    number_array,
    take_indices,
    take_rows,
    values_of,
    without_offset,
)

_KINDS = [
    pa.bool_(),
    pa.int8(),
    pa.uint64(),
    pa.float16(),
    pa.float64(),
]


@pytest.mark.parametrize("kind", _KINDS, ids=str)
@given(data=st.data())
def test_values_are_those_of_to_numpy(kind: pa.DataType, data: st.DataObject) -> None:
    """Any slice of an array has the values that pyarrow's `to_numpy` gives."""
    count = data.draw(st.integers(0, 40))
    whole = pa.array(np.arange(count) % 3).cast(pa.int8()).cast(kind, safe=False)
    start = data.draw(st.integers(0, count))
    array = whole.slice(start, data.draw(st.integers(0, count - start)))
    values, expected = values_of(array), array.to_numpy(zero_copy_only=False)
    assert values.dtype == expected.dtype
    np.testing.assert_array_equal(values, expected)


def test_an_array_without_buffers_has_no_values() -> None:
    """An empty array without a buffer is read as empty."""
    for kind in (pa.int32(), pa.bool_()):
        assert len(values_of(pa.Array.from_buffers(kind, 0, [None, None]))) == 0


@given(values=st.lists(st.booleans(), max_size=40))
def test_bools_become_what_pyarrow_makes_of_them(values: list[bool]) -> None:
    """Bools in a NumPy array are the same bools in an Arrow array."""
    assert bool_array(np.array(values, bool)).to_pylist() == values


@pytest.mark.parametrize("step", [1, 2])
def test_numbers_become_what_pyarrow_makes_of_them(step: int) -> None:
    """Numbers keep their order and values, strided ones too."""
    values = np.arange(10, dtype=np.float32)[::step]
    assert number_array(values, pa.float32()).equals(pa.array(values))


def test_a_negative_index_is_null() -> None:
    """`Array.take` gives null for a negative index."""
    values = pa.array(["a", "b"]).take(take_indices(np.array([1, -1, 0])))
    assert values.to_pylist() == ["b", None, "a"]


_CHILD = """
import pickle, sys
import pyarrow as pa
import tf2spark

class Refuse:
    def find_spec(self, name, path=None, target=None):
        assert name != "pandas"


sys.meta_path.insert(0, Refuse())
for path, table, arguments in pickle.load(open(sys.argv[1], "rb")):
    out = tf2spark.SavedModel(path).score(pa.ipc.open_stream(table).read_all(), **arguments)
    assert out.num_rows == 7, path
"""


@pytest.mark.slow
def test_no_model_makes_a_worker_import_pandas(tmp_path: Path) -> None:
    """Scoring any model of the zoo leaves pandas out of the process."""
    jobs = []
    for case in ALL:
        sink = pa.BufferOutputStream()
        table = case.table(7)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        arguments = {"feed": case.feed, "fetch": case.fetch, **case.kwargs}
        jobs.append((path_of(case), sink.getvalue().to_pybytes(), arguments))
    (tmp_path / "jobs").write_bytes(pickle.dumps(jobs))
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "jobs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("in_struct", [False, True])
def test_rows_of_a_slice_of_nested_fixed_lists_are_its_own(in_struct: bool) -> None:
    """Pyarrow itself would take those of the whole array."""
    rows = [[[n, n, n], [n, n, -n]] for n in range(10)]
    column = pa.array(rows, pa.list_(pa.list_(pa.int16(), 3), 2))
    if in_struct:
        column = pa.StructArray.from_arrays([column], names=["f"])
    batch = pa.record_batch([column, pa.array(range(10))], ["x", "id"]).slice(4)
    taken = take_rows(batch, np.array([0, 3, 5]))
    assert taken.column("id").to_pylist() == [4, 7, 9]
    assert taken.column("x").to_pylist() == [column[row].as_py() for row in (4, 7, 9)]
    kept = pa.array([False, True, True, False, False, True])
    assert without_offset(batch.column("x")).filter(kept).to_pylist() == [
        column[row].as_py() for row in (5, 6, 9)
    ]
