"""Models that are written once per run of the tests, and TensorFlow run directly on them."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

from cases.models.case import Array, Case, Feeds

tf1 = tf.compat.v1


class Model(Protocol):
    """A case of any kind: `make` writes its SavedModel."""

    @property
    def make(self) -> Callable[[Path], None]: ...


def path_of(case: Model) -> Path:
    """Return the folder of a case's SavedModel, written at the first call of any process."""
    return _model_path(case.make)


@functools.cache
def _model_path(make: Callable[[Path], None]) -> Path:
    name = f"{make.__module__}.{make.__name__}"
    folder = _folder() / name  # of its own, for what some models write beside themselves
    if not folder.exists():
        building = Path(tempfile.mkdtemp(dir=folder.parent))
        with warnings.catch_warnings():
            # Tests are not about what TensorFlow and Keras warn of when they export a model.
            warnings.simplefilter("ignore")
            make(building / name)
        try:
            building.rename(folder)
        except OSError:
            # Another process was faster, and wrote the same model.
            shutil.rmtree(building)
    return folder / name


@functools.cache
def _folder() -> Path:
    # Set by tests/conftest.py, for all processes among which pytest-xdist distributes the files.
    if shared := os.environ.get("TF2SPARK_TEST_MODELS"):
        return Path(shared)
    folder = Path(tempfile.mkdtemp(prefix="tf2spark-zoo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def expected_of(case: Case, table: pa.Table) -> dict[str, Array]:
    """Return what TensorFlow itself gives for a table: an array per column, rows first.

    Rows run in the same batches as in tf2spark (`Case.batches`, or all at once), so that bits can
    be compared. Strings are bytes objects, bfloat16 is widened to float32, and all else has its own
    dtype.
    """
    if case.batches is None:
        return _run(case, table)
    rows: dict[str, dict[int, Any]] = {}
    for numbers in case.batches(table):
        for column, values in _run(case, table.take(pa.array(numbers, pa.int64()))).items():
            for number, value in zip(numbers, values, strict=True):
                rows.setdefault(column, {}).setdefault(number, value)
    return {
        column: np.stack([by_number[number] for number in range(table.num_rows)])
        for column, by_number in rows.items()
    }


def _run(case: Case, table: pa.Table) -> dict[str, Array]:
    signature = case.kwargs.get("signature")
    values = run_tensorflow(path_of(case), signature, case.feeds(table), _fetches(case))
    return {column: _widen_bfloat16(array) for column, array in values.items()}


def _fetches(case: Case) -> dict[str, str] | None:
    if case.fetch is None:
        return None
    return {column: getattr(fetch, "name", fetch) for column, fetch in case.fetch.items()}


def _widen_bfloat16(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == tf.bfloat16.as_numpy_dtype else array


def run_tensorflow(
    path: Path, signature: str | None, feeds: Feeds, fetches: Mapping[str, str] | None = None
) -> dict[str, Array]:
    """Run a SavedModel in a v1 Session, which runs graphs as TensorFlow's C API does.

    Args:
        path: The SavedModel's folder.
        signature: Its signature; ``serving_default``, or the only one, by default.
        feeds: An array by signature key or tensor name (``x:0``); three for a SparseTensor.
        fetches: A signature key or tensor name by result name; by default all of the signature.

    Returns:
        An array per fetch.
    """
    session, signatures = session_of(path)
    default = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
    chosen = signatures.get(signature or default or "")
    inputs = {} if chosen is None else chosen.inputs
    outputs = {} if chosen is None else chosen.outputs
    fed: dict[str, Array] = {}
    for key, value in feeds.items():
        arrays = value if isinstance(value, tuple) else (value,)
        fed.update(zip(_tensors(inputs, key), arrays, strict=True))
    wanted = {key: key for key in outputs} if fetches is None else fetches
    fetched = {name: _tensors(outputs, key)[0] for name, key in wanted.items()}
    results: dict[str, Array] = session.run(fetched, fed)
    return results


def _tensors(infos: Mapping[str, Any], key: str) -> list[str]:
    if key not in infos:
        return [key]
    coo = infos[key].coo_sparse
    if not coo.values_tensor_name:
        return [infos[key].name]
    return [coo.indices_tensor_name, coo.values_tensor_name, coo.dense_shape_tensor_name]


@functools.cache
def session_of(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return a v1 Session with the model loaded, kept open, and its signatures by name."""
    with tf.Graph().as_default():
        # One thread, as in a Spark task: more could split a sum in other places.
        session = tf1.Session(
            config=tf1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        )
        loaded = tf1.saved_model.load(session, ["serve"], str(path))
        if loader_impl.get_init_op(loaded) is None:
            # As in load_v1_in_v2.py: the v1 loader leaves this to its caller.
            initializers = [tf1.local_variables_initializer(), tf1.tables_initializer()]
            session.run(initializers, loader_impl.get_asset_tensors(str(path), loaded))
    hidden = ("__saved_model_init_op", "__saved_model_train_op")
    definitions = loaded.signature_def.items()
    return session, {name: info for name, info in definitions if name not in hidden}
