"""Keras 3 models, saved by `model.export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf

from cases.models.case import Case, Feeds
from cases.models.saving import save_function
from cases.models.tables import (
    arrow,
    as_columns,
    by_name,
    chosen,
    coo,
    floats,
    floats_table,
    ints,
    mixed_vectors,
    pairs_of,
    read,
    sparse_pairs,
    table,
    written_out,
)

layers = keras.layers
CITIES = ["Lima", "Osaka", "Kyiv", "São Paulo"]
YEARS = [1995, 2005, 2015]
REVIEWS = [
    "a good film",
    "not a good film at all",
    "Boring, boring, BORING!",
    "",
    "the best ending — ever",
    "good good bad good",
]


def export(path: Path, inputs: Any, outputs: Any) -> None:
    keras.Model(inputs, outputs).export(str(path), verbose=False)


def make_keras_mlp(path: Path) -> None:
    keras.utils.set_random_seed(1)
    x = layers.Input((8,), name="features")
    export(path, x, _dense(1)(_dense(16, "relu")(x)))


def _dense(units: int, activation: str | None = None) -> Any:
    """Return a Dense layer with a bias that isn't zero, so that losing it shows."""
    return layers.Dense(units, activation, bias_initializer=keras.initializers.RandomNormal())


def make_mlp_128(path: Path) -> None:
    keras.utils.set_random_seed(1)
    x = layers.Input((128,), name="features")
    export(path, x, _dense(1)(_dense(64, "relu")(x)))


def make_keras_scalars(path: Path) -> None:
    keras.utils.set_random_seed(2)
    inputs = [layers.Input((1,), name=name) for name in ("age", "income", "rating")]
    export(path, inputs, _dense(1, "sigmoid")(_dense(8, "tanh")(layers.Concatenate()(inputs))))


def scalars_table(rows: int) -> pa.Table:
    return table(
        rating=arrow(floats(rows, seed=3), pa.float32()),
        age=arrow(ints(rows, low=0, high=3, seed=1), pa.int32()),
        income=arrow(floats(rows, seed=2), pa.float64()),
    )


def make_keras_sequential(path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            layers.Input((5,), name="measures"),
            _dense(7, "gelu"),
            layers.Dropout(0.5),
            layers.LayerNormalization(),
            _dense(3, "softmax"),
        ]
    )
    model.export(str(path), verbose=False)


def make_keras_lookups(path: Path) -> None:
    keras.utils.set_random_seed(4)
    city = layers.Input((), dtype="string", name="city")
    year = layers.Input((), dtype="int64", name="year")
    embedded = [
        layers.Embedding(5, 4, embeddings_initializer="normal")(
            layers.StringLookup(vocabulary=CITIES)(city)
        ),
        layers.Embedding(4, 3, embeddings_initializer="normal")(
            layers.IntegerLookup(vocabulary=YEARS)(year)
        ),
    ]
    export(path, [city, year], _dense(2)(layers.Concatenate()(embedded)))


def lookups_table(rows: int) -> pa.Table:
    return table(
        city=arrow(chosen([*CITIES, "nowhere", ""], rows, seed=1), pa.string()),
        year=arrow(chosen([*YEARS, 1900], rows, seed=2), pa.int64()),
    )


def make_keras_text(path: Path) -> None:
    keras.utils.set_random_seed(5)
    review = layers.Input((), dtype="string", name="review")
    vocabulary = ["good", "bad", "film", "boring", "best", "not"]
    ids = layers.TextVectorization(vocabulary=vocabulary, output_sequence_length=6)(review)
    words = layers.Embedding(8, 4, embeddings_initializer="normal")(ids)
    export(path, review, _dense(1)(layers.GlobalAveragePooling1D()(words)))


def make_keras_lstm(path: Path) -> None:
    keras.utils.set_random_seed(6)
    x = layers.Input((5, 3), name="steps")
    export(path, x, _dense(2)(layers.LSTM(4)(x)))


def make_keras_gru(path: Path) -> None:
    keras.utils.set_random_seed(7)
    x = layers.Input((None, 3), name="steps")
    export(path, x, _dense(2)(layers.GRU(4)(x)))


def uneven_steps(rows: int) -> pa.Table:
    """Return sequences of 2, 3 and 5 steps."""
    lengths = [(2, 5, 3)[row % 3] for row in range(rows)]
    steps = [floats(size, 3, seed=row).tolist() for row, size in enumerate(lengths)]
    return table(steps=pa.array(steps, pa.list_(pa.list_(pa.float32()))))


def by_length(data: pa.Table) -> list[list[int]]:
    """Return the rows of each length of `steps`, in the order of first appearance."""
    rows: dict[int, list[int]] = {}
    for row, steps in enumerate(data["steps"].to_pylist()):
        rows.setdefault(len(steps), []).append(row)
    return list(rows.values())


def make_keras_batch_norm(path: Path) -> None:
    keras.utils.set_random_seed(8)
    x = layers.Input((4,), name="features")
    norm = layers.BatchNormalization()
    model = keras.Model(x, _dense(2)(norm(x)))
    scale, shift = [1, 2, 0.5, 3], [0, 1, -1, 2]
    mean, variance = [0.3, -2, 1, 0], [1, 4, 0.25, 2]
    norm.set_weights([np.array(values, np.float32) for values in (scale, shift, mean, variance)])
    model.export(str(path), verbose=False)


def make_keras_preprocessing(path: Path) -> None:
    keras.utils.set_random_seed(9)
    x = layers.Input((3,), name="features")
    age = layers.Input((1,), name="age")
    normal = layers.Normalization(mean=[1.0, -2.0, 0.5], variance=[4.0, 1.0, 0.25])(x)
    bins = layers.Discretization(bin_boundaries=[18.0, 30.0, 65.0])(age)
    encoded = layers.CategoryEncoding(num_tokens=4, output_mode="one_hot")(bins)
    export(path, {"features": x, "age": age}, _dense(1)(layers.Concatenate()([normal, encoded])))


def preprocessing_table(rows: int) -> pa.Table:
    return table(
        features=arrow(floats(rows, 3, seed=1), pa.float64()),
        age=arrow(ints(rows, low=1, high=99, seed=2), pa.int16()),
    )


def preprocessing_feeds(data: pa.Table) -> Feeds:
    return {
        "features": read(data, "features", np.float32),
        "age": read(data, "age", np.float32)[:, None],
    }


def make_keras_two_outputs(path: Path) -> None:
    keras.utils.set_random_seed(10)
    x = layers.Input((6,), name="features")
    hidden = _dense(5, "relu")(x)
    outputs = {"click": _dense(1, "sigmoid")(hidden), "topics": _dense(3, "softmax")(hidden)}
    export(path, x, outputs)


def make_keras_shapes(path: Path) -> None:
    keras.utils.set_random_seed(11)
    x = layers.Input((6,), name="features")
    hidden = _dense(6)(x)
    single = _dense(1)(x)
    outputs = {
        "scalar": layers.Reshape(())(single),
        "single": single,
        "triple": _dense(3)(x),
        "matrix": layers.Reshape((2, 3))(hidden),
    }
    export(path, x, outputs)


def make_keras_image(path: Path) -> None:
    keras.utils.set_random_seed(12)
    image = layers.Input((4, 4, 3), dtype="uint8", name="image")
    scaled = layers.Rescaling(1 / 255)(image)
    flat = layers.Flatten()(layers.Conv2D(2, 3, activation="relu")(scaled))
    export(path, image, _dense(2)(flat))


def pixels_table(rows: int) -> pa.Table:
    return table(image=arrow(ints(rows, 4, 4, 3, high=256, seed=1), pa.int16()))


IMAGE = pa.struct(
    [
        ("origin", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("nChannels", pa.int32()),
        ("mode", pa.int32()),
        ("data", pa.binary()),
    ]
)
"""Spark's image (``ImageSchema.columnSchema``); mode 16 is OpenCV's CV_8UC3."""


def images_table(rows: int) -> pa.Table:
    pixels = ints(rows, 4, 4, 3, high=256, seed=1).astype(np.uint8)
    images = [
        {"origin": f"{row}.png", "height": 4, "width": 4, "nChannels": 3, "mode": 16}
        | {"data": pixels[row].tobytes()}
        for row in range(rows)
    ]
    return table(picture=pa.array(images, IMAGE))


def images_feeds(data: pa.Table) -> Feeds:
    flat = [list(image["data"]) for image in data["picture"].to_pylist()]
    return {"image": np.array(flat, np.uint8).reshape(-1, 4, 4, 3)}


def make_keras_sparse_exported(path: Path) -> None:
    """Export a model with a sparse input as Keras does: the signature takes a dense one."""
    sparse_model().export(str(path), verbose=False)


def sparse_model() -> Any:
    keras.utils.set_random_seed(13)
    x = layers.Input((20,), sparse=True, name="features")
    return keras.Model(x, _dense(2)(x))


def make_keras_sparse(path: Path) -> None:
    """Save the same with a sparse input, which takes a function around the model."""
    model = sparse_model()
    spec = tf.SparseTensorSpec([None, 20], tf.float32)
    kept = {f"v{i}": variable.value for i, variable in enumerate(model.variables)}
    save_function(path, lambda features: {"y": model(features)}, spec, keep=kept)


def vectors_table(rows: int) -> pa.Table:
    pairs = sparse_pairs(rows, 20, most=6, seed=1)
    return table(features=mixed_vectors(pairs, 20))


def sparse_feeds(data: pa.Table) -> Feeds:
    indices, values, shape = coo(pairs_of(data, "features"), 20)
    return {"features": indices, "features_1": values, "features_2": shape}


CASES = [
    Case("keras_mlp", make_keras_mlp, floats_table("features", 8), by_name(features=np.float32)),
    Case(
        "keras_mlp_doubles",
        make_keras_mlp,
        floats_table("features", 8, leaf=pa.float64()),
        by_name(features=np.float32),
    ),
    Case("mlp_128", make_mlp_128, floats_table("features", 128), by_name(features=np.float32)),
    Case(
        "keras_scalars",
        make_keras_scalars,
        scalars_table,
        as_columns(age=np.float32, income=np.float32, rating=np.float32),
    ),
    Case(
        "keras_sequential",
        make_keras_sequential,
        floats_table("values", 5, leaf=pa.float64()),
        lambda data: {"measures": read(data, "values", np.float32)},
        feed={"measures": "values"},
    ),
    Case("keras_lookups", make_keras_lookups, lookups_table, by_name(city=object, year=np.int64)),
    Case(
        "keras_text",
        make_keras_text,
        lambda rows: table(review=arrow(chosen(REVIEWS, rows), pa.string())),
        by_name(review=object),
    ),
    Case("keras_lstm", make_keras_lstm, floats_table("steps", 5, 3), by_name(steps=np.float32)),
    Case("keras_gru", make_keras_gru, floats_table("steps", 4, 3), by_name(steps=np.float32)),
    Case(
        "keras_gru_uneven",
        make_keras_gru,
        uneven_steps,
        by_name(steps=np.float32),
        batches=by_length,
    ),
    Case(
        "keras_batch_norm",
        make_keras_batch_norm,
        floats_table("features", 4),
        by_name(features=np.float32),
    ),
    Case("keras_preprocessing", make_keras_preprocessing, preprocessing_table, preprocessing_feeds),
    Case(
        "keras_two_outputs",
        make_keras_two_outputs,
        floats_table("features", 6),
        by_name(features=np.float32),
    ),
    Case(
        "keras_one_of_two_outputs",
        make_keras_two_outputs,
        floats_table("features", 6),
        by_name(features=np.float32),
        fetch={"probabilities": "topics"},
    ),
    Case(
        "keras_shapes",
        make_keras_shapes,
        floats_table("features", 6),
        by_name(features=np.float32),
    ),
    Case("keras_image", make_keras_image, pixels_table, by_name(image=np.uint8)),
    Case(
        "keras_image_struct",
        make_keras_image,
        images_table,
        images_feeds,
        feed={"image": "picture"},
    ),
    Case(
        "keras_sparse_exported",
        make_keras_sparse_exported,
        vectors_table,
        lambda data: {"features": written_out(pairs_of(data, "features"), 20)},
    ),
    Case("keras_sparse", make_keras_sparse, vectors_table, sparse_feeds),
]
