"""How names and types are written in messages."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cases.contracts import IMAGE, PAIRS, VECTOR, N, array, dense, ragged, sparse, unknown_rank
from tf2spark.binding.messages import did_you_mean, input_text, is_vector, row_text, type_text
from tf2spark.dtypes import FLOAT32, STRING, Shape


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("user_ID", ["user_id", "age"], 'did you mean "user_id"?'),
        ("featurs", ["features", "feature"], 'did you mean "features" or "feature"?'),
        ("x", ["label"], 'the columns are "label"'),
        ("x", [], "there is no column"),
        (
            "x",
            [f"col{i}" for i in range(14)],
            "the columns are " + ", ".join(f'"col{i}"' for i in range(12)) + " and 2 more",
        ),
    ],
)
def test_near_names_or_all_of_them(name: str, known: list[str], text: str) -> None:
    """Near names are suggested whatever their case; else the first twelve are listed."""
    assert did_you_mean(name, known, label="column") == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pa.int8(), "tinyint"),
        (pa.int16(), "smallint"),
        (pa.int32(), "int"),
        (pa.int64(), "bigint"),
        (pa.uint8(), "uint8"),
        (pa.float32(), "float"),
        (pa.float64(), "double"),
        (pa.bool_(), "boolean"),
        (pa.string(), "string"),
        (pa.large_string(), "string"),
        (pa.string_view(), "string"),
        (pa.large_binary(), "binary"),
        (pa.null(), "void"),
        (pa.date32(), "date"),
        (pa.timestamp("us", "Europe/Berlin"), "timestamp"),
        (pa.timestamp("ns"), "timestamp_ntz"),
        (pa.decimal128(10, 2), "decimal(10,2)"),
        (pa.dictionary(pa.int8(), pa.string()), "string"),
        (array(pa.float32(), depth=2), "array<array<float>>"),
        (pa.list_(pa.int64(), 3), "array<bigint>"),
        (pa.large_list(pa.int64()), "array<bigint>"),
        (pa.list_view(pa.int64()), "array<bigint>"),
        (pa.map_(pa.string(), pa.float64()), "map<string, double>"),
        (VECTOR, "vector"),
        (PAIRS, "struct<indices: array<int>, values: array<float>>"),
    ],
)
def test_types_are_written_as_spark_writes_them(kind: pa.DataType, text: str) -> None:
    """A user of Spark knows the type at sight; one that Spark lacks keeps Arrow's name."""
    assert type_text(kind) == text


def test_inputs_are_written_with_kind_dtype_and_shape() -> None:
    """A message names all that must fit; a dense input goes without its kind."""
    assert input_text(dense(FLOAT32, N, 8)) == 'input "x" (float32 [None, 8])'
    assert input_text(unknown_rank(STRING)) == 'input "x" (string unknown_rank)'
    assert input_text(sparse()) == 'input "x" (sparse float32 [None, 10])'
    assert input_text(ragged(N, N)) == 'input "x" (ragged int64 [None, None])'


@pytest.mark.parametrize(
    ("dims", "text"),
    [
        (None, "anything"),
        ((), "one value per row"),
        ((8,), "8 values per row"),
        ((N,), "a list per row"),
        ((2, N), "values of shape [2, None] per row"),
    ],
)
def test_rows_are_described_in_words(dims: Shape, text: str) -> None:
    """What an input takes for one row needs no reading of shapes in the usual cases."""
    assert row_text(dims) == text


def test_only_mllibs_vector_is_a_vector() -> None:
    """The four fields of VectorUDT in their order, nothing like it."""
    assert is_vector(VECTOR)
    assert not is_vector(PAIRS)
    assert not is_vector(IMAGE)
    assert not is_vector(pa.int8())
