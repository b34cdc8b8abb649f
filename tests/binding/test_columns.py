"""Columns and nested fields, looked up in a table's schema."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cases.contracts import IMAGE, PAIRS, SIZED, VECTOR, array
from tf2spark.binding.columns import has_size, resolve, type_of
from tf2spark.binding.feeds import Column
from tf2spark.errors import ContractError
from tf2spark.plan.score import Source

USER = pa.struct([("age", pa.int32()), ("home", pa.struct([("zip", pa.string())])), ("v", VECTOR)])
TEXT_IDS = pa.struct([("indices", array(pa.string())), ("values", array(pa.float32()))])
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("user", USER),
        ("user.age", pa.float64()),
        ("fs", array(pa.float32(), depth=2)),
        ("fixed", pa.large_list(pa.list_(pa.int32(), 3))),
        ("v", VECTOR),
        ("p", PAIRS),
        ("sized", SIZED),
        ("text_ids", TEXT_IDS),
        ("m", pa.map_(pa.int64(), pa.float64())),
        ("img", IMAGE),
        ("coded", pa.dictionary(pa.int32(), pa.large_string())),
        ("coded_list", array(pa.dictionary(pa.int32(), pa.string()))),
        ("uuid", pa.uuid()),
        ("dup", pa.int32()),
        ("dup", pa.int32()),
        ("twice", pa.struct([("a", pa.int32()), ("a", pa.int32())])),
    ]
)


@pytest.mark.parametrize(
    "source",
    [
        Source("id", 0, (), "list", pa.int64()),
        Source("user.home.zip", 1, ("home", "zip"), "list", pa.string()),
        Source("user.v.indices", 1, ("v",), "vector", pa.int64(), part="indices"),
        Source("user.age", 2, (), "list", pa.float64()),
        Source("fs", 3, (), "list", pa.float32(), depth=2),
        Source("fixed", 4, (), "list", pa.int32(), depth=2),
        Source("v", 5, (), "vector", pa.float64()),
        Source("v.values", 5, (), "vector", pa.float64(), part="values"),
        Source("v.size", 5, (), "vector", pa.int64(), part="size"),
        Source("p", 6, (), "pairs", pa.float32()),
        Source("p.ids", 6, (), "pairs", pa.int64(), part="indices"),
        Source("sized.size", 7, (), "pairs", pa.int64(), part="size"),
        Source("text_ids.indices", 8, ("indices",), "list", pa.string(), depth=1),
        Source("m", 9, (), "map", pa.float64()),
        Source("m.keys", 9, (), "map", pa.int64(), part="indices"),
        Source("img", 10, (), "image", pa.uint8()),
        Source("img.data", 10, ("data",), "list", pa.binary()),
        Source("coded", 11, (), "list", pa.large_string()),
        Source("coded_list", 12, (), "list", pa.string(), depth=1),
        Source("uuid", 13, (), "list", pa.binary(16)),
    ],
    ids=lambda source: source.label,
)
def test_columns_are_found_with_their_layout(source: Source) -> None:
    """A path leads to values; a column whose name has dots comes before a nested field."""
    assert resolve(Column(source.label), SCHEMA, "") == source


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("ID", ': the table has no column "ID"; did you mean "id"?'),
        ("users.age", ': the table has no column "users.age"; did you mean "user.age" or "user"?'),
        ("", ': the table has no column ""; the columns are "id", "user"'),
        ("dup", ': the table has 2 columns "dup"; rename all but one'),
        ("twice.a", ': "twice.a" has 2 fields "a"; rename all but one'),
        ("user.hme", ': "user.hme" has no field "hme"; did you mean "home"?'),
        ("v.index", ': "v.index" has no field "index"; did you mean "indices"?'),
        ("id.x", ': "id.x": bigint has no field "x"'),
        (
            "fs.indices",
            ': "fs.indices": array<array<float>> has no field "indices"; '
            "vectors, maps and structs of indices and values have .indices",
        ),
        (
            "m.a",
            ': "m.a": map<bigint, double> has no field "a"; a map has .keys and .values',
        ),
        ("m.size", ': "m.size": map<bigint, double> has no size'),
        ("p.size", ': "p.size": struct<indices: array<int>, values: array<float>> has no size'),
    ],
)
def test_what_isnt_there_is_named(path: str, problem: str) -> None:
    """A message says what was looked for, where, and what is there instead."""
    with pytest.raises(ContractError) as refused:
        resolve(Column(path), SCHEMA, 'input "x" (float32 [None])')
    assert str(refused.value).startswith('input "x" (float32 [None])' + problem)


@pytest.mark.parametrize(
    "kind",
    [
        TEXT_IDS,
        pa.struct([("indices", pa.int32()), ("values", array(pa.float32()))]),
        pa.struct([("indices", array(pa.int32())), ("values", array(pa.float32(), depth=2))]),
        pa.struct([*PAIRS, ("size", pa.string())]),
        pa.struct([*PAIRS, ("label", pa.int32())]),
    ],
)
def test_a_struct_that_is_no_sparse_row_is_a_struct(kind: pa.DataType) -> None:
    """Only integer indices with flat values, and an integer size, make a sparse row."""
    source = resolve(Column("s.indices"), pa.schema([("s", kind)]), "")
    assert (source.layout, source.fields, source.part) == ("list", ("indices",), None)


def test_type_of_a_path_is_the_fields_own() -> None:
    """The type is that of the field, without dictionary or extension around it."""
    assert type_of(resolve(Column("user.home.zip"), SCHEMA, ""), SCHEMA) == pa.string()
    assert type_of(resolve(Column("user.v.indices"), SCHEMA, ""), SCHEMA) == VECTOR
    assert type_of(resolve(Column("coded"), SCHEMA, ""), SCHEMA) == pa.large_string()


@pytest.mark.parametrize(
    ("path", "expected"), [("v", True), ("sized", True), ("p", False), ("m", False), ("fs", True)]
)
def test_maps_and_bare_pairs_have_no_size(path: str, expected: bool) -> None:
    """A vector has a size, a struct of pairs may have one, a map never does."""
    source = resolve(Column(path), SCHEMA, "")
    assert has_size(source, type_of(source, SCHEMA)) is expected
