"""The tables to score: Parquet files made once from a fixed seed, the same for all contenders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from benchmarks.models import SPARSE_WIDTH, WORDS, words

FILES = 8
NON_ZEROS = 30

Rng = np.random.Generator
Columns = Callable[[int, Rng], dict[str, pa.Array]]


def dense(
    spark: SparkSession,
    folder: Path,
    rows: int,
    *,
    width: int = 128,
    doubles: int = 0,
    text_chars: int = 0,
) -> DataFrame:
    """Return `id` and `features` (array<float>), and optionally columns that no model needs.

    Args:
        spark: The session.
        folder: The benchmark's folder.
        rows: Rows of the table.
        width: Floats per row.
        doubles: Number of additional columns of doubles, c0, c1, ...
        text_chars: Characters per row in a string column `text`; 0 for no such column.
    """

    def columns(count: int, rng: Rng) -> dict[str, pa.Array]:
        arrays: dict[str, pa.Array] = {"features": floats(rng, count, width)}
        for number in range(doubles):
            arrays[f"c{number}"] = pa.array(rng.random(count))
        if text_chars:
            texts = [(f"{number:x}" * text_chars)[:text_chars] for number in range(count)]
            arrays["text"] = pa.array(texts)
        return arrays

    path = write_table(folder, f"dense-{width}-{doubles}-{text_chars}-{rows}", rows, columns)
    return spark.read.parquet(path)


def sparse(spark: SparkSession, folder: Path, rows: int) -> DataFrame:
    """Return `id` and `features`: MLlib vectors of size 100,000 with 30 non-zeros.

    Indices are sorted, as in MLlib, and drawn with replacement, so a few rows have 29.
    """
    path = write_table(folder, f"sparse-{SPARSE_WIDTH}-{NON_ZEROS}-{rows}", rows, _vectors)
    schema = StructType([StructField("id", LongType()), StructField("features", VectorUDT())])
    return spark.read.schema(schema).parquet(path)


def with_groups(spark: SparkSession, df: DataFrame) -> DataFrame:
    """Return a table joined with a thousand groups, by its `id`, as Spark joins small tables."""
    groups = spark.range(1_000).withColumnRenamed("id", "group")
    return df.join(F.broadcast(groups), F.col("id") % 1_000 == F.col("group")).select(*df.columns)


def strings(spark: SparkSession, folder: Path, rows: int) -> DataFrame:
    """Return `id` and three columns of words; the model doesn't know one word in a hundred."""
    path = write_table(folder, f"strings-{rows}", rows, _words)
    return spark.read.parquet(path)


def folder_of(df: DataFrame) -> str:
    """Return the folder of a table, for contenders that read it without our session."""
    return str(Path(urlparse(df.inputFiles()[0]).path).parent)


def floats(rng: Rng, rows: int, width: int) -> pa.Array:
    """Draw arrays of `width` floats around 0."""
    values = pa.array(rng.standard_normal(rows * width, np.float32))
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, values)


def _vectors(rows: int, rng: Rng) -> dict[str, pa.Array]:
    ids = np.sort(rng.integers(0, SPARSE_WIDTH, (rows, NON_ZEROS), dtype=np.int32), axis=1)
    first = np.ones_like(ids, bool)
    first[:, 1:] = ids[:, 1:] != ids[:, :-1]
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(first.sum(axis=1), out=offsets[1:])
    values = rng.uniform(0.1, 1.0, int(offsets[-1]))
    fields = {
        "type": pa.array(np.zeros(rows, np.int8)),
        "size": pa.array(np.full(rows, SPARSE_WIDTH, np.int32)),
        "indices": pa.ListArray.from_arrays(pa.array(offsets), pa.array(ids[first])),
        "values": pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)),
    }
    return {"features": pa.StructArray.from_arrays(list(fields.values()), names=list(fields))}


def _words(rows: int, rng: Rng) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {}
    for column, size in WORDS.items():
        known = pa.array([*words(column), f"{column}-unknown"])
        ids = rng.integers(0, size, rows)
        ids[rng.random(rows) < 0.01] = size
        columns[column] = known.take(pa.array(ids))
    return columns


def write_table(
    folder: Path,
    name: str,
    rows: int,
    columns: Columns,
    *,
    key: str = "id",
    seed: int = 7,
    files: int = FILES,
) -> str:
    """Write a table of a column `key` of 0, 1, ... and `columns`, if missing; return its path."""
    path = folder / "tables" / name
    if not (path / "_SUCCESS").exists():
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        bounds = np.linspace(0, rows, files + 1).astype(int)
        for number, (start, end) in enumerate(pairwise(bounds)):
            arrays: dict[str, Any] = {key: pa.array(np.arange(start, end))}
            arrays |= columns(int(end - start), rng)
            pq.write_table(pa.table(arrays), path / f"part-{number}.parquet")
        (path / "_SUCCESS").touch()
    return str(path)
