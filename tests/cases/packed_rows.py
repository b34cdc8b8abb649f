"""What a worker sees of a Spark table whose arrays travel packed, and plainly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import types as t

from tf2spark.conversion.packed_arrays import unpacker
from tf2spark.plan.packed import Transport
from tf2spark.spark.packed.transport import packed_parts
from tf2spark.spark.score import map_in_arrow


def check_same_rows(df: DataFrame) -> dict[str, int]:
    """Compare what a worker sees both ways; return how many values of each column had a block."""
    plain, none = _rows_of(df, packed=False)
    packed, counts = _rows_of(df, packed=True)
    assert packed == plain
    assert not any(none.values())
    return counts


def _rows_of(df: DataFrame, *, packed: bool) -> tuple[list[str], dict[str, int]]:
    """Return the rows as a worker sees them, as text, and how many values had a block, by column.

    A text holds what Python's equality doesn't tell: -0.0, and that NaN is NaN.
    """
    columns = [df[name] for name in df.columns]
    parts, transport = packed_parts(df, columns, df.schema) if packed else (columns, ())
    numbered = df.select(*(part.alias(f"c{index}") for index, part in enumerate(parts)))
    fields = [t.StructField("row", t.StringType()), t.StructField("blocks", t.BinaryType())]
    seen = map_in_arrow(numbered, _describe(transport, len(df.columns)), fields).collect()
    counts = {
        name: sum(row["blocks"][index] for row in seen) for index, name in enumerate(df.columns)
    }
    return sorted(row["row"] for row in seen), counts


def _describe(transport: Transport, width: int) -> Callable[[Any], Iterator[pa.RecordBatch]]:
    def describe(batches: Any) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            part, masks = 0, []
            for index in range(width):
                is_packed = bool(transport) and transport[index]
                column = batch.column(part)
                masks.append([is_packed and value.is_valid for value in column])
                part += 2 if is_packed else 1
            table = unpacker(transport)(batch)
            table.validate(full=True)
            rows = [repr((str(table.schema.types), *row.values())) for row in table.to_pylist()]
            blocks = [bytes(row) for row in zip(*masks, strict=True)]
            yield pa.RecordBatch.from_pydict({"c0": rows, "c1": pa.array(blocks, pa.binary())})

    return describe
