"""Models in which nearly all of the time is TensorFlow's.

All weights are random, those of biases and normalization layers too, so that none of them can be
left out. The last layer is scaled so that scores are about 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

TOKENS, VOCABULARY = 64, 20_000
LAYERS, WIDTH, HEADS = 4, 128, 4
IMAGE_SIDE, JPEG_SIDE = 96, 128
TEXT_WORDS = 60


def make_transformer(path: str) -> None:
    """Ids to embeddings with positions, then layers of attention and of two dense ones."""
    import keras

    keras.utils.set_random_seed(1)
    layers, ops = keras.layers, keras.ops
    ids = layers.Input((TOKENS,), dtype="int64", name="ids")
    x = layers.Embedding(VOCABULARY, WIDTH)(ids)
    x = x + layers.Embedding(TOKENS, WIDTH)(ops.arange(TOKENS))
    for _ in range(LAYERS):
        attended = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x)
        x = layers.LayerNormalization()(x + attended)
        # The approximation, because tf2onnx turns the exact one into an op that ONNX doesn't have.
        hidden = ops.gelu(layers.Dense(4 * WIDTH)(x), approximate=True)
        dense = layers.Dense(WIDTH)(hidden)
        x = layers.LayerNormalization()(x + dense)
    model = keras.Model(ids, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))
    sample = np.random.default_rng(1).integers(0, VOCABULARY, (64, TOKENS))
    _fill(model, sample)
    model.export(path, verbose=False)


def make_images(path: str) -> None:
    """JPEG files to pixels, row by row, then ResNet50."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    side = IMAGE_SIDE
    model = keras.applications.ResNet50(
        weights=None, input_shape=(side, side, 3), classes=1, classifier_activation=None
    )
    _fill(model, np.random.default_rng(1).random((16, side, side, 3), np.float32))

    def pixels(file: Any) -> Any:
        image = tf.io.decode_jpeg(file, channels=3)
        return tf.image.resize(image, (side, side)) / 255.0

    def score(image: Any) -> Any:
        images = tf.map_fn(pixels, image, fn_output_signature=tf.float32)
        return model(tf.ensure_shape(images, (None, side, side, 3)))

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve", score, input_signature=[tf.TensorSpec([None], tf.string, "image")]
    )
    archive.write_out(path, verbose=False)


def make_text(path: str) -> None:
    """Texts to words to embeddings, then a convolution over five words."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    layers = keras.layers
    text = layers.Input((), dtype="string", name="text")
    split = layers.TextVectorization(
        vocabulary=[f"word{number}" for number in range(VOCABULARY)],
        output_sequence_length=TOKENS,
    )
    x = layers.Embedding(VOCABULARY + 2, 64)(split(text))
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(128, 5, activation="relu")(x))
    model = keras.Model(text, layers.Dense(1)(layers.Dense(64, "relu")(x)))
    _fill(model, tf.constant(texts(64, np.random.default_rng(1))))
    model.export(path, verbose=False)


MAKERS: dict[str, Callable[[str], None]] = {
    "transformer": make_transformer,
    "images": make_images,
    "text": make_text,
}


def _fill(model: keras.Model, sample: Any) -> None:
    """Make biases and normalization random too, and scale the last layer to scores of about 1."""
    rng = np.random.default_rng(2)
    for weight in model.weights:
        kind = weight.path.rpartition("/")[2]
        if kind in ("bias", "beta", "moving_mean"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    largest = np.abs(model.predict(sample, verbose=0)).max()
    last = model.layers[-1]
    for weight in (last.kernel, last.bias):
        weight.assign(weight / largest)


def texts(rows: int, rng: np.random.Generator) -> list[str]:
    """Draw texts; one word in a hundred is unknown."""
    numbers = rng.integers(0, int(VOCABULARY * 1.01), (rows, TEXT_WORDS))
    return [" ".join(f"Word{number}," for number in row) for row in numbers]
