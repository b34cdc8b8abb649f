"""Writes the surveyed models and TensorFlow's scores of all pairs, where their packages are.

Run as ``python -m benchmarks.survey.write FOLDER``. A model that can't be built gets a file
``NAME.failed`` with the reason.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.survey import tables

SOURCES = ("deepctr_models", "tfrs_models", "keras_models", "jax_models", "flax_models")


def main(folder: Path, wanted: list[str]) -> None:
    for source in SOURCES:
        models = importlib.import_module(f"benchmarks.survey.{source}").MODELS
        for name, build in models.items():
            path = folder / f"{source.removesuffix('_models')} {name}"
            if wanted and name not in wanted:
                continue
            try:
                _write(path, build())
            except Exception as error:  # of any kind: the next model may be fine
                path.with_suffix(".failed").write_text(f"{type(error).__name__}: {error}")


def _write(path: Path, model: Any) -> None:
    import tensorflow as tf

    serve = getattr(model, "serve", None)  # models of JAX come with random weights
    if serve is None:
        _fill(model)
    if serve is not None:
        tf.saved_model.save(model, str(path), signatures=serve)
    elif type(model).__module__.startswith("keras."):  # Keras 3 says what restores its variables
        model.export(path, verbose=False)
    else:
        tf.saved_model.save(model, str(path))
    call = tf.saved_model.load(str(path)).signatures["serving_default"]
    inputs = call.structured_input_signature[1]
    rows = tables.pairs(tables.users(), tables.items())
    feeds = {
        name: tf.cast(rows[name].reshape(len(rows[name]), *spec.shape[1:]), spec.dtype)
        for name, spec in inputs.items()
    }
    outputs = {name: value.numpy() for name, value in call(**feeds).items()}
    np.savez(path / "expected.npz", **outputs)


def _fill(model: Any) -> None:
    """Make all weights random: those of new models are often zeros, or too small to matter."""
    rng = np.random.default_rng(3)
    for weight in model.weights:
        shape, kind = weight.shape, weight.name
        if "variance" in kind or "gamma" in kind:
            weight.assign(rng.uniform(0.5, 1.5, shape))
        elif weight.dtype == "float32":
            scale = 0.5 if "embedding" in kind else 1 / np.sqrt(max(1, shape[0] if shape else 1))
            weight.assign(rng.normal(0, scale, shape))


if __name__ == "__main__":
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    main(Path(sys.argv[1]), sys.argv[2:])
