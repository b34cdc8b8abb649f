"""Users and items for `recommend`: Parquet files made once from a fixed seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import LongType, StructField, StructType

from benchmarks.data import FILES, Rng, floats, write_table
from benchmarks.recommender_models import FIELDS, SIZE, VOCABULARY

Side = Literal["user", "item"]
_SEEDS = {"user": 7, "item": 8}


def fields(
    spark: SparkSession, folder: Path, side: Side, rows: int, files: int = FILES
) -> DataFrame:
    """Return `user_id` or `item_id`, and `features`.

    `features` are MLlib vectors of size 100,000 with one id for each of 20 fields; the users'
    fields come first.
    """
    half = FIELDS // 2
    start = 0 if side == "user" else half

    def columns(count: int, rng: Rng) -> dict[str, pa.Array]:
        base = (start + np.arange(half, dtype=np.int32)) * VOCABULARY
        ids = base + rng.integers(0, VOCABULARY, (count, half), dtype=np.int32)
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * half)
        children = {
            "type": pa.array(np.zeros(count, np.int8)),
            "size": pa.array(np.full(count, SIZE, np.int32)),
            "indices": pa.ListArray.from_arrays(offsets, pa.array(ids.ravel())),
            "values": pa.ListArray.from_arrays(offsets, pa.array(rng.uniform(0.5, 1.5, ids.size))),
        }
        vectors = pa.StructArray.from_arrays(list(children.values()), names=list(children))
        return {"features": vectors}

    path = _path(folder, "fields", side, rows, columns, files)
    schema = StructType(
        [StructField(f"{side}_id", LongType()), StructField("features", VectorUDT())]
    )
    return spark.read.schema(schema).parquet(path)


def ids(spark: SparkSession, folder: Path, side: Side, rows: int) -> DataFrame:
    """Return `user_id` and `user_ids`, or the same for items: five ids of 100,000 per row."""

    def columns(count: int, rng: Rng) -> dict[str, pa.Array]:
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * 5)
        drawn = pa.array(rng.integers(0, SIZE, count * 5))
        return {f"{side}_ids": pa.ListArray.from_arrays(offsets, drawn)}

    return spark.read.parquet(_path(folder, "ids", side, rows, columns))


def vectors(spark: SparkSession, folder: Path, side: Side, rows: int, width: int) -> DataFrame:
    """Return `user_id` and `user` (array<float> of length `width`), or the same for items."""

    def columns(count: int, rng: Rng) -> dict[str, pa.Array]:
        return {side: floats(rng, count, width)}

    return spark.read.parquet(_path(folder, f"vectors-{width}", side, rows, columns))


def _path(folder: Path, kind: str, side: Side, rows: int, columns: Any, files: int = FILES) -> str:
    name = f"catalog-{kind}-{side}-{rows}" + (f"-{files}" if files != FILES else "")
    return write_table(
        folder, name, rows, columns, key=f"{side}_id", seed=_SEEDS[side], files=files
    )
