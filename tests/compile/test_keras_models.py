"""`tf2spark.compile_model` takes Keras models: files, loaded in safe mode, and objects."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tf_keras

import tf2spark
from tf2spark.cli.main import run
from tf2spark.errors import ContractError, ModelError
from tf2spark.package.manifest import Manifest

# Of h5py and Keras with NumPy 2.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",
    "ignore:You are saving your model as an HDF5 file",
)
_X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


@keras.saving.register_keras_serializable("tests")
class Tower(keras.Model):
    """A subclassed model, which was registered and can be loaded in this process."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.top = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.top(x) * 2


def sequential() -> Any:
    return keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1)])


def functional() -> Any:
    x = keras.Input((2,), name="x")
    return keras.Model(x, {"y": keras.layers.Dense(1)(keras.layers.Dense(3, "relu")(x))})


def subclassed() -> Any:
    network = Tower()
    network(_X)
    return network


def keras_2() -> Any:
    return tf_keras.Sequential([tf_keras.layers.Input((2,), name="x"), tf_keras.layers.Dense(1)])


def expected_of(network: Any) -> list[float]:
    output = network(tf.constant(_X))
    output = output["y"] if isinstance(output, dict) else output
    return [float(value) for value in np.asarray(output).reshape(-1)]


def check_scores(package: tf2spark.SavedModel, network: Any) -> Manifest:
    (spec,) = package.contract.signatures[0].inputs
    scored = package.score(pd.DataFrame({spec.name: _X.tolist()}), keep=[])
    np.testing.assert_allclose(scored.iloc[:, 0], expected_of(network), rtol=1e-5)
    manifest = package.contract.package
    assert manifest is not None
    assert manifest.verified is not None
    return manifest


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (sequential, "m.keras"),
        (functional, "m.keras"),
        (subclassed, "m.keras"),
        (functional, "m.h5"),
        (keras_2, "m.h5"),
        (keras_2, "m.keras"),
    ],
)
def test_a_keras_file_becomes_a_package(tmp_path: Path, make: Any, name: str) -> None:
    """A file gives the scores of the model that was saved, and the manifest names the file."""
    network = make()
    network.save(tmp_path / name)
    package = tf2spark.compile_model(tmp_path / name, tmp_path / "m.tf2spark")
    assert check_scores(package, network).source == str(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "m.tf2spark"]


@pytest.mark.parametrize("make", [sequential, subclassed, keras_2])
def test_a_keras_model_in_memory_becomes_a_package(
    tmp_path: Path, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """An object of Keras 3 or tf_keras is exported as it is, and nothing is printed."""
    network = make()
    capsys.readouterr()
    package = tf2spark.compile_model(network, tmp_path / "m.tf2spark")
    assert check_scores(package, network).source == f"Keras model {network.name}"
    assert capsys.readouterr().out == ""


def test_texts_are_split_as_in_keras(tmp_path: Path) -> None:
    """A model that takes texts keeps its vocabulary."""
    split = keras.layers.TextVectorization(output_mode="multi_hot", vocabulary=["red", "green"])
    text = keras.Input((), dtype="string", name="text")
    network = keras.Model(text, keras.layers.Dense(1)(split(text)))
    network.save(tmp_path / "m.keras")
    package = tf2spark.compile_model(tmp_path / "m.keras", tmp_path / "m.tf2spark")
    texts = ["Red!", "green red", "blue"]
    scored = package.score(pd.DataFrame({"text": texts}), keep=[])
    expected = np.asarray(network(tf.constant(texts))).reshape(-1)
    np.testing.assert_allclose(scored.iloc[:, 0], expected, rtol=1e-5)


def test_a_saved_model_is_compiled_as_by_its_method(tmp_path: Path) -> None:
    """`tf2spark.compile_model` takes whatever `SavedModel` takes."""
    network = sequential()
    network.export(tmp_path / "m", verbose=False)
    first = tf2spark.compile_model(str(tmp_path / "m"), tmp_path / "p")
    second = tf2spark.SavedModel(tmp_path / "m").compile(tmp_path / "q")
    assert first.digest == second.digest


def test_the_content_counts_not_the_ending(tmp_path: Path) -> None:
    """A Keras file is one under any name."""
    network = sequential()
    network.save(tmp_path / "m.keras")
    shutil.move(tmp_path / "m.keras", tmp_path / "model")
    check_scores(tf2spark.compile_model(tmp_path / "model", tmp_path / "p"), network)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_python_code_in_a_file_is_not_run(tmp_path: Path, name: str) -> None:
    """A Lambda layer is refused in one sentence, which says how to go on."""
    layers = [keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]
    keras.Sequential(layers).save(tmp_path / name)
    with pytest.raises(ModelError) as error:
        tf2spark.compile_model(tmp_path / name, tmp_path / "p")
    assert str(error.value) == (
        f'"{tmp_path / name}" has Python code in it (a Lambda layer), which Keras\'s safe mode '
        "refuses to run; if you trust the file, load it in Python and compile the object: model = "
        f'keras.saving.load_model("{tmp_path / name}", safe_mode=False); '
        'tf2spark.compile_model(model, "model.tf2spark")'
    )
    assert not (tmp_path / "p").exists()


def test_a_class_that_is_not_imported_is_named(tmp_path: Path) -> None:
    """A file that needs code of the user's says which, and how to pass the object."""

    class Shift(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + 1

    keras.Sequential([keras.Input((2,)), Shift()]).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"needs the class or function Shift, .*custom_objects"):
        tf2spark.compile_model(tmp_path / "m.keras", tmp_path / "p")


def test_a_model_without_inputs_says_what_to_do(tmp_path: Path) -> None:
    """A model that was never called can't be exported."""
    with pytest.raises(ModelError, match=r"can't export.*call it once on a batch"):
        tf2spark.compile_model(Tower(), tmp_path / "p")


class Nested(keras.Model):
    """Returns what no signature can: a list inside a dict."""

    def call(self, x: Any) -> Any:
        return {"y": [x, x]}


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    """Of an error in code that TensorFlow traces, the reason is shown."""
    network = Nested()
    network(_X)
    with pytest.raises(ModelError, match=r"can't export .*ValueError: Got a non-Tensor value"):
        tf2spark.compile_model(network, tmp_path / "p")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    """Keras would say something about a signature."""
    (tmp_path / "m.keras").touch()
    with pytest.raises(ModelError, match=r'm\.keras" is empty; copy or save it again'):
        tf2spark.compile_model(tmp_path / "m.keras", tmp_path / "p")


def test_a_damaged_file_is_an_error_of_the_model(tmp_path: Path) -> None:
    """What Keras can't parse is said in one sentence."""
    sequential().save(tmp_path / "m.h5")
    content = (tmp_path / "m.h5").read_bytes()
    (tmp_path / "m.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"m\.h5\" is damaged \(.*truncated file.*copy or save it"):
        tf2spark.compile_model(tmp_path / "m.h5", tmp_path / "p")


def test_on_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`tf2spark compile` takes a Keras file; the other commands say so."""
    network = sequential()
    network.save(tmp_path / "m.keras")
    file, package = str(tmp_path / "m.keras"), str(tmp_path / "m.tf2spark")
    assert run(["inspect", file]) == 2
    message = capfd.readouterr().err
    assert "is a Keras model, not a SavedModel; compile it once" in message
    assert f"tf2spark compile {file} m.tf2spark" in message
    assert run(["compile", file, package]) == 0, capfd.readouterr().err
    check_scores(tf2spark.SavedModel(package), network)


def test_opening_a_keras_model_says_how_to_compile_it(tmp_path: Path) -> None:
    """A file and an object are refused by `SavedModel` with the call that takes them."""
    network = sequential()
    network.save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r'tf2spark\.compile_model\(".*m\.keras", "m\.tf2spark"\)'):
        tf2spark.SavedModel(tmp_path / "m.keras")
    with pytest.raises(ContractError, match=r'tf2spark\.compile_model\(model, "model\.tf2spark"\)'):
        tf2spark.SavedModel(network)
    assert "keras" in sys.modules


def test_a_truncated_keras_file_is_damaged(tmp_path: Path) -> None:
    """The message names the user's file, and doesn't say that it isn't there."""
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK\x03\x04 rubbish")
    with pytest.raises(ModelError, match=r'model.keras" is damaged.*copy or save it again'):
        tf2spark.compile_model(path, tmp_path / "package")
