from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tf2spark.dtypes import BOOL, BY_CODE, FLOAT32, INT32, INT64, STRING, DType
from tf2spark.errors import ModelError, ModelNotFoundError, RunError
from tf2spark.tensorflow_c import session as sessions
from tf2spark.tensorflow_c import strings, tensor_memory
from tf2spark.tensorflow_c.session import CApiSession, TensorFlowFailure, open_session
from tf2spark.tensorflow_c.tensor import Strings, Tensor

NUMERIC = [dtype for dtype in BY_CODE.values() if dtype.numpy is not None]
SHAPES = [(), (1,), (5,), (0,), (0, 3), (4, 0), (2, 3), (2, 1, 3, 2)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny SavedModels: every dtype, TF2 variables, failing ops, awkward exports."""
    folder = tmp_path_factory.mktemp("models")
    _every_dtype(str(folder / "dtypes"))
    _variables(folder)
    _rows(str(folder / "rows"))
    return folder


def _every_dtype(path: str) -> None:
    import tensorflow as tf

    tf1 = tf.compat.v1
    with tf1.Graph().as_default(), tf1.Session() as session:
        for dtype in (*NUMERIC, STRING):
            x = tf1.placeholder(tf.as_dtype(dtype.code), None, f"in_{dtype.name}")
            tf.identity(x, f"same_{dtype.name}")
            tf.stack([x, x], name=f"twice_{dtype.name}")
        tf.split(tf1.placeholder(tf.int32, [6], "six"), 3, name="split")
        tf1.Variable([1.5, 2.5], name="reference", use_resource=False)
        tf1.get_variable("resource", initializer=1.0, use_resource=True)
        tf.complex(1.0, 2.0, name="complex")
        last = tf1.get_variable("last", [8], initializer=tf1.zeros_initializer(), use_resource=True)
        keep = tf1.placeholder(tf.float32, [8], "keep")
        with tf.control_dependencies([last.assign(keep)]):
            tf.constant(1.0, name="kept")
        tf.identity(last.read_value(), "read_last")
        session.run(tf1.global_variables_initializer())
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve", "old"])
        builder.save()


def _variables(folder: Path) -> None:
    import keras
    import tensorflow as tf

    class Linear(tf.Module):
        def __init__(self) -> None:
            self.w = tf.Variable([[2.0], [3.0]])

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return {"y": x @ self.w}

    linear = Linear()
    tf.saved_model.save(linear, str(folder / "linear"), signatures=linear.__call__)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="top")])
    tf.saved_model.save(model, str(folder / "keras_saved"))
    model.export(str(folder / "keras_exported"), verbose=False)


def _rows(path: str) -> None:
    import tensorflow as tf

    tf1 = tf.compat.v1
    with tf1.Graph().as_default(), tf1.Session() as session:
        ids = tf1.placeholder(tf.int32, [None], "ids")
        text = tf1.placeholder(tf.string, [None], "text")
        tf.gather([1.0, 2.0], ids, name="gather")
        with tf.control_dependencies([tf.debugging.assert_positive(ids, message="positive!")]):
            tf.identity(ids, "asserted")
        tf.math.floordiv(10, ids, name="divided")
        tf.strings.to_number(text, name="number")
        tf.io.decode_compressed(text, "GZIP", name="unzipped")
        tf.io.decode_csv(text, [[0.0], [0.0]], name="csv")
        tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="strict", name="utf8")
        tf.io.parse_example(text, {"a": tf.io.FixedLenFeature([1], tf.float32)}, name="parsed")
        tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer([1], [2], tf.int32, tf.int32), -1
        ).lookup(ids, name="looked_up")
        # The table's initializer is left out of the export on purpose.
        builder = tf1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()


@pytest.fixture(scope="module")
def dtypes(models: Path) -> Iterator[CApiSession]:
    session = open_session(str(models / "dtypes"), ["serve", "old"], threads=1)
    yield session
    session.close()


@pytest.fixture(scope="module")
def rows(models: Path) -> Iterator[CApiSession]:
    session = open_session(str(models / "rows"), ["serve"], threads=1)
    yield session
    session.close()


@pytest.fixture(scope="module")
def python(models: Path) -> Iterator[Any]:
    """TensorFlow's own Python session of the model with every dtype."""
    import tensorflow as tf

    with tf.Graph().as_default():
        session = tf.compat.v1.Session()
        tf.compat.v1.saved_model.load(session, ["serve", "old"], str(models / "dtypes"))
    yield session
    session.close()


def numbers(dtype: DType, shape: tuple[int, ...]) -> Tensor:
    """Make random bits of a dtype, so NaNs, infinities and negative zeros are among them."""
    assert dtype.numpy is not None
    size = int(np.prod(shape, dtype=int))
    random = np.random.default_rng(size)
    if dtype is BOOL:
        return Tensor(dtype, shape, random.integers(0, 2, shape).astype(bool).reshape(shape))
    raw = random.integers(0, 256, size * dtype.numpy.itemsize, np.uint8)
    return Tensor(dtype, shape, raw.view(dtype.numpy).reshape(shape))


def text(values: list[bytes], shape: tuple[int, ...] | None = None) -> Tensor:
    """Make a string tensor of views."""
    data = np.frombuffer(b"".join(values), np.uint8)
    offsets = np.cumsum([0, *map(len, values)])
    structs = strings.views(offsets, data.ctypes.data)
    return Tensor(STRING, (len(values),) if shape is None else shape, structs, data)


def bits(array: npt.NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    return array.shape, array.tobytes()


def number(result: Tensor | Strings) -> npt.NDArray[Any]:
    assert isinstance(result, Tensor)
    return result.data


@pytest.mark.parametrize("dtype", NUMERIC, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_numbers_equal_tensorflows_bit_by_bit(
    dtypes: CApiSession, python: Any, dtype: DType, shape: tuple[int, ...]
) -> None:
    """Every dtype in every shape comes out as from TensorFlow's Python, NaN payloads included."""
    name = dtype.name
    run = dtypes.prepare([f"in_{name}:0"], [f"twice_{name}:0", f"same_{name}", f"in_{name}:0"])
    fed = numbers(dtype, shape)
    got = run([fed])
    values = fed.data
    if name == "bfloat16":
        import ml_dtypes

        values = values.view(ml_dtypes.bfloat16)
    expected = python.run([f"twice_{name}:0", f"same_{name}:0"], {f"in_{name}:0": values})
    assert [bits(number(each)) for each in got[:2]] == [bits(each) for each in expected]
    assert bits(number(got[2])) == bits(fed.data)
    for each in got:
        assert isinstance(each, Tensor)
        assert (each.dtype, each.shape) == (dtype, each.data.shape)
        assert not np.shares_memory(each.data, fed.data)


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([b"", b"a\x00b", b"\xff\xfe", b"s" * 22, b"l" * 23, b"z" * 5000], (6,)),
        ([b"", b"a\x00b", b"\xff\xfe", b"s" * 22, b"l" * 23, b"z" * 5000], (2, 1, 3)),
        ([b"scalar"], ()),
        ([], (0,)),
        ([], (3, 0)),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "",
)
def test_strings_equal_tensorflows(
    dtypes: CApiSession, python: Any, values: list[bytes], shape: tuple[int, ...]
) -> None:
    """Strings that the graph made, passed on or was fed come out as from TensorFlow's Python."""
    run = dtypes.prepare(["in_string"], ["twice_string", "same_string", "in_string"])
    got = run([text(values, shape)])
    fed = np.array(values, object).reshape(shape)
    twice, same = python.run(["twice_string:0", "same_string:0"], {"in_string:0": fed})
    for result, expected in zip(got, (twice, np.array(same, object), fed), strict=True):
        assert isinstance(result, Strings)
        assert result.shape == expected.shape
        joined = result.data.tobytes()

        items = [joined[start:end] for start, end in pairwise(result.offsets.tolist())]
        assert items == expected.ravel().tolist()


@pytest.mark.parametrize("shift", [0, 1, 4, 16], ids=lambda shift: f"shift{shift}")
def test_alignment_of_the_memory_makes_no_difference(dtypes: CApiSession, shift: int) -> None:
    """Memory at any multiple of the item size is read right, aligned to 64 bytes or not."""
    room = np.zeros(64 + 32, np.float32)
    start = (-room.ctypes.data % 64) // 4 + shift
    values = room[start : start + 8]
    values[:] = np.arange(8)
    run = dtypes.prepare(["in_float32"], ["same_float32"])
    assert number(run([Tensor(FLOAT32, (8,), values)])[0]).tolist() == list(range(8))


def test_memory_that_the_model_keeps_stays_alive(dtypes: CApiSession) -> None:
    """A model that assigns its input to a variable reads it after the input is gone."""
    write = dtypes.prepare(["keep"], ["kept"])
    read = dtypes.prepare([], ["read_last"])
    for value in range(20):
        room = np.empty(1_000_000, np.float32)
        start = (-room.ctypes.data % 64) // 4
        room[start : start + 8] = value
        write([Tensor(FLOAT32, (8,), room[start : start + 8])])
        del room
        filler = np.full(1_000_000, -1, np.float32)
        assert number(read([])[0]).tolist() == [value] * 8
        del filler


def test_no_memory_is_held_after_a_run(dtypes: CApiSession) -> None:
    """Once a run is over TensorFlow has let go of what it was fed."""
    run = dtypes.prepare(["in_float32", "in_string"], ["same_float32", "same_string"])
    before = len(tensor_memory._fed)
    run([numbers(FLOAT32, (2, 2)), text([b"a"])])
    assert len(tensor_memory._fed) == before


def test_large_result_owns_memory_that_outlives_everything(dtypes: CApiSession) -> None:
    """A large tensor isn't copied; it is right after its inputs are gone, and fed tensors' too."""
    run = dtypes.prepare(["in_float32"], ["twice_float32", "same_float32"])
    values = np.arange(1 << 18, dtype=np.float32)
    twice, same = run([Tensor(FLOAT32, values.shape, values.copy())])
    again = [run([Tensor(FLOAT32, values.shape, values + n)]) for n in range(8)]
    assert np.array_equal(number(twice), np.stack([values, values]))
    assert np.array_equal(number(same), values)
    assert all(np.array_equal(number(found[1]), values + n) for n, found in enumerate(again))


def test_large_results_are_let_go(dtypes: CApiSession) -> None:
    """A thousand results of 2 MB leave no memory behind, and none of what was fed."""
    run = dtypes.prepare(["in_float32"], ["twice_float32"])
    values = np.zeros(1 << 18, np.float32)

    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    run([Tensor(FLOAT32, values.shape, values)])
    before, fed = resident_bytes(), len(tensor_memory._fed)
    for _ in range(1000):
        run([Tensor(FLOAT32, values.shape, values)])
    assert resident_bytes() - before < 100e6
    assert len(tensor_memory._fed) == fed


def test_fetches_come_in_the_order_asked_for(dtypes: CApiSession) -> None:
    """Outputs of one node, the same output twice and a fed tensor keep the order of the names."""
    run = dtypes.prepare(["six"], ["split:2", "six", "split:0", "split", "split:2"])
    got = run([Tensor(INT32, (6,), np.arange(6, dtype=np.int32))])
    expected = [[4, 5], [0, 1, 2, 3, 4, 5], [0, 1], [0, 1], [4, 5]]
    assert [number(each).tolist() for each in got] == expected


def test_reference_variable_is_fetched_as_its_values(dtypes: CApiSession) -> None:
    """A TF1 variable, whose dtype in the graph is a reference, gives its values."""
    assert dtypes.tensor_info("reference:0") == (FLOAT32, (2,))
    assert number(dtypes.prepare([], ["reference:0"])([])[0]).tolist() == [1.5, 2.5]


def test_prepared_runs_don_t_disturb_each_other(dtypes: CApiSession) -> None:
    """Runs prepared before, after and twice on one session all go on working."""
    first = dtypes.prepare(["in_string"], ["same_string"])
    fed = text([b"one", b"two"])
    assert first([fed])[0].shape == (2,)
    second = dtypes.prepare(["in_string"], ["same_string"])
    third = dtypes.prepare(["in_int64"], ["twice_int64"])
    assert third([numbers(INT64, (3,))])[0].shape == (2, 3)
    assert second([fed])[0].shape == first([fed])[0].shape == (2,)


def test_tensor_info_knows_dtype_and_shape(dtypes: CApiSession) -> None:
    """A tensor inside the graph has the dtype and shape that TensorFlow infers."""
    assert dtypes.tensor_info("six") == (INT32, (6,))
    assert dtypes.tensor_info("split:1") == (INT32, (2,))
    assert dtypes.tensor_info("in_string:0") == (STRING, None)


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
            "tensor 'resource:0' can't be fetched: its dtype is resource, a handle, not values",
        ),
        (
            [],
            ["complex"],
            "tensor 'complex' can't be fetched: its dtype is complex64, no column's type",
        ),
    ],
)
def test_names_that_can_t_be_used_are_refused(
    dtypes: CApiSession, feeds: list[str], fetches: list[str], message: str
) -> None:
    """A name that the graph doesn't have, or that has no values, is named by `prepare`."""
    with pytest.raises(ModelError) as error:
        dtypes.prepare(feeds, fetches)
    assert str(error.value).startswith(message)


def test_feeds_must_be_of_the_dtypes_prepared(dtypes: CApiSession) -> None:
    """A tensor of another dtype, or one too few, never reaches TensorFlow."""
    run = dtypes.prepare(["in_float32", "six"], ["same_float32"])
    with pytest.raises(RunError, match=r"must be fed in_float32 float32, six int32; got int32$"):
        run([numbers(INT32, (6,))])


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
def test_values_that_tensorflow_refuses_are_told_apart(
    rows: CApiSession, node: str, fed: list[Any], code: int, message: str
) -> None:
    """What bad values cause is a row-caused TensorFlowFailure with a readable message."""
    of_text = isinstance(fed[0], bytes)
    tensor = text(fed) if of_text else Tensor(INT32, (len(fed),), np.array(fed, np.int32))
    run = rows.prepare(["text" if of_text else "ids"], [node])
    with pytest.raises(TensorFlowFailure) as error:
        run([tensor])
    assert (error.value.code, error.value.row_caused) == (code, True)
    assert str(error.value).startswith(message)
    assert "{{" not in str(error.value)


def test_session_goes_on_after_a_failure(rows: CApiSession) -> None:
    """A run that failed leaves the next one as it would have been."""
    run = rows.prepare(["ids"], ["gather"])
    with pytest.raises(TensorFlowFailure):
        run([Tensor(INT32, (1,), np.array([5], np.int32))])
    assert number(run([Tensor(INT32, (1,), np.array([1], np.int32))])[0]).tolist() == [2.0]


def test_failure_that_no_row_causes_is_not_row_caused(rows: CApiSession) -> None:
    """A table without its initializer fails for every row, and says so."""
    run = rows.prepare(["ids"], ["looked_up/LookupTableFindV2"])
    with pytest.raises(TensorFlowFailure, match="Table not initialized") as error:
        run([Tensor(INT32, (1,), np.array([1], np.int32))])
    assert not error.value.row_caused


def first_output(path: Path, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    signature = saved.meta_graphs[0].signature_def["serving_default"]
    ((key, fed),), (fetched,) = signature.inputs.items(), signature.outputs.values()
    session = open_session(str(path), ["serve"], threads=1)
    try:
        got = session.prepare([fed.name], [fetched.name])([Tensor(FLOAT32, values.shape, values)])
    finally:
        session.close()
    function = tf.saved_model.load(str(path)).signatures["serving_default"]
    expected = next(iter(function(**{key: tf.constant(values)}).values())).numpy()
    assert bits(number(got[0])) == bits(expected)
    return expected


@pytest.mark.parametrize("name", ["linear", "keras_exported"])
def test_restored_variables_give_tensorflows_result(models: Path, name: str) -> None:
    """A model with variables gives bit by bit what tf.saved_model.load gives."""
    first_output(models / name, np.array([[1, 2], [3, 4]], np.float32))


def test_variable_that_is_not_restored_is_named(models: Path) -> None:
    """A Keras 3 model written by tf.saved_model.save has no values; the message says what to do."""
    path = models / "keras_saved"
    with pytest.raises(ModelError) as error:
        first_output(path, np.ones((1, 2), np.float32))
    assert str(error.value).startswith("variable 'sequential")
    assert str(error.value).endswith(
        f" of {path} has no value: the model's own restore op doesn't fill it, as in a Keras 3 "
        "model that was written by tf.saved_model.save (only tf.saved_model.load in Python can "
        "restore it; TF Serving can't serve it either). Export it again with model.export(path), "
        "or, for an object that holds Keras models, with keras.export.ExportArchive"
    )


def test_missing_variables_are_named(models: Path, tmp_path: Path) -> None:
    """A model that was copied without its variables is told from one that can't restore them."""
    path = tmp_path / "copy"
    shutil.copytree(models / "linear", path)
    shutil.rmtree(path / "variables")
    with pytest.raises(ModelError) as error:
        first_output(path, np.ones((1, 2), np.float32))
    assert str(error.value) == (
        f"variable 'Variable' of {path} has no value: the model comes without "
        f"{path}/variables/variables.index"
    )


def test_no_model_at_the_path_is_not_found(tmp_path: Path) -> None:
    """A folder without saved_model.pb is a ModelNotFoundError, so a FileNotFoundError."""
    with pytest.raises(FileNotFoundError) as error:
        open_session(str(tmp_path), ["serve"], threads=1)
    assert isinstance(error.value, ModelNotFoundError)
    assert str(error.value) == f"there is no saved_model.pb in {tmp_path}"


def test_unknown_tags_are_refused(models: Path) -> None:
    """Tags that the file doesn't have are named by the message."""
    with pytest.raises(ModelError, match=r"can't load .*matching supplied tags: \{ gpu \}\.$"):
        open_session(str(models / "linear"), ["gpu"], threads=1)


def damaged(models: Path, to: Path, file: str, content: bytes) -> str:
    shutil.copytree(models / "linear", to)
    (to / file).write_bytes(content)
    return str(to)


def test_damaged_graph_is_a_model_error(models: Path, tmp_path: Path) -> None:
    """A saved_model.pb that can't be parsed names the path and TensorFlow's reason."""
    path = damaged(models, tmp_path / "bad", "saved_model.pb", b"\x0a\xff\xff rubbish" * 20)
    with pytest.raises(ModelError) as error:
        open_session(path, ["serve"], threads=1)
    assert f"can't load {path}: " in str(error.value)


def test_damaged_variables_are_a_model_error(models: Path, tmp_path: Path) -> None:
    """Cut variables are named as the cause."""
    data = "variables/variables.data-00000-of-00001"
    path = damaged(models, tmp_path / "bad", data, b"cut")
    with pytest.raises(ModelError) as error:
        open_session(path, ["serve"], threads=1)
    assert str(error.value).endswith(f"The files under {path}/variables are damaged or incomplete")


def test_custom_op_is_named(models: Path, tmp_path: Path) -> None:
    """An op that TensorFlow doesn't have is named, without TensorFlow's advice on contrib."""
    graph = (models / "linear" / "saved_model.pb").read_bytes()
    content = graph.replace(b"\x06MatMul", b"\x06MatFoo")
    path = damaged(models, tmp_path / "bad", "saved_model.pb", content)
    with pytest.raises(ModelError) as error:
        open_session(path, ["serve"], threads=1)
    assert str(error.value).endswith(
        f"can't load {path}: Op type not registered 'MatFoo'. That op is a custom one, or of a "
        "newer TensorFlow"
    )


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


def test_two_models_in_one_process(models: Path, dtypes: CApiSession) -> None:
    """Sessions of two models work side by side, and one outlives the other."""
    linear = open_session(str(models / "linear"), ["serve"], threads=2)
    run = linear.prepare(["serving_default_x"], ["StatefulPartitionedCall"])
    other = dtypes.prepare(["in_int32"], ["same_int32"])
    fed = numbers(INT32, (3,))
    for _ in range(3):
        got = run([Tensor(FLOAT32, (1, 2), np.ones((1, 2), np.float32))])
        assert number(got[0]).tolist() == [[5.0]]
        assert bits(number(other([fed])[0])) == bits(fed.data)
    linear.close()
    assert bits(number(other([fed])[0])) == bits(fed.data)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_may_share_a_prepared_run(models: Path, threads: int) -> None:
    """Two threads that run one prepared call get each their own results."""
    session = open_session(str(models / "dtypes"), ["serve", "old"], threads=threads)
    run = session.prepare(["in_float32", "in_string"], ["twice_float32", "same_string"])
    wrong: list[object] = []

    def work(value: int) -> None:
        fed = Tensor(FLOAT32, (100,), np.full(100, value, np.float32))
        for _ in range(200):
            got = run([fed, text([str(value).encode() * 30])])
            joined = got[1].data.tobytes()
            if number(got[0]).tolist() != [[value] * 100] * 2 or joined != b"%d" % value * 30:
                wrong.append(got)

    workers = [threading.Thread(target=work, args=(value,)) for value in (3, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    session.close()
    assert wrong == []


class Opened:
    """A stand-in that counts nothing: the cache never looks inside."""

    def prepare(self, feeds: Any, fetches: Any) -> Any: ...

    def close(self) -> None: ...


def test_cache_opens_a_key_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is opened by whoever asks first, also when several threads ask at once."""
    monkeypatch.setattr(sessions, "_sessions", {})
    opened: list[Opened] = []
    got: list[Opened] = []

    def opener() -> Opened:
        opened.append(Opened())
        return opened[-1]

    def ask() -> None:
        got.append(sessions.cached_session("a", opener))

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(opened) == 1
    assert got == opened * 8
    assert sessions.cached_session("b", opener) is opened[1]


def test_cache_forgets_what_could_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed opening is tried again at the next call."""
    monkeypatch.setattr(sessions, "_sessions", {})

    def fail() -> Opened:
        raise ModelError("not yet")

    with pytest.raises(ModelError):
        sessions.cached_session("a", fail)
    assert isinstance(sessions.cached_session("a", Opened), Opened)


def alone(code: str, *arguments: object) -> str:
    """Run code in a Python of its own, which never imports TensorFlow's Python."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


START = """
import os, sys
import numpy as np
from tf2spark.dtypes import FLOAT32, STRING
from tf2spark.tensorflow_c import session as sessions
from tf2spark.tensorflow_c import strings
from tf2spark.tensorflow_c.tensor import Tensor
"""

FORK = (
    START
    + """
def opened():
    return sessions.open_session(sys.argv[1], ["serve"], threads=2)
session = sessions.cached_session("key", opened)
run = session.prepare(["serving_default_x"], ["StatefulPartitionedCall"])
fed = [Tensor(FLOAT32, (1, 2), np.ones((1, 2), np.float32))]
run(fed)
child = os.fork()
if child == 0:
    for work in (lambda: run(fed), opened, lambda: sessions.cached_session("key", opened),
                 lambda: session.prepare([], [])):
        try:
            work()
        except Exception as error:
            print(type(error).__name__, str(error).partition("; ")[0], flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(run(fed)[0].data.tolist(), os.getpid(), child)
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_fork_of_a_process_with_a_session_is_refused(models: Path) -> None:
    """In a fork every use fails at once with the reason, instead of hanging; the parent goes on."""
    *refused, last = alone(FORK, models / "linear").splitlines()
    result, parent, child = last.split()
    assert result == "[[5.0]]"
    assert refused == 4 * [
        f"SetupError process {child} was forked from process {parent} after TensorFlow had been "
        "started there"
    ]


THREADS = (
    START
    + """
def count():
    return len(os.listdir("/proc/self/task"))
before = count()
session = sessions.open_session(sys.argv[1], ["serve"], threads=int(sys.argv[2]))
run = session.prepare(["serving_default_x"], ["StatefulPartitionedCall"])
run([Tensor(FLOAT32, (1, 2), np.ones((1, 2), np.float32))])
print(count() - before)
"""
)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc here")
def test_threads_are_bounded_whatever_the_machine_has(models: Path) -> None:
    """A session starts a pool within ops and one between them, both of the size asked for."""
    one, five = (int(alone(THREADS, models / "linear", threads)) for threads in (1, 5))
    assert one <= 4
    assert one + 4 <= five <= one + 8


LEAK = (
    START
    + """
def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
session = sessions.open_session(sys.argv[1], ["serve", "old"], threads=1)
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
        except sessions.TensorFlowFailure:
            pass
    if number == 1_000:
        first = resident_bytes()
print(resident_bytes() - first)
"""
)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
def test_20_000_runs_end_with_the_memory_of_the_first_1_000(models: Path) -> None:
    """Numbers, strings of every layout and failing runs leave nothing behind."""
    # One float input of 4,800 bytes leaked a run would be 91 MB.
    assert int(alone(LEAK, models / "dtypes")) < 3_000_000


ORDERS = (
    START
    + """
def mine():
    session = sessions.open_session(sys.argv[1], ["serve"], threads=1)
    run = session.prepare(["serving_default_x"], ["StatefulPartitionedCall"])
    return run([Tensor(FLOAT32, (1, 2), np.ones((1, 2), np.float32))])[0].data.tolist()
print(mine())
import tensorflow as tf
function = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
print(function(x=tf.ones([1, 2]))["y"].numpy().tolist())
print(mine())
"""
)


def test_tensorflow_may_be_imported_after_the_library_is_loaded(models: Path) -> None:
    """The C API and TensorFlow's Python share one library, whichever comes first."""
    # The other order is that of every test in this process.
    assert alone(ORDERS, models / "linear").split() == ["[[5.0]]"] * 3
