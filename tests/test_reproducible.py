"""`reproducible=True`: a row has one result, bit by bit, on each instruction set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.slow

# TensorFlow enables oneDNN's ops by default only on processors with AVX-512 VNNI or later. Older
# ones compute with Eigen, whose matrix kernel is oneDNN's for the newest instruction set allowed.
PROCESSORS = {
    "this one": {},
    "AVX2": {"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "AVX": {"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "AVX"},
    "SSE4.1": {"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "AVX2 with oneDNN's ops": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}

# Arguments: the model, the number of its features, the threads of the process's first session.
# Of 4,200 rows, some lie where kernels split a run of a few thousand in two.
JOB = """
import hashlib, sys
import numpy as np
import pyarrow as pa
import tf2spark
from tf2spark.tensorflow_c.session import open_session

path, features, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
open_session(path, ["serve"], threads=threads)
count = 600 if features > 1000 else 4200
values = np.random.default_rng(0).standard_normal((count, features), np.float32)
rows = pa.table({"x": pa.FixedSizeListArray.from_arrays(values.reshape(-1), features)})
model = tf2spark.SavedModel(path)

def scores(table):
    scored = model.score(table, reproducible=True, keep=[])
    return np.array(scored.column(0).to_pylist(), np.float32)

expected = scores(rows)
for cut in (1, 7, 100, 191, 450):
    turned = np.roll(scores(pa.concat_tables([rows.slice(cut), rows.slice(0, cut)])), cut, 0)
    different = (turned != expected).any(1).sum()
    assert not different, f"{different} rows differ when the table is turned by {cut} rows"
parts = [scores(rows.slice(start, 7)) for start in range(0, 140, 7)]
assert (np.concatenate(parts) == expected[:140]).all()
print(hashlib.sha256(expected.tobytes()).hexdigest())
"""


@pytest.fixture(scope="module", params=[20, 128, 8000])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int]:
    """A model with short, usual and long sums; the last are divided among threads."""
    features: int = request.param
    path = tmp_path_factory.mktemp("reproducible") / "model"
    keras.utils.set_random_seed(1)
    x = keras.Input((features,), name="x")
    hidden = keras.layers.Dense(8 if features == 8000 else 33, "tanh")(x)
    keras.Model(x, keras.layers.Dense(3, "sigmoid")(hidden)).export(str(path), verbose=False)
    return path, features


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_rows_bits_depend_on_nothing_else(model: tuple[Path, int], processor: str) -> None:
    """Neither its position, nor its neighbors, nor the process's threads change a row's scores."""
    path, features = model
    digests = set()
    for threads in (1, 4):
        done = subprocess.run(
            [sys.executable, "-c", JOB, str(path), str(features), str(threads)],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, **PROCESSORS[processor]},
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        digests.add(done.stdout.splitlines()[-1])
    assert len(digests) == 1
