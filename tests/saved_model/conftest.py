"""Models that are written once for all tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from cases.reader_models import Composites, Vocabulary, save_tf1
from cases.unsafe_models import SIGNATURES, Actions
from tf2spark.saved_model import reader


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one model of each kind, for tests that only read."""
    root = tmp_path_factory.mktemp("models")
    vocabulary = root / "vocabulary.txt"
    vocabulary.write_text("film\nbook\n")
    module = Composites()
    for name in ("mixed", "nested", "clash"):
        signature = {"serving_default": getattr(module, name)}
        tf.saved_model.save(module, str(root / name), signatures=signature)
    words = Vocabulary(vocabulary)
    tf.saved_model.save(words, str(root / "words"), signatures=words.look_up)
    save_tf1(root / "tf1", vocabulary)
    a, b = keras.Input((2,), name="b"), keras.Input((3,), name="a", dtype="int32")
    layers = keras.layers
    joined = layers.Concatenate()([a, layers.Flatten()(layers.Embedding(9, 2)(b))])
    outputs = {"score": layers.Dense(1)(joined), "more": layers.Dense(4)(joined)}
    keras.Model([a, b], outputs).export(root / "keras", verbose=False)
    return root


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies a model, for a test to damage."""
    return lambda name: Path(shutil.copytree(models / name, tmp_path / name))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the model of many functions, and the vocabulary that it uses."""
    root = tmp_path_factory.mktemp("models")
    (root / "vocabulary.txt").write_text("film\nbook\n")
    actions = Actions(root / "vocabulary.txt")
    signatures = {name: getattr(actions, name) for name in SIGNATURES}
    tf.saved_model.save(actions, str(root / "actions"), signatures=signatures)
    return root


@pytest.fixture(scope="session")
def actions(root: Path) -> reader.LoadedModel:
    """The model of many functions."""
    return reader.read(root / "actions")
