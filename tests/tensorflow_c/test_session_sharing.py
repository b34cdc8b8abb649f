from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from cases.tensors import array_of, random_tensor, shape_and_bytes, string_tensor
from tf2spark.dtypes import FLOAT32, INT32, INT64
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.tensor import Tensor


def test_prepared_runs_don_t_disturb_each_other(dtypes_session: CApiSession) -> None:
    """Runs prepared before, after and twice on one session all go on working."""
    first = dtypes_session.prepare(["in_string"], ["same_string"])
    fed = string_tensor([b"one", b"two"])
    assert first([fed])[0].shape == (2,)
    second = dtypes_session.prepare(["in_string"], ["same_string"])
    third = dtypes_session.prepare(["in_int64"], ["twice_int64"])
    assert third([random_tensor(INT64, (3,))])[0].shape == (2, 3)
    assert second([fed])[0].shape == first([fed])[0].shape == (2,)


def test_two_models_in_one_process(models: Path, dtypes_session: CApiSession) -> None:
    """Sessions of two models work side by side, and one outlives the other."""
    linear = open_session(str(models / "linear"), ["serve"], threads=2)
    run = linear.prepare(["serving_default_x"], ["StatefulPartitionedCall"])
    other = dtypes_session.prepare(["in_int32"], ["same_int32"])
    fed = random_tensor(INT32, (3,))
    for _ in range(3):
        got = run([Tensor(FLOAT32, (1, 2), np.ones((1, 2), np.float32))])
        assert array_of(got[0]).tolist() == [[5.0]]
        assert shape_and_bytes(array_of(other([fed])[0])) == shape_and_bytes(fed.data)
    linear.close()
    assert shape_and_bytes(array_of(other([fed])[0])) == shape_and_bytes(fed.data)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_may_share_a_prepared_run(models: Path, threads: int) -> None:
    """Two threads that run one prepared call get each their own results."""
    session = open_session(str(models / "dtypes"), ["serve", "old"], threads=threads)
    run = session.prepare(["in_float32", "in_string"], ["twice_float32", "same_string"])
    wrong: list[object] = []

    def work(value: int) -> None:
        fed = Tensor(FLOAT32, (100,), np.full(100, value, np.float32))
        for _ in range(200):
            got = run([fed, string_tensor([str(value).encode() * 30])])
            joined = got[1].data.tobytes()
            if array_of(got[0]).tolist() != [[value] * 100] * 2 or joined != b"%d" % value * 30:
                wrong.append(got)

    workers = [threading.Thread(target=work, args=(value,)) for value in (3, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    session.close()
    assert wrong == []
