"""`other_formats`: whatever isn't a SavedModel is named, with what to do instead."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import save_function
from tf2spark.errors import ContractError, ModelError, ModelNotFoundError
from tf2spark.other_formats import kind_by_name

tf1 = tf.compat.v1


def frozen_graph(path: Path) -> Path:
    with tf1.Graph().as_default() as graph:
        x = tf1.placeholder(tf.float32, [None], "x")
        tf.identity(x * 2, "y")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def tflite(path: Path) -> Path:
    double = tf.function(lambda x: x * 2, input_signature=[tf.TensorSpec([1], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()])
    path.write_bytes(converter.convert())
    return path


def checkpoint(path: Path) -> Path:
    return Path(tf.train.Checkpoint(v=tf.Variable(1.0)).save(str(path)))


def checkpoint_folder(path: Path) -> Path:
    return checkpoint(path / "model.ckpt").parent


def saved_model(path: Path) -> Path:
    weight = tf.Variable(2.0)
    spec = tf.TensorSpec([None], tf.float32, "x")
    save_function(path, lambda x: {"y": x * weight}, spec, keep={"weight": weight})
    return path


def archive(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        tar.add(saved_model(path.parent / "m"), "m")
    return path


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return path


def written(content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return write


_ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.0.1:\x04"
_CONFIG = json.dumps({"class_name": "Sequential", "config": {}}).encode()
_TENSORS = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
_SAFETENSORS = len(_TENSORS).to_bytes(8, "little") + _TENSORS + bytes(4)


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("m.tflite", tflite, "is a TFLite model.*take the model that it was converted from"),
        ("m.pb", frozen_graph, "frozen graph.*simple_save"),
        ("m.onnx", written(_ONNX), "is an ONNX model.*onnx2tf"),
        ("m.safetensors", written(_SAFETENSORS), r"only weights \(safetensors\)"),
        ("m.pt", lambda path: zipped(path, "m/data.pkl", "m/data/0"), "PyTorch.*onnx2tf"),
        ("m.json", written(_CONFIG), "configuration of a Keras model, without its weights"),
        ("m.keras", lambda p: zipped(p, "config.json", "metadata.json"), "Keras model.*compile"),
        (
            "m.h5",
            written(b"\x89HDF\r\n\x1a\n" + bytes(99)),
            r"Keras model.*tf2spark\.compile_model",
        ),
        ("m.tar.gz", archive, r"is an archive; unpack it .*saved_model\.pb"),
        ("m.zip", lambda path: zipped(path, "m/saved_model.pb"), "is an archive; unpack it"),
        ("m.gz", written(gzip.compress(b"x")), "is an archive"),
        ("m.pkl", written(b"\x80\x04K\x01."), "Python pickle, which is never loaded"),
        ("m.h5", written(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS.*git lfs pull"),
        ("checkpoint", written(b'model_checkpoint_path: "m"\n'), "checkpoint.*model.export"),
    ],
)
def test_each_format_is_named(
    tmp_path: Path, name: str, make: Callable[[Path], Path], says: str, renamed: bool
) -> None:
    """One sentence says what the file is and what to do; its content counts, not its ending."""
    path = make(tmp_path / name)
    if renamed:
        path = path.rename(tmp_path / "model")
    with pytest.raises(ModelError, match=says) as error:
        tf2spark.SavedModel(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001"])
def test_a_checkpoint_is_named(tmp_path: Path, ending: str) -> None:
    """Its prefix, its index and its data: it has variables, but no graph."""
    path = f"{checkpoint(tmp_path / 'model.ckpt')}{ending}"
    with pytest.raises(ModelNotFoundError, match="checkpoint: it has variables, but no graph"):
        tf2spark.SavedModel(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (checkpoint_folder, r"has no saved_model\.pb, and .*checkpoint"),
        (lambda path: tflite(path / "m.tflite").parent, r"m\.tflite\" is a TFLite model"),
        (lambda path: zipped(path / "m.keras", "config.json", "metadata.json").parent, "compile"),
        (lambda path: saved_model(path) / "variables", r"only a part .*pass its folder, \".*m\""),
        (lambda path: saved_model(path) / "saved_model.pb", r"pass its folder, \".*m\""),
        (lambda path: saved_model(path) / "variables" / "variables.index", r"only a part .*m\"$"),
        (lambda path: saved_model(path) / "fingerprint.pb", r"only a part of .*m\"$"),
        (lambda path: saved_model(path / "a" / "b").parents[1], r"but \".*m/a/b\" does; pass"),
        (lambda path: saved_model(path / "a" / "7").parents[1], r"but \".*m/a\" does; pass"),
        (
            lambda path: (saved_model(path / "a"), saved_model(path / "b"))[0].parent,
            r"these folders below it do: \".*/a\", \".*/b\"; pass one of them",
        ),
        (
            lambda path: (
                saved_model(checkpoint(path / "model.ckpt").parent / "export" / "9") / "../.."
            ),
            r"but \".*m/export\" does",
        ),
    ],
)
def test_a_folder_that_is_no_model_says_what_it_has(
    tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    """Folders are looked into: one of another format, or a part of a SavedModel."""
    (tmp_path / "m").mkdir()
    with pytest.raises(ModelNotFoundError, match=says):
        tf2spark.SavedModel(make(tmp_path / "m"))


def test_the_graph_file_under_another_name(tmp_path: Path) -> None:
    """``saved_model.pb`` must have its name, beside its variables."""
    path = (saved_model(tmp_path / "m") / "saved_model.pb").rename(tmp_path / "model.pb")
    with pytest.raises(ModelError, match=r"under another name; name it saved_model\.pb"):
        tf2spark.SavedModel(path)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("https://tfhub.dev/google/nnlm-en-dim50/2", "kagglehub.model_download"),
        ("https://www.kaggle.com/models/google/nnlm", "kagglehub.model_download"),
        ("kaggle://google/nnlm/tensorFlow2/en-dim50/1", "kagglehub.model_download"),
        ("tfhub.dev/google/nnlm-en-dim50/2", "kagglehub.model_download"),
        ("google/nnlm/tensorFlow2/en-dim50/1", "kagglehub.model_download"),
        ("hf://google/bert", "on Hugging Face.*snapshot_download"),
        ("https://example.com/model.tar.gz", "is a web address"),
    ],
)
def test_what_would_be_downloaded_is_refused(address: str, says: str) -> None:
    """Handles and web addresses are named before Spark is asked for a file system."""
    with pytest.raises(ModelError, match=says):
        tf2spark.SavedModel(address)


def test_a_graph_file_that_git_has_not_fetched(tmp_path: Path) -> None:
    """A clone without its large files has pointers in their place."""
    (tmp_path / "saved_model.pb").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x")
    with pytest.raises(ModelError, match=r"Git LFS pointer.*git lfs pull"):
        tf2spark.SavedModel(tmp_path)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (tf.Module(), r"tf\.saved_model\.save\(module"),
        (tf.function(lambda x: x), r"signatures=module\.function"),
        (keras.layers.Dense(1), r"keras\.Sequential\(\[layer\]\)"),
    ],
)
def test_models_in_memory_say_how_they_are_saved(model: Any, says: str) -> None:
    """What TensorFlow has in memory becomes a folder first, for every entry point."""
    for opened in (tf2spark.SavedModel, lambda it: tf2spark.compile_model(it, "package")):
        with pytest.raises(ContractError, match=says):
            opened(model)


def test_swapped_arguments_of_compile_model(tmp_path: Path) -> None:
    """The package comes second, and nothing is exported before that is checked."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(ContractError, match=r'compile_model\(model, "model\.tf2spark"\)'):
        tf2spark.compile_model(str(tmp_path / "p"), model)


def test_names_on_storage_are_enough() -> None:
    """Of a URI, the name alone is looked at."""
    names: dict[str, Any] = {
        "hdfs://h/m.KERAS": "keras",
        "s3a://b/m.weights.h5": "keras weights",
        "s3a://b/ckpt/checkpoint": "checkpoint",
        "hdfs://h/model.ckpt-100": "checkpoint",
        "hdfs://h/m.tar.gz": "archive",
        "hdfs://h/models/ctr": None,
    }
    assert {name: kind_by_name(name) for name in names} == names


@pytest.mark.parametrize(
    ("written", "meant"), [("prise", "price"), ("Price", "price"), ("ctr", None)]
)
def test_a_misspelled_folder_is_asked_about(
    tmp_path: Path, written: str, meant: str | None
) -> None:
    """A folder beside it with a name like it may be meant; any other isn't mentioned."""
    (tmp_path / "price").mkdir()
    with pytest.raises(ModelNotFoundError) as refused:
        tf2spark.SavedModel(tmp_path / written)
    problem = f'there is no SavedModel at "{tmp_path / written}": no such folder'
    question = f'; did you mean "{tmp_path / meant}"?' if meant else ""
    assert str(refused.value) == problem + question
