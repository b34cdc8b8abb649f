"""Random tables, filters and projections: workers read what Spark reads, bit for bit, in order."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import shutil
import struct
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cases.parquet_tables import settings as spark_settings
from tf2spark.spark.jvm.queries import collect_arrow
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.spark.scan.parquet_scan import plan_scan
from tf2spark.worker.reading.parquet_reader import read_batches
from tf2spark.worker.reading.parquet_types import with_zone

_UTC = dt.UTC
_TIMES = [
    dt.datetime(1, 1, 1), dt.datetime(1582, 10, 14, 23, 59), dt.datetime(1899, 12, 31, 1, 2, 3),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), dt.datetime(2026, 3, 29, 2, 30),
    dt.datetime(2026, 11, 1, 8, 30, 0, 1), dt.datetime(9999, 12, 31),
]  # fmt: skip
_INSTANTS = [time.replace(tzinfo=_UTC) for time in _TIMES]
_FLOATS = [math.nan, -0.0, 0.0, 1.5, -1.5, math.inf, -math.inf, 2.0**-149]
_STRINGS = ["", "a", "ab", "a%_\\", "b'", "ä", "a\0b", "𝄞", "~", "z" * 80]


def _integers(bits: int) -> list[int]:
    return [-(2 ** (bits - 1)), -1, 0, 1, 7, 2 ** (bits - 1) - 1]


# By Spark's name: the type in a file, and values.
_SIMPLE: dict[str, tuple[pa.DataType, list[Any]]] = {
    "boolean": (pa.bool_(), [True, False]),
    "tinyint": (pa.int8(), _integers(8)),
    "smallint": (pa.int16(), _integers(16)),
    "int": (pa.int32(), _integers(32)),
    "bigint": (pa.int64(), _integers(64)),
    "float": (pa.float32(), _FLOATS),
    "double": (pa.float64(), [*_FLOATS, 5e-324]),
    "string": (pa.string(), _STRINGS),
    "binary": (pa.binary(), [b"", b"a", b"a\x7f", b"a\x80", b"\xff"]),
    "date": (pa.date32(), [time.date() for time in _TIMES]),
    "timestamp": (pa.timestamp("us", "UTC"), _INSTANTS),
    "timestamp_ntz": (pa.timestamp("us"), _TIMES),
    "decimal(5,2)": (pa.decimal128(5, 2), [Decimal(text) for text in ("-999.99", "0", "1.5")]),
    "decimal(18,3)": (pa.decimal128(18, 3), [Decimal(text) for text in ("-1", "0", "1.5")]),
    "decimal(38,10)": (pa.decimal128(38, 10), [Decimal(text) for text in ("-1e20", "0", "1.5")]),
}
_PAIR = pa.struct([("a", pa.int32()), ("b", pa.timestamp("us", "UTC"))])
_NESTED: dict[str, tuple[pa.DataType, list[Any]]] = {
    "array<int>": (pa.list_(pa.int32()), [[], [1, None], [2, 3]]),
    "array<date>": (pa.list_(pa.date32()), [[], [dt.date(2026, 1, 2), None]]),
    "map<string,double>": (
        pa.map_(pa.string(), pa.float64()),
        [[], [("a", math.nan), ("b", None)], [("", -0.0)]],
    ),
    "struct<a:int,b:timestamp>": (
        _PAIR, [{"a": 1, "b": None}, {"a": None, "b": _INSTANTS[4]}, {"a": 2, "b": _INSTANTS[0]}],
    ),
    "array<struct<a:int,b:timestamp>>": (
        pa.list_(_PAIR), [[], [{"a": 1, "b": _INSTANTS[5]}, None]],
    ),
    "map<int,array<decimal(5,2)>>": (
        pa.map_(pa.int32(), pa.list_(pa.decimal128(5, 2))), [[], [(1, [Decimal("1.5"), None])]],
    ),
}  # fmt: skip
_TYPES = {**_SIMPLE, **_NESTED}
_TABLE = "random_scan"
_WRITER_OPTIONS = st.fixed_dictionaries(
    {
        "row_group_size": st.sampled_from([1, 3, 7, 100]),
        "use_dictionary": st.booleans(),
        "store_schema": st.booleans(),
        "write_statistics": st.booleans(),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "use_deprecated_int96_timestamps": st.booleans(),
        "store_decimal_as_integer": st.booleans(),
    }
)


def _literal(kind: str, value: Any) -> str:
    """Return a value in SQL."""
    if kind == "boolean":
        return str(value).lower()
    if kind in ("float", "double"):
        text = f"{value!r}".replace("inf", "Infinity")
        return f"{kind}('{text}')"
    if kind == "string":
        return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
    if kind == "binary":
        return f"X'{value.hex()}'"
    if kind == "timestamp":
        return f"TIMESTAMP'{value:%Y-%m-%d %H:%M:%S.%f}Z'".replace("'1-", "'0001-")
    return f"CAST('{value}' AS {kind})"


@st.composite
def _tables(draw: st.DrawFn) -> dict[str, Any]:
    kinds = draw(st.lists(st.sampled_from(list(_TYPES)), min_size=1, max_size=5))
    rows = draw(st.integers(0, 25))
    columns = {}
    for number, kind in enumerate(kinds):
        values = st.sampled_from([*_TYPES[kind][1], None])
        columns[f"c{number}"] = (kind, draw(st.lists(values, min_size=rows, max_size=rows)))
    simple = [name for name, (kind, _) in columns.items() if kind in _SIMPLE]
    return {
        "columns": columns,
        "files": draw(st.integers(1, 3)),
        "options": draw(_WRITER_OPTIONS),
        "by_spark": draw(st.sampled_from(["", "path", "table", "view"])),
        "timestamps": draw(st.sampled_from(["INT96", "TIMESTAMP_MICROS", "TIMESTAMP_MILLIS"])),
        "partition_by": draw(
            st.lists(
                st.sampled_from([n for n in simple if columns[n][0] not in ("binary", "float")]),
                max_size=2,
                unique=True,
            )
        )
        if any(columns[name][0] not in ("binary", "float") for name in simple)
        else [],
        "rows": list(range(rows)),
    }


@st.composite
def _conditions(draw: st.DrawFn, columns: dict[str, tuple[str, list[Any]]], depth: int = 3) -> str:
    if depth and draw(st.booleans()):
        word = draw(st.sampled_from(["AND", "OR", "NOT"]))
        first = draw(_conditions(columns, depth - 1))
        if word == "NOT":
            return f"(NOT {first})"
        return f"({first} {word} {draw(_conditions(columns, depth - 1))})"
    name = draw(st.sampled_from(list(columns)))
    kind = columns[name][0]
    if kind in _NESTED or draw(st.integers(0, 4)) == 0:
        return f"({name} IS {draw(st.sampled_from(['', 'NOT ']))}NULL)"
    values = _SIMPLE[kind][1]
    if kind == "string" and draw(st.booleans()):
        word = draw(st.sampled_from(["startswith", "endswith", "contains"]))
        return f"{word}({name}, {_literal(kind, draw(st.sampled_from(values)))})"
    if draw(st.integers(0, 3)) == 0:
        listed = draw(st.lists(st.sampled_from(values), min_size=1, max_size=12))
        texts = [_literal(kind, value) for value in listed]
        texts += draw(st.sampled_from([[], ["NULL"]]))
        return f"({name} {draw(st.sampled_from(['', 'NOT ']))}IN ({', '.join(texts)}))"
    operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "<=>"]))
    text = _literal(kind, draw(st.sampled_from(values)))
    return f"({name} {operator} {text})"


@st.composite
def _queries(draw: st.DrawFn) -> dict[str, Any]:
    table = draw(_tables())
    columns = table["columns"] | {"n": ("int", [0])}
    chosen = draw(st.lists(st.sampled_from(list(columns)), min_size=1, max_size=4, unique=True))
    names = [draw(st.sampled_from([name, f"x{index}"])) for index, name in enumerate(chosen)]
    where = draw(st.none() | _conditions(columns))
    return {"table": table, "chosen": chosen, "names": names, "where": where}


def _write(spark: SparkSession, folder: Path, table: dict[str, Any]) -> DataFrame:
    columns, rows = table["columns"], table["rows"]
    schema = [("n", pa.int32())] + [(name, _TYPES[kind][0]) for name, (kind, _) in columns.items()]
    arrow = pa.table(
        {"n": rows} | {name: values for name, (_, values) in columns.items()},
        schema=pa.schema(schema),
    )
    options = dict(table["options"])
    files, written = table["files"], folder / "written"
    written.mkdir()
    for number in range(files):
        part = arrow.slice(number * len(rows) // files, len(rows) // files + 1)
        pq.write_table(part, written / f"part-{number}.parquet", **options)
    ddl = ", ".join(["n int", *(f"{name} {kind}" for name, (kind, _) in columns.items())])
    frame = spark.read.schema(ddl).parquet(str(written))
    if not table["by_spark"]:
        return frame
    writer = frame.coalesce(2).write.partitionBy(*table["partition_by"])
    if table["by_spark"] == "path":
        writer.parquet(str(folder / "by_spark"))
        return spark.read.schema(ddl).parquet(str(folder / "by_spark"))
    writer.option("path", str(folder / "by_spark")).saveAsTable(_TABLE)
    if table["by_spark"] == "view":
        # Its columns have the names of others in the table.
        old = ["n", *columns]
        new = [*columns, "n"]
        listed = ", ".join(f"{a} AS x_{b}" for a, b in zip(old, new, strict=True))
        spark.sql(f"CREATE VIEW {_TABLE}_view AS SELECT {listed} FROM {_TABLE}")
        back = (f"x_{b} AS {a}" for a, b in zip(old, new, strict=True))
        return spark.table(f"{_TABLE}_view").selectExpr(*back)
    return spark.table(_TABLE)


def _bits(value: Any) -> Any:
    """Return a value such that equal means the same bits; any NaN is NaN."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, (list, tuple)):
        return [_bits(item) for item in value]
    if isinstance(value, dict):
        return {name: _bits(item) for name, item in value.items()}
    return value


def _rows(columns: list[pa.ChunkedArray]) -> list[Any]:
    """Return rows, with times in UTC: Python can't show the first year in some other zones."""
    in_utc = [column.cast(with_zone(column.type, "UTC")) for column in columns]
    return list(zip(*(_bits(column.to_pylist()) for column in in_utc), strict=True))


_seen: Counter[str] = Counter()


@pytest.mark.parametrize("zone", ["America/Los_Angeles"])
@settings(max_examples=25, suppress_health_check=list(HealthCheck), derandomize=True)
@given(query=_queries())
def test_random_scans_are_read_as_spark_reads_them(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, zone: str, query: dict[str, Any]
) -> None:
    """Rows, their order and their partitions, in a session of another time zone."""
    folder = tmp_path_factory.mktemp("scan")
    conf = {
        "spark.sql.session.timeZone": zone,
        "spark.sql.files.maxPartitionBytes": "3000",
        "spark.sql.files.openCostInBytes": "0",
        "spark.sql.parquet.outputTimestampType": query["table"]["timestamps"],
    }
    try:
        with spark_settings(spark, conf):
            _compare(spark, _write(spark, folder, query["table"]), query)
    finally:
        spark.sql(f"DROP VIEW IF EXISTS {_TABLE}_view")
        spark.sql(f"DROP TABLE IF EXISTS {_TABLE}")
        shutil.rmtree(folder)


def _compare(spark: SparkSession, frame: DataFrame, query: dict[str, Any]) -> None:
    if query["where"] is not None:
        frame = frame.where(query["where"])
    frame = frame.select(
        *(
            F.col(column).alias(name)
            for column, name in zip(query["chosen"], query["names"], strict=True)
        )
    )
    try:
        tasks = plan_scan(frame, 4, verify=True).tasks
    except NotReadable as reason:
        _seen[str(reason)] += 1
        return
    _seen["read"] += 1
    by_worker: list[Any] = []
    for number, task in enumerate(tasks):
        batches = list(read_batches(task))
        if batches:
            read = pa.Table.from_batches(batches)
            by_worker += [(*row, number) for row in _rows(read.columns)]
    by_spark = collect_arrow(frame.select("*", F.spark_partition_id().alias("partition")))
    assert by_worker == _rows(by_spark.columns)
    # Spark gives timestamps UTC where it collects them, and the session's zone for `mapInArrow`.
    types = [str(with_zone(field.type, "UTC")) for field in by_spark.schema][:-1]
    for task in tasks:
        for batch in read_batches(task):
            assert [str(with_zone(kind, "UTC")) for kind in batch.schema.types] == types


_FLOAT_FILES: dict[str, list[list[float | None]]] = {
    "plain": [[1.0, 7.0], [-1.0, None], [None]],
    "odd": [[math.nan, 1.0], [-0.0, -0.0], [0.0, -1.0], [None, math.nan, 9.0]],
    "by_spark": [[math.nan, -0.0, -1.0]],
}


@pytest.mark.parametrize("name", _FLOAT_FILES)
def test_filters_of_floats_have_the_rows_that_spark_finds(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    """Parquet's reader skips some rows that pass, by statistics and dictionaries."""
    path, kind = str(tmp_path / "t.parquet"), pa.schema([("x", pa.float64())])
    with pq.ParquetWriter(path, kind, write_page_index=True) as writer:
        for values in _FLOAT_FILES[name]:
            writer.write_table(pa.table([values], schema=kind))
    df = spark.read.parquet(path)
    if name == "by_spark":
        df.coalesce(1).write.parquet(str(tmp_path / "by_spark"))
        df = spark.read.parquet(str(tmp_path / "by_spark"))
    by_workers = 0
    for operator, value in itertools.product(["=", "<=", ">"], ["5", "0", "-0", "NaN"]):
        frame = df.where(f"x {operator} double('{value}')")
        try:
            tasks = plan_scan(frame, 4, verify=True).tasks
        except NotReadable:
            continue
        by_workers += 1
        batches = [batch for task in tasks for batch in read_batches(task)]
        found = [_bits(x) for batch in batches for x in batch.column(0).to_pylist()]
        assert found == [_bits(row.x) for row in frame.collect()], (operator, value)
    assert by_workers > 1


def test_most_random_scans_were_read_by_workers() -> None:
    """The test before compares something: only few of its queries are left to Spark."""
    print("\n".join(map(str, _seen.items())))
    assert _seen["read"] > 0.6 * sum(_seen.values())
