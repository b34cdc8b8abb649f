"""Keras 3 layers whose weights make scores that differ, and `model.export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

layers = keras.layers


def export(path: Path, inputs: Any, outputs: Any) -> None:
    keras.Model(inputs, outputs).export(str(path), verbose=False)


def dense(units: int, activation: str | None = None, **options: Any) -> Any:
    """Return a Dense layer whose bias isn't zero either: a lost bias must show."""
    bias = keras.initializers.RandomNormal(stddev=0.2)
    return layers.Dense(units, activation, bias_initializer=bias, **options)


def embedding(rows: int, width: int, *, scale: float = 0.5) -> Any:
    return layers.Embedding(
        rows, width, embeddings_initializer=keras.initializers.RandomNormal(stddev=scale)
    )
