"""`reproducible=True`: a row has one result, bit by bit, on each instruction set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.slow

FEATURES = (20, 128, 8000)

# TensorFlow enables oneDNN's ops by default only on processors with AVX-512 VNNI or later. Older
# ones compute with Eigen, whose matrix kernel is oneDNN's for the newest instruction set allowed.
PROCESSORS = {
    "this one": {},
    "AVX2": {"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "AVX": {"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "AVX"},
    "SSE4.1": {"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "AVX2 with oneDNN's ops": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}

# Arguments: the threads of the process's first session, then each model's features and path.
# Of 4,200 rows, some lie where kernels split a run of a few thousand in two.
JOB = """
import hashlib, json, sys
import numpy as np
import pyarrow as pa
import tf2spark
from tf2spark.tensorflow_c.open_session import open_session

def scores(model, table):
    scored = model.score(table, reproducible=True, keep=[])
    return np.array(scored.column(0).to_pylist(), np.float32)

def digest(path, features, threads):
    open_session(path, ["serve"], threads=threads)
    count = 600 if features > 1000 else 4200
    values = np.random.default_rng(0).standard_normal((count, features), np.float32)
    rows = pa.table({"x": pa.FixedSizeListArray.from_arrays(values.reshape(-1), features)})
    model = tf2spark.SavedModel(path)
    expected = scores(model, rows)
    for cut in (1, 7, 100, 191, 450):
        turned = scores(model, pa.concat_tables([rows.slice(cut), rows.slice(0, cut)]))
        different = (np.roll(turned, cut, 0) != expected).any(1).sum()
        assert not different, f"{features}: {different} rows differ when turned by {cut} rows"
    parts = [scores(model, rows.slice(start, 7)) for start in range(0, 140, 7)]
    assert (np.concatenate(parts) == expected[:140]).all(), features
    return hashlib.sha256(expected.tobytes()).hexdigest()

threads, models = int(sys.argv[1]), zip(sys.argv[2::2], sys.argv[3::2])
print(json.dumps({features: digest(path, int(features), threads) for features, path in models}))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models with short, usual and long sums, by their features; the last divide among threads."""
    folder = tmp_path_factory.mktemp("reproducible")
    for features in FEATURES:
        keras.utils.set_random_seed(1)
        x = keras.Input((features,), name="x")
        hidden = keras.layers.Dense(8 if features == 8000 else 33, "tanh")(x)
        model = keras.Model(x, keras.layers.Dense(3, "sigmoid")(hidden))
        model.export(str(folder / str(features)), verbose=False)
    return {str(features): folder / str(features) for features in FEATURES}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_rows_bits_depend_on_nothing_else(models: dict[str, Path], processor: str) -> None:
    """Neither its position, nor its neighbors, nor the process's threads change a row's scores."""
    arguments = [str(argument) for pair in models.items() for argument in pair]
    reports = []
    for threads in (1, 4):
        done = subprocess.run(
            [sys.executable, "-c", JOB, str(threads), *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, **PROCESSORS[processor]},
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        reports.append(json.loads(done.stdout.splitlines()[-1]))
    assert reports[0].keys() == models.keys()
    assert reports[0] == reports[1]
