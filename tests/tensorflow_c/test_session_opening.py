from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cases.comparing import same_but_for_rounding
from cases.tensors import array_of
from tf2spark.dtypes import FLOAT32
from tf2spark.errors import ModelError, ModelNotFoundError, SetupError
from tf2spark.tensorflow_c import strings
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.tensor import Tensor


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
    # TensorFlow's Python runs it as a function, with other threads.
    assert same_but_for_rounding(array_of(got[0]).tolist(), expected.tolist())
    return np.asarray(expected)


@pytest.mark.parametrize("name", ["linear", "keras_exported"])
def test_restored_variables_give_tensorflows_result(models: Path, name: str) -> None:
    """A model with variables returns what tf.saved_model.load returns."""
    first_output(models / name, np.array([[1, 2], [3, 4]], np.float32))


def test_variable_that_is_not_restored_is_named(models: Path) -> None:
    """A Keras 3 model written by tf.saved_model.save has no values; the message says what to do."""
    path = models / "keras_saved"
    with pytest.raises(ModelError) as error:
        first_output(path, np.ones((1, 2), np.float32))
    assert str(error.value).startswith("variable 'sequential")
    assert str(error.value).endswith(
        f" of {path} has no value: the model's own restore op doesn't fill it, as in a Keras 3 "
        "model that was saved with tf.saved_model.save (only tf.saved_model.load in Python can "
        "restore it; TF Serving can't serve it either). Compile the model, which restores it in "
        "the same way: SavedModel(path).compile(package) or tf2spark compile MODEL PACKAGE. Or "
        "export it again with model.export(path) or, for an object that holds Keras models, with "
        "keras.export.ExportArchive"
    )


def test_missing_variables_are_named(models: Path, tmp_path: Path) -> None:
    """A model that was copied without its variables isn't taken for one that can't restore them."""
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
    """Truncated variables are named as the cause."""
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
        f"can't load {path}: Op type not registered 'MatFoo'. It is a custom op, or one of a "
        "newer TensorFlow"
    )


def test_a_library_with_other_strings_opens_no_session(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error comes before the model is loaded, at every attempt, and goes with its cause."""
    strings.check_layout.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(strings, "_FORM_BITS", 3)
        for _ in range(2):
            with pytest.raises(SetupError, match="doesn't lay strings out in memory as"):
                open_session(str(models / "linear"), ["serve"], threads=1)
    open_session(str(models / "linear"), ["serve"], threads=1).close()
    assert strings.check_layout.cache_info().currsize == 1
