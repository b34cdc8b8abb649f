"""Models with ops of libraries: tensorflow-text's tokenizers, and a decision forest of ydf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

TEXTS = ["good films", "bad", "a good bad film", ""]
WORDS = [2, 1, 4, 0]
"""How many words each of `TEXTS` has."""
TOKENS = [[1, 3, 4, 0, 0, 0], [2, 0, 0, 0, 0, 0], [0, 1, 2, 3, 0, 0], [0, 0, 0, 0, 0, 0]]
"""The numbers of their word pieces in the vocabulary of `write_text_model`."""


class _Words(tf.Module):
    """Counts the words of a text."""

    def __init__(self) -> None:
        super().__init__()
        import tensorflow_text

        self.words = tensorflow_text.WhitespaceTokenizer()

    def count(self, texts: Any) -> Any:
        return tf.ensure_shape(self.words.tokenize(texts).row_lengths(), [None])


class _Texts(_Words):
    """Counts the words of a text, and looks up its word pieces."""

    def __init__(self) -> None:
        super().__init__()
        import tensorflow_text

        self.pieces = tensorflow_text.FastWordpieceTokenizer(
            vocab=["[UNK]", "good", "bad", "film", "##s"], support_detokenization=False
        )

    def serve(self, text: Any) -> dict[str, Any]:
        tokens = self.pieces.tokenize(text).merge_dims(1, -1).to_tensor(0, shape=[None, 6])
        return {"tokens": tokens, "words": self.count(text)}


def _save(path: Path, module: tf.Module, function: Callable[..., Any], *inputs: str) -> None:
    specs = [tf.TensorSpec([None], tf.string, name) for name in inputs]
    signature = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(path), signatures={"serving_default": signature})


def write_text_model(path: Path) -> None:
    """Write a model with the input "text" and the outputs "words" and "tokens"."""
    module = _Texts()
    _save(path, module, module.serve, "text")


def write_word_model(path: Path) -> None:
    """Write a model with the input "text" and the output "words", which one library is enough for.

    It has only the op ``TFText>WhitespaceTokenizeWithOffsetsV2``; see `text_library`.
    """
    module = _Words()
    _save(path, module, lambda text: {"words": module.count(text)}, "text")


def write_pair_model(path: Path) -> None:
    """Write a model with the inputs "query" and "title", which scores their numbers of words."""
    module = _Words()

    def score(query: Any, title: Any) -> dict[str, Any]:
        queries, titles = (tf.cast(module.count(texts), tf.float32) for texts in (query, title))
        return {"score": queries * 0.5 + titles * (1.0 + queries)}

    _save(path, module, score, "query", "title")


def write_text_model_with_a_file(path: Path) -> None:
    """Write a model that counts words, and writes each text to a file that the text names."""
    module = _Words()

    def serve(text: Any) -> dict[str, Any]:
        def write(line: Any) -> Any:
            with tf.control_dependencies([tf.io.write_file(line, line)]):
                return tf.strings.length(line)

        return {"words": module.count(text), "lengths": tf.map_fn(write, text, tf.int32)}

    _save(path, module, serve, "text")


FOREST_ROWS = {"x": [-1.0, 0.2, 1.5], "color": ["red", "green", "blue"]}


def write_forest(path: Path) -> None:
    """Write a gradient boosted forest with the inputs "x" and "color" and the output "output"."""
    import ydf

    random = np.random.default_rng(0)
    x, color = random.normal(size=200), random.choice(["red", "green", "blue"], 200)
    rows = {"x": x, "color": color, "y": x + (color == "red") > 0.3}
    learner = ydf.GradientBoostedTreesLearner(label="y", num_trees=5)
    forest = learner.train(rows, verbose=0)
    forest.to_tensorflow_saved_model(str(path), mode="tf")
    expected = forest.predict({name: np.array(values) for name, values in FOREST_ROWS.items()})
    np.save(path.with_suffix(".npy"), expected)


def text_library() -> Path:
    """Return the library with the op that counts words."""
    import importlib.util

    spec = importlib.util.find_spec("tensorflow_text")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0], "python", "ops")
    return folder / "_whitespace_tokenizer_v2.so"
