"""What a worker sees of a Spark table whose arrays travel packed, and plainly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import types as t

from tf2spark.conversion.packed_arrays import unpacker
from tf2spark.plan.packed import Packing
from tf2spark.spark.packed.transport import packed_parts
from tf2spark.spark.score import map_in_arrow


def check_same_rows(df: DataFrame) -> int:
    """Compare what a worker sees both ways; return how many rows came as a block."""
    plain, _ = _rows_of(df, packed=False)
    packed, blocks = _rows_of(df, packed=True)
    assert packed == plain
    return blocks


def _rows_of(df: DataFrame, *, packed: bool) -> tuple[list[str], int]:
    """Return the rows as a worker sees them, as text, and how many came as a block.

    A text holds what Python's equality doesn't tell: -0.0, and that NaN is NaN.
    """
    columns = [df[name] for name in df.columns]
    table, parts, packing = packed_parts(df, columns, df.schema) if packed else (df, columns, None)
    numbered = table.select(*(part.alias(f"c{index}") for index, part in enumerate(parts)))
    fields = [t.StructField("row", t.StringType()), t.StructField("block", t.BooleanType())]
    seen = map_in_arrow(numbered, _describe(packing), fields).collect()
    return sorted(row["row"] for row in seen), sum(row["block"] for row in seen)


def _describe(packing: Packing | None) -> Callable[[Any], Iterator[pa.RecordBatch]]:
    def describe(batches: Any) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            has_block = [False] * len(batch)
            if packing is not None:
                has_block = batch.column(len(packing.others)).is_valid().to_pylist()
            table = unpacker(packing)(batch)
            table.validate(full=True)
            rows = [repr((str(table.schema.types), *row.values())) for row in table.to_pylist()]
            yield pa.RecordBatch.from_pydict({"c0": rows, "c1": has_block})

    return describe
