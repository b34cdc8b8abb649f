from __future__ import annotations

import pyarrow as pa
import pytest

from tf2spark.worker.reading.parquet_types import schema_mismatch

_IDS = pa.schema([("id", pa.int64())])


@pytest.mark.parametrize(
    ("kind", "wanted", "fits"),
    [
        (pa.int32(), pa.int32(), True),
        (pa.int32(), pa.int64(), False),
        (pa.uint8(), pa.int16(), False),
        (pa.float32(), pa.float64(), False),
        (pa.binary(), pa.string(), False),
        (pa.timestamp("us"), pa.int64(), False),
        (pa.list_(pa.field("x", pa.int8(), False)), pa.list_(pa.int8()), True),
        (pa.list_(pa.list_(pa.int8())), pa.list_(pa.int8()), False),
        (pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int8()), ("b", pa.int8())]), False),
        (pa.struct([("a", pa.int8())]), pa.struct([("A", pa.int8())]), False),
        (pa.dictionary(pa.int8(), pa.large_string()), pa.string(), True),
    ],
)
def test_only_the_same_type_fits(kind: pa.DataType, wanted: pa.DataType, fits: bool) -> None:
    """A type fits if only its layout differs, and is refused if its values would change."""
    problem = schema_mismatch(pa.schema([("x", kind)]), pa.schema([("x", wanted)]))
    assert (problem is None) == fits
    assert fits or (str(kind) in str(problem) and str(wanted) in str(problem))


def test_names_that_differ_in_case_do_not_fit() -> None:
    """What they mean depends on the Spark session; two of them are ambiguous."""
    ids = pa.field("ID", pa.int64())
    assert schema_mismatch(pa.schema([ids]), _IDS) == 'for the column "id" it has "ID"'
    assert schema_mismatch(pa.schema([ids, *_IDS]), _IDS) == 'for the column "id" it has "ID", "id"'
    assert schema_mismatch(pa.schema([("other", pa.string())]), _IDS) is None
