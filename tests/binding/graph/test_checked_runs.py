"""The runs of a model are checked once per set of tensors, and a refused one every time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
import tensorflow as tf

from cases.models.saving import save_function
from tf2spark.binding.graph.checked_runs import CheckedRuns
from tf2spark.errors import ModelError, UnsafeModelError
from tf2spark.saved_model import reader
from tf2spark.saved_model.graph.reachable_nodes import Run, WalkedNode, walk
from tf2spark.saved_model.protos import MetaGraph


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> reader.LoadedModel:
    """A model with a harmless output and one that writes a file."""
    path = tmp_path_factory.mktemp("runs") / "model"

    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.io.write_file("/nowhere", "x")]):
            written = tf.identity(x, name="written")
        return {"good": tf.nn.softmax(x, name="good"), "bad": written}

    save_function(path, serve, tf.TensorSpec([None], tf.float32, "x"))
    return reader.read(path)


def tensors(loaded: reader.LoadedModel, output: str) -> tuple[list[str], list[str]]:
    (signature,) = loaded.contract.signatures
    fetches = [name for spec in signature.outputs if spec.name == output for name in spec.tensors]
    return fetches, [name for spec in signature.inputs for name in spec.tensors]


def test_what_is_refused_is_refused_again(loaded: reader.LoadedModel) -> None:
    """Every time, and whatever was checked in between."""
    allowed = CheckedRuns(loaded, ["WriteFile"])
    assert allowed.check(*tensors(loaded, "bad")).mixing_ops == ('Softmax "good"',)
    refusing = CheckedRuns(loaded, [])
    for _ in range(3):
        with pytest.raises(UnsafeModelError, match="WriteFile"):
            refusing.check(*tensors(loaded, "bad"))
        with pytest.raises(ModelError, match='no node "nope"'):
            refusing.check(["nope"], [])


def test_a_run_is_walked_once(loaded: reader.LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tensors are another run, and feeds count as much as fetches."""
    walks: list[Run] = []

    def count(meta_graph: MetaGraph, runs: Iterable[Run]) -> Iterator[WalkedNode]:
        walks.extend(runs := list(runs))
        return walk(meta_graph, runs)

    monkeypatch.setattr("tf2spark.binding.graph.checked_runs.walk", count)
    runs = CheckedRuns(loaded, ["WriteFile"])
    fetches, feeds = tensors(loaded, "good")
    assert runs.check(fetches, feeds) is runs.check(list(fetches), list(feeds))
    assert len(walks) == 1
    runs.check(fetches, [])
    runs.check(tensors(loaded, "bad")[0], feeds)
    assert len(walks) == 3
