"""`reader`: it reads what TensorFlow's loader reads, or refuses; and it refuses with a cause."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tensorflow.core.protobuf import saved_model_pb2

from cases import compare_readers
from cases.tensorflow_loader import load_meta_graph
from cases.wire_format import field, mutate, parse, write
from tf2spark.errors import ModelError, Tf2SparkError
from tf2spark.saved_model import reader
from tf2spark.saved_model.contract_text import as_html, as_json, as_text
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.safety import op_check


def test_damaged_models_are_read_as_tensorflow_reads_them(tmp_path: Path) -> None:
    """Fields given twice, moved, split or taken from other messages mean the same to both."""
    tests = Path(compare_readers.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(tests), "TF_CPP_MIN_LOG_LEVEL": "3"}
    finished = subprocess.run(
        [sys.executable, "-m", "cases.compare_readers", str(tmp_path / "m"), "7", "250"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert finished.returncode == 0, finished.stderr
    match = re.search(r"same: (\d+)", finished.stdout)
    assert match is not None, finished.stdout
    assert int(match[1]) > 50


def check_all(path: Path) -> None:
    """Do with a model all that doesn't run it."""
    model = reader.read(path)
    for write_contract in (as_text, as_html, as_json):
        assert write_contract(model.contract)
    for signature in model.contract.signatures:
        fetches = [name for spec in signature.outputs for name in spec.tensors]
        feeds = [name for spec in signature.inputs for name in spec.tensors]
        op_check.check(model.meta_graph, fetches, feeds)
        op_check.retains_strings(model.meta_graph, fetches, feeds)


@pytest.mark.parametrize("name", ["mixed", "words", "tf1"])
def test_damage_never_raises_anything_else(models: Path, tmp_path: Path, name: str) -> None:
    """Flipped bits, cuts and other fields give a model or one of our errors."""
    choice = random.Random(name)
    content = (models / name / "saved_model.pb").read_bytes()
    fields = parse(content, SavedModel.DESCRIPTOR)
    path = Path(shutil.copytree(models / name, tmp_path / "m"))
    endings = set()
    for number in range(80):
        damaged = bytearray(content)
        if number % 3 == 0:
            damaged[choice.randrange(len(damaged))] ^= 1 << choice.randrange(8)
        elif number % 3 == 1:
            del damaged[choice.randrange(len(damaged)) :]
        else:
            mutate(fields, choice)
            damaged = bytearray(write(fields))
        (path / "saved_model.pb").write_bytes(damaged)
        try:
            check_all(path)
            endings.add("read")
        except Tf2SparkError:
            endings.add("refused")
    assert endings == {"read", "refused"}


def write_model(folder: Path, *tags: tuple[str, ...]) -> Path:
    """Write a model with graphs of these tags, each with a node of another name."""
    message = saved_model_pb2.SavedModel()
    for number, names in enumerate(tags):
        meta_graph = message.meta_graphs.add()
        meta_graph.meta_info_def.tags.extend(names)
        meta_graph.graph_def.node.add(name=f"node{number}", op="NoOp")
        meta_graph.graph_def.versions.producer = 1882
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    return folder


def first_node(meta_graph: bytes | None) -> str:
    assert meta_graph is not None
    loaded = type(SavedModel().meta_graphs.add()).FromString(meta_graph)
    return str(loaded.graph_def.node[0].name)


@pytest.mark.parametrize("second", [("serve",), ("serve", "serve"), ("serve", "serve", "serve")])
def test_two_graphs_with_equal_tags_are_refused(tmp_path: Path, second: tuple[str, ...]) -> None:
    """TensorFlow compares sets of tags and loads the first that fits."""
    path = write_model(tmp_path / "m", ("serve", "serve"), second)
    assert first_node(load_meta_graph(path)) == "node0"
    with pytest.raises(ModelError, match=r"two graphs tagged \['serve'\], of which TensorFlow can"):
        reader.read(path)


def test_tags_are_sets(tmp_path: Path) -> None:
    """Neither order nor number of the tags matters, in the file or as asked for."""
    path = write_model(tmp_path / "m", ("gpu", "serve", "gpu"), ("tpu", "serve"))
    assert first_node(load_meta_graph(path, ("serve", "gpu", "serve"))) == "node0"
    model = reader.read(path, tags=["serve", "gpu", "serve"])
    assert model.meta_graph.graph_def.node[0].name == "node0"
    assert model.contract.tags == ("gpu", "serve")
    assert model.contract.tag_sets == (("gpu", "serve"), ("serve", "tpu"))
    assert reader.read(path, tags="serve,tpu,serve").contract.tags == ("serve", "tpu")


def test_names_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    """TensorFlow can't load such a model either."""
    path = write_model(tmp_path / "m", ("serve",))
    file = path / "saved_model.pb"
    file.write_bytes(file.read_bytes().replace(b"node0", b"no\xff\xfe0"))
    assert load_meta_graph(path) is None
    with pytest.raises(ModelError, match="is damaged or truncated; copy the model again"):
        reader.read(path)


def test_a_deeply_nested_message_is_refused(tmp_path: Path) -> None:
    """Functions in attributes of functions, 2,000 deep: neither reader's stack overflows."""
    path = write_model(tmp_path / "m", ("serve",))
    attribute = b""
    for _ in range(2000):
        entry = field(1, b"a") + field(2, attribute)
        attribute = field(10, field(1, b"g") + field(2, entry))
    node = field(1, b"n") + field(2, b"NoOp") + field(5, field(1, b"f") + field(2, attribute))
    graph = field(2, field(1, field(4, b"serve")) + field(2, field(1, node)))
    (path / "saved_model.pb").write_bytes(graph)
    assert load_meta_graph(path) is None
    with pytest.raises(ModelError, match="is damaged or truncated"):
        reader.read(path)
