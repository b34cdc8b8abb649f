"""The models to score, made once with TensorFlow and kept in the benchmark's folder.

TensorFlow runs in a process of its own: in this one it would distort the measurements.
"""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import tf2spark
from benchmarks import heavy_models, recommender_models

if TYPE_CHECKING:
    from tf2spark.runnable.model import RunnableModel
    from tf2spark.saved_model.contract import Signature

SPARSE_WIDTH = 100_000
WORDS = {"country": 200, "device": 5_000, "item": 100_000}


def path_of(folder: Path, name: str) -> str:
    """Return the path of a SavedModel, making the model if it is missing."""
    path = folder / "models" / name
    if not (path / "saved_model.pb").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.models", name, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"making the model {name} failed:\n{done.stderr}")
    return str(path)


def package_of(folder: Path, name: str) -> str:
    """Return the path of a SavedModel's package, compiling it unless this code already has."""
    path = folder / "packages" / f"{name}-{_compiler_digest()}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tf2spark", "compile"]
        subprocess.run([*command, path_of(folder, name), str(path)], check=True)
    return str(path)


def _compiler_digest() -> str:
    sources = sorted(Path(tf2spark.__file__).with_name("compile").glob("*.py"))
    return sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def serving_signature(model: RunnableModel) -> Signature:
    """Return the signature ``serving_default``, which all of these models have."""
    signatures = {signature.name: signature for signature in model.contract.signatures}
    return signatures["serving_default"]


def words(column: str) -> list[str]:
    """Return the vocabulary of one of the string columns."""
    return [f"{column}-{number:08d}" for number in range(WORDS[column])]


def make_mlp(path: str, width: int) -> None:
    """`width` floats, 64 ReLU units, one output."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((width,), name="features"), layers.Dense(64, "relu"), layers.Dense(1)]
    )
    model.export(path, verbose=False)


def make_columns(path: str, count: int) -> None:
    """`count` inputs of one float each, c000, c001, ..., 64 ReLU units, one output."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = [layers.Input((), name=f"c{number:03d}") for number in range(count)]
    hidden = layers.Dense(64, "relu")(keras.ops.stack(inputs, axis=1))
    keras.Model(inputs, layers.Dense(1)(hidden)).export(path, verbose=False)


def make_sparse(path: str) -> None:
    """A weighted sum of embeddings, then a small MLP; one set of weights, two signatures.

    ``serving_default`` takes ids and values, ``dense`` the whole vector; both give the same score.
    """
    import tensorflow as tf

    tf.random.set_seed(1)

    class Model(tf.Module):
        def __init__(self) -> None:
            self.table = tf.Variable(tf.random.normal([SPARSE_WIDTH, 16], stddev=0.2))
            self.hidden = tf.Variable(tf.random.normal([16, 32], stddev=0.2))
            self.out = tf.Variable(tf.random.normal([32, 1], stddev=0.2))

        def head(self, summed: tf.Tensor) -> dict[str, tf.Tensor]:
            score = tf.nn.relu(summed @ self.hidden) @ self.out
            return {"score": tf.squeeze(score, 1)}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None], tf.int64, "ids"),
                tf.TensorSpec([None, None], tf.float32, "values"),
            ]
        )
        def by_ids(self, ids: tf.Tensor, values: tf.Tensor) -> dict[str, tf.Tensor]:
            rows = tf.gather(self.table, ids)
            return self.head(tf.reduce_sum(rows * values[:, :, tf.newaxis], axis=1))

        @tf.function(input_signature=[tf.TensorSpec([None, SPARSE_WIDTH], tf.float32, "x")])
        def by_vector(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.head(x @ self.table)

    model = Model()
    signatures = {"serving_default": model.by_ids, "dense": model.by_vector}
    tf.saved_model.save(model, path, signatures=signatures)


def make_strings(path: str) -> None:
    """Three string columns, each looked up and embedded, then a small MLP."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs, embedded = [], []
    for column, size in WORDS.items():
        column_input = layers.Input((), dtype="string", name=column)
        ids = layers.StringLookup(vocabulary=words(column))(column_input)
        inputs.append(column_input)
        embedded.append(layers.Embedding(size + 1, 8)(ids))
    hidden = layers.Dense(32, "relu")(layers.Concatenate()(embedded))
    keras.Model(inputs, layers.Dense(1)(hidden)).export(path, verbose=False)


def make_wide_deep(path: str) -> None:
    """10 ids of a million, embedded 16 wide, and layers of 256, 128 and 1 on top."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    ids = layers.Input((10,), dtype="int64", name="ids")
    wide = layers.Flatten()(layers.Embedding(1_000_000, 1)(ids))
    deep = layers.Flatten()(layers.Embedding(1_000_000, 16)(ids))
    for units in (256, 128):
        deep = layers.Dense(units, "relu")(deep)
    score = layers.Dense(1)(layers.Concatenate()([wide, deep]))
    keras.Model(ids, score).export(path, verbose=False)


def make_lstm(path: str) -> None:
    """20 steps of 32 floats, an LSTM of 64, one output."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    steps = layers.Input((20, 32), name="steps")
    keras.Model(steps, layers.Dense(1)(layers.LSTM(64)(steps))).export(path, verbose=False)


def make_embedding(path: str, rows: int) -> None:
    """10 ids embedded 64 wide (256 bytes per table row), averaged, one output."""
    import tensorflow as tf

    tf.random.set_seed(1)

    class Model(tf.Module):
        def __init__(self) -> None:
            self.table = tf.Variable(tf.random.normal([rows, 64], stddev=0.1))
            self.out = tf.Variable(tf.random.normal([64, 1], stddev=0.1))

        @tf.function(input_signature=[tf.TensorSpec([None, 10], tf.int64, "ids")])
        def __call__(self, ids: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"score": tf.reduce_mean(tf.gather(self.table, ids), 1) @ self.out}

    model = Model()
    tf.saved_model.save(model, path, signatures=model.__call__)


def main(name: str, path: str) -> None:
    """Make a model by its name; "mlp-128" is the MLP that takes 128 floats."""
    if recommender_models.make(name, path):
        return
    if name.startswith("mlp-"):
        make_mlp(path, int(name.removeprefix("mlp-")))
    elif name.startswith("columns-"):
        make_columns(path, int(name.removeprefix("columns-")))
    elif name.startswith("embedding-"):
        rows = {"1gb": 4_000_000, "256mb": 1_000_000, "64mb": 250_000}
        make_embedding(path, rows[name.removeprefix("embedding-")])
    else:
        makers = {"sparse": make_sparse, "strings": make_strings, **heavy_models.MAKERS}
        {**makers, "wide-deep": make_wide_deep, "lstm": make_lstm}[name](path)


if __name__ == "__main__":
    main(*sys.argv[1:])
