"""The tables that the models of the case `heavy` score."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import frozen

from benchmarks.data import Rng, write_table
from benchmarks.heavy_models import (
    HEADS,
    IMAGE_SIDE,
    JPEG_SIDE,
    LAYERS,
    TEXT_WORDS,
    TOKENS,
    VOCABULARY,
    WIDTH,
    texts,
)


@frozen
class HeavyModel:
    """A model of the case `heavy`.

    Attributes:
        name: Its name, also in `models.path_of`.
        column: The column of its table, and its input.
        description: What it computes.
        small: Rows of a small run.
        full: Rows of a full run on Spark.
        in_process: Rows of a full run in one process. Texts are quick, so that 192 of them would
            measure a call more than the model.
    """

    name: str
    column: str
    description: str
    small: int
    full: int
    in_process: int

    def table(self, folder: Path, rows: int) -> str:
        """Write its table of `rows` rows, if missing, and return the path.

        A process of its own does it, because TensorFlow encodes the images.
        """
        command = [sys.executable, "-m", "benchmarks.heavy_tables", self.name, str(folder)]
        done = subprocess.run([*command, str(rows)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"making a table for {self.name} failed:\n{done.stderr}")
        return done.stdout.splitlines()[-1]


TRANSFORMER = HeavyModel(
    "transformer",
    "ids",
    f"{LAYERS} Transformer layers {WIDTH} wide with {HEADS} heads over {TOKENS} ids",
    48,
    768,
    192,
)
IMAGES = HeavyModel(
    "images",
    "image",
    f"JPEG files of {JPEG_SIDE} x {JPEG_SIDE} pixels, decoded and resized in the model, ResNet50 "
    f"on {IMAGE_SIDE} x {IMAGE_SIDE}",
    16,
    192,
    192,
)
TEXT = HeavyModel(
    "text",
    "text",
    f"texts of {TEXT_WORDS} words, split and looked up in the model, embedded, a convolution",
    480,
    7_680,
    9_600,
)


def _ids(rows: int, rng: Rng) -> dict[str, pa.Array]:
    ids = rng.integers(0, VOCABULARY, rows * TOKENS)
    offsets = np.arange(rows + 1, dtype=np.int32) * TOKENS
    return {"ids": pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids))}


def _texts(rows: int, rng: Rng) -> dict[str, pa.Array]:
    return {"text": pa.array(texts(rows, rng))}


def _jpegs(rows: int, rng: Rng) -> dict[str, pa.Array]:
    import tensorflow as tf

    side = JPEG_SIDE
    coarse = rng.integers(0, 256, (rows, 8, 8, 3)).astype(np.float32)
    pixels = tf.cast(tf.clip_by_value(tf.image.resize(coarse, (side, side)), 0, 255), tf.uint8)
    files = [tf.io.encode_jpeg(image, quality=90).numpy() for image in pixels]
    return {"image": pa.array(files, pa.binary())}


_COLUMNS: dict[str, Callable[[int, Rng], dict[str, pa.Array]]] = {
    "transformer": _ids,
    "images": _jpegs,
    "text": _texts,
}


def main(name: str, folder: str, rows: str) -> None:
    """Write a table and print its path."""
    print(write_table(Path(folder), f"{name}-{rows}", int(rows), _COLUMNS[name]))


if __name__ == "__main__":
    main(*sys.argv[1:])
