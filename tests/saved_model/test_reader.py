"""`reader`: real SavedModels, written by TensorFlow and read without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from attrs import evolve
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2

from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.package.file_source import ModelFolder
from tf2spark.package.folder import entries_of, write
from tf2spark.package.manifest import Manifest
from tf2spark.saved_model import reader
from tf2spark.saved_model.graph.reachable_nodes import Run
from tf2spark.saved_model.protos import SavedModel


def test_our_messages_equal_those_of_tensorflow(models: Path) -> None:
    """Every field that our table defines has the value that TensorFlow's generated code reads."""
    content = (models / "words" / "saved_model.pb").read_bytes()
    ours = json_format.MessageToDict(
        SavedModel.FromString(content), preserving_proto_field_name=True
    )
    theirs = json_format.MessageToDict(
        saved_model_pb2.SavedModel.FromString(content),
        preserving_proto_field_name=True,
        use_integers_for_enums=True,
    )

    def check_contains(full: Any, part: Any) -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                check_contains(full[key], value)
        elif isinstance(part, list):
            for full_item, item in zip(full, part, strict=True):
                check_contains(full_item, item)
        else:
            assert full == part

    check_contains(theirs, ours)


def test_a_contract_describes_the_folder(models: Path) -> None:
    """Tags, TensorFlow version, sizes, counts and assets are read."""
    contract = reader.read_contract(models / "tf1")
    path = models / "tf1"
    assert contract.path == str(path)
    assert contract.version is None
    assert contract.tags == ("serve",)
    assert contract.tag_sets == (("serve",), ("gpu", "serve"))
    assert contract.tensorflow_version == tf.__version__
    assert contract.graph_bytes == (path / "saved_model.pb").stat().st_size
    assert contract.variables_bytes == sum(f.stat().st_size for f in path.glob("variables/*"))
    assert contract.assets == ("vocabulary.txt",)
    assert contract.function_count == 0
    ops = dict(contract.careful_ops)
    assert ops["RandomUniform"] == "random: the same row can get different scores"
    assert ops["HashTableV2"] == "lookup table"


def test_function_bodies_count_as_nodes(models: Path) -> None:
    """The node count includes those of all function bodies."""
    message = saved_model_pb2.SavedModel.FromString(
        (models / "keras" / "saved_model.pb").read_bytes()
    )
    graph = message.meta_graphs[0].graph_def
    contract = reader.read_contract(models / "keras")
    bodies = [len(function.node_def) for function in graph.library.function]
    assert contract.node_count == len(graph.node) + sum(bodies)
    assert contract.function_count == len(bodies)


def test_tags_choose_the_graph(models: Path) -> None:
    """The default is the graph tagged only "serve"; others are chosen by their tags."""
    default = reader.read_contract(models / "tf1")
    assert [signature.name for signature in default.signatures] == ["look_up", "serving_default"]
    other = reader.read_contract(models / "tf1", tags=["serve", "gpu"])
    assert [signature.name for signature in other.signatures] == ["other"]
    message = (
        r"has no graph tagged \['serv'\]; it has \['serve'\], \['gpu', 'serve'\]; "
        r'did you mean "serve"\?'
    )
    with pytest.raises(ModelError, match=message):
        reader.read(models / "tf1", tags=["serv"])


def test_a_package_is_read_like_its_model(models: Path, tmp_path: Path) -> None:
    """A package gives the contract of its model; tags that it doesn't have are refused."""
    files = entries_of(models / "words")
    manifest = Manifest(files, ("serve",), source="words")
    write(ModelFolder(models / "words"), tmp_path / "p", manifest)
    model, package = reader.read_contract(models / "words"), reader.read_contract(tmp_path / "p")
    assert package.package == manifest
    assert package == evolve(model, path=str(tmp_path / "p"), package=manifest)
    for tags in (["serve"], "serve"):
        assert reader.read_contract(tmp_path / "p", tags=tags) == package
    with pytest.raises(
        ModelError, match=r"a package of the graph tagged \['serve'\], not \['gpu'\]"
    ):
        reader.read(tmp_path / "p", tags=["gpu"])


def test_a_damaged_graph_is_an_error(copy: Callable[[str], Path]) -> None:
    """An empty, truncated or overwritten file is reported, never read as a smaller model."""
    path = copy("keras") / "saved_model.pb"
    content = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r'saved_model\.pb" is empty'):
        reader.read(path.parent)
    for damaged in (content[: len(content) // 2], content[:2], b"not a model", b"\xff" * 64):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="is damaged or truncated; copy the model again"):
            reader.read(path.parent)


def test_a_graph_larger_than_protobuf_reads_is_an_error(copy: Callable[[str], Path]) -> None:
    """Its size is looked at first, so a file of 5 GB is refused at once."""
    path = copy("words")
    os.truncate(path / "saved_model.pb", 5 << 30)
    with pytest.raises(ModelError, match=r"5,368,709,120 bytes.* 2,147,483,647"):
        reader.read(path)


def test_other_forms_of_the_graph_never_reach_a_session(copy: Callable[[str], Path]) -> None:
    """TensorFlow could load them instead of what was checked; they aren't among a model's files."""
    path = copy("words")
    for name in ("saved_model.cpb", "saved_model.pbtxt"):
        (path / name).write_bytes(b"another graph")
    names = {entry.path for entry in reader.read(path).entries}
    assert {name for name in names if name.startswith("saved_model.")} == {"saved_model.pb"}


def test_a_malformed_graph_is_an_error(copy: Callable[[str], Path]) -> None:
    """The message has the model's path and the cause."""
    path = copy("words")
    message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    message.meta_graphs[0].graph_def.node.add(name="n", op="Identity")
    (path / "saved_model.pb").write_bytes(message.SerializeToString())
    expected = r'/words" can\'t be loaded: the node "n" \(Identity\) has 0 inputs, expected 1'
    with pytest.raises(ModelError, match=expected):
        reader.read(path)


def test_a_missing_asset_is_an_error(copy: Callable[[str], Path]) -> None:
    """A copy that lacks its vocabulary can't run, and the message names the file."""
    path = copy("words")
    (path / "assets" / "vocabulary.txt").unlink()
    with pytest.raises(ModelError, match=r"is incomplete: assets/vocabulary.txt is missing"):
        reader.read(path)


def test_a_missing_asset_that_nothing_reads_is_no_error(tmp_path: Path) -> None:
    """TensorFlow loads and runs such a model; a run that passed the path to an op would fail."""
    module = tf.Module()
    (tmp_path / "notes.txt").write_text("trained in May")
    module.notes = tf.saved_model.Asset(str(tmp_path / "notes.txt"))
    module.double = tf.function(lambda x: {"y": 2 * x}, [tf.TensorSpec([None], tf.float32, "x")])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.double)
    shutil.rmtree(tmp_path / "m" / "assets")
    loaded = reader.read(tmp_path / "m")
    assert loaded.missing_assets == ("notes.txt",)
    (info,) = loaded.meta_graph.asset_file_def
    reading = loaded.meta_graph.graph_def.node.add(name="r", op="ReadFile")
    reading.input.append(info.tensor_info.name)
    run = Run((("r", "output"),), {info.tensor_info.name: "asset"})
    with pytest.raises(ModelError, match=r"is incomplete: assets/notes.txt is missing"):
        loaded.check_assets([run])


def test_variables_have_names_and_shapes(models: Path) -> None:
    """Variables are listed by the names that TensorFlow's errors use."""
    assert reader.variable_shapes(reader.read(models / "tf1").meta_graph) == {"w": (3, 1)}
    shapes = reader.variable_shapes(reader.read(models / "keras").meta_graph).values()
    assert (9, 2) in shapes


def test_an_asset_outside_the_folder_is_refused(copy: Callable[[str], Path]) -> None:
    """A model can't claim a file of the machine as its own asset."""
    path = copy("words")
    message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    message.meta_graphs[0].asset_file_def[0].filename = "../../vocabulary.txt"
    (path / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(UnsafeModelError, match=r'asset "../../vocabulary.txt", which is outside'):
        reader.read(path)


def test_reading_needs_neither_tensorflow_nor_spark(models: Path) -> None:
    """A fresh process reads a model without importing either."""
    script = (
        "import sys; from tf2spark.saved_model import reader\n"
        "contract = reader.read_contract(sys.argv[1])\n"
        "print([signature.name for signature in contract.signatures])\n"
        "bad = {'tensorflow', 'keras', 'pyspark'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, str(models / "keras")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "['serve', 'serving_default']\n"
