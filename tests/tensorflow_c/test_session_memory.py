from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cases.tensors import START, array_of, random_tensor, run_in_new_python, string_tensor
from tf2spark.dtypes import FLOAT32
from tf2spark.tensorflow_c import tensor_memory
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.tensor import Tensor


def test_memory_that_the_model_keeps_stays_alive(dtypes_session: CApiSession) -> None:
    """A model that assigns its input to a variable reads it after the input is gone."""
    write = dtypes_session.prepare(["keep"], ["kept"])
    read = dtypes_session.prepare([], ["read_last"])
    for value in range(20):
        room = np.empty(1_000_000, np.float32)
        start = (-room.ctypes.data % 64) // 4
        room[start : start + 8] = value
        write([Tensor(FLOAT32, (8,), room[start : start + 8])])
        del room
        filler = np.full(1_000_000, -1, np.float32)
        assert array_of(read([])[0]).tolist() == [value] * 8
        del filler


def test_no_memory_is_held_after_a_run(dtypes_session: CApiSession) -> None:
    """Once a run is over, TensorFlow has released what it was fed."""
    run = dtypes_session.prepare(["in_float32", "in_string"], ["same_float32", "same_string"])
    before = len(tensor_memory._fed)
    run([random_tensor(FLOAT32, (2, 2)), string_tensor([b"a"])])
    assert len(tensor_memory._fed) == before


def test_tensors_fed_in_every_run_live_as_long_as_the_session(models: Path) -> None:
    """As mapped weights do: runs, failing ones too, leave them in place, and closing frees them."""
    session = open_session(str(models / "contract"), ["serve"], threads=1)
    room = np.zeros(64, np.float32)
    start = (-room.ctypes.data % 64) // 4  # aligned memory is read in place
    room[start : start + 2] = [1.0, 2.0]
    before = len(tensor_memory._fed)
    session.feed_always("x", Tensor(FLOAT32, (2,), room[start : start + 2]))
    run = session.prepare([], ["double", "pair"])
    wrong = session.prepare(["word"], ["loud", "double"])
    for _ in range(3):
        double, pair = run([])
        assert array_of(double).tolist() == [2.0, 4.0]
        assert array_of(pair).tolist() == [[1.0, 1.0], [2.0, 2.0]]
        room[start] = 13.0
        with pytest.raises(TensorFlowFailure):
            wrong([string_tensor([b"a"])])
        room[start] = 1.0
        assert len(tensor_memory._fed) == before + 1
    session.close()
    assert len(tensor_memory._fed) == before


def test_large_result_owns_memory_that_outlives_everything(dtypes_session: CApiSession) -> None:
    """A large tensor isn't copied, and stays right after its inputs are gone."""
    run = dtypes_session.prepare(["in_float32"], ["twice_float32", "same_float32"])
    values = np.arange(1 << 18, dtype=np.float32)
    twice, same = run([Tensor(FLOAT32, values.shape, values.copy())])
    again = [run([Tensor(FLOAT32, values.shape, values + n)]) for n in range(8)]
    assert np.array_equal(array_of(twice), np.stack([values, values]))
    assert np.array_equal(array_of(same), values)
    assert all(np.array_equal(array_of(result[1]), values + n) for n, result in enumerate(again))


def test_large_results_are_freed(dtypes_session: CApiSession) -> None:
    """A thousand results of 2 MB leave no memory behind, and none of what was fed."""
    run = dtypes_session.prepare(["in_float32"], ["twice_float32"])
    values = np.zeros(1 << 18, np.float32)

    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    run([Tensor(FLOAT32, values.shape, values)])
    before, fed = resident_bytes(), len(tensor_memory._fed)
    for _ in range(1000):
        run([Tensor(FLOAT32, values.shape, values)])
    assert resident_bytes() - before < 100e6
    assert len(tensor_memory._fed) == fed


LEAK = (
    START
    + """
def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
session = open_session(sys.argv[1], ["serve", "old"], threads=1)
run = session.prepare(["in_float32", "in_string"], ["twice_float32", "twice_string", "in_string"])
wrong = session.prepare(["in_float32", "keep"], ["kept", "twice_float32"])
values = [b"", b"short", b"long" * 50] * 20
data = np.frombuffer(b"".join(values), np.uint8)
offsets = np.cumsum([0, *map(len, values)])
for number in range(20_000):
    floats = Tensor(FLOAT32, (60, 20), np.ones((60, 20), np.float32))
    views = strings.views(offsets, data.ctypes.data)
    got = run([floats, Tensor(STRING, (60,), views, data)])
    assert got[1].data.nbytes == 2 * data.nbytes
    if number % 10 == 0:
        try:
            wrong([floats, Tensor(FLOAT32, (3,), np.ones(3, np.float32))])
            raise SystemExit("the wrong shape passed")
        except TensorFlowFailure:
            pass
    if number == 1_000:
        first = resident_bytes()
print(resident_bytes() - first)
"""
)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
@pytest.mark.slow
def test_20_000_runs_end_with_the_memory_of_the_first_1_000(models: Path) -> None:
    """Numbers, strings of every layout and failing runs leave nothing behind."""
    # One float input of 4,800 bytes leaked a run would be 91 MB.
    assert int(run_in_new_python(LEAK, models / "dtypes")) < 3_000_000
