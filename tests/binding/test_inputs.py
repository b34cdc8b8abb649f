"""Columns held against inputs: their types, and the forms of sparse and ragged inputs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from cases.contracts import (
    IMAGE,
    PAIRS,
    VECTOR,
    N,
    array,
    dense,
    ragged,
    sparse,
    unknown_rank,
)
from tf2spark.binding.feeds import Column, as_feed, assembled, literal, padded
from tf2spark.binding.inputs import plan_input
from tf2spark.dtypes import BOOL, FLOAT32, FLOAT64, INT32, INT64, STRING, DType, from_code
from tf2spark.errors import ContractError
from tf2spark.plan.score import InputPlan, Source
from tf2spark.saved_model.contract import TensorSpec

USER = pa.struct([("age", pa.int32()), ("zip", pa.string()), ("home", pa.string())])
SCHEMA = pa.schema(
    [
        ("s", pa.string()),
        ("f", pa.float32()),
        ("d", pa.float64()),
        ("i", pa.int32()),
        ("b", pa.bool_()),
        ("dec", pa.decimal128(10, 2)),
        ("day", pa.date32()),
        ("at", pa.timestamp("us", "UTC")),
        ("at_ntz", pa.timestamp("us")),
        ("bytes", pa.binary()),
        ("fs", array(pa.float32())),
        ("ffs", array(pa.float32(), depth=2)),
        ("ss", array(pa.string())),
        ("days", array(pa.date32())),
        ("v", VECTOR),
        ("w", VECTOR),
        ("p", PAIRS),
        ("m", pa.map_(pa.int64(), pa.float64())),
        ("by_name", pa.map_(pa.string(), pa.float64())),
        ("user", USER),
        ("users", array(USER)),
        ("maps", array(pa.map_(pa.int64(), pa.float64()))),
        ("user.name", pa.string()),
        ("img", IMAGE),
        ("dup", pa.int32()),
        ("dup", pa.int32()),
        ("nothing", pa.null()),
        ("empty", pa.struct([])),
    ]
)


def message_of(spec: TensorSpec, feed: Any) -> str:
    with pytest.raises(ContractError) as refused:
        plan_input(spec, as_feed(feed), SCHEMA)
    return str(refused.value)


@pytest.mark.parametrize(
    ("column", "kind", "advice"),
    [
        ("s", "string", 'df = df.withColumn("s", F.split(df["s"], ",").cast("array<float>"))'),
        ("user.name", "string", 'F.split(df["`user.name`"], ",").cast("array<float>"))'),
        ("bytes", "binary", "or one column of lists"),
        ("b", "boolean", "or one column of lists"),
    ],
)
def test_a_column_of_single_values_is_not_cast_for_rows_of_several(
    column: str, kind: str, advice: str
) -> None:
    """A cast wouldn't be enough; text may have all values of a row."""
    message = message_of(dense(FLOAT32, N, 3), column)
    assert message.startswith(
        f'input "x" (float32 [None, 3]) can\'t take column "{column}" ({kind}): its values are '
        f"{kind} and the input takes float32, 3 values per row; name a column for each value, "
    )
    assert advice in message
    assert ".cast(" not in message or kind == "string"
    # Columns that are joined are cast one by one.
    assert f'"{column}", df[' in message_of(dense(FLOAT32, N, 3), [column, "f", "f"])


@pytest.mark.parametrize(
    ("dtype", "column", "kind", "values", "cast"),
    [
        (FLOAT32, "s", "string", "string", 'df["s"].cast("float")'),
        (FLOAT64, "s", "string", "string", 'df["s"].cast("double")'),
        (INT32, "f", "float", "float", 'df["f"].cast("int")'),
        (INT64, "d", "double", "double", 'df["d"].cast("bigint")'),
        (FLOAT32, "b", "boolean", "boolean", 'df["b"].cast("float")'),
        (BOOL, "f", "float", "float", 'df["f"].cast("boolean")'),
        (BOOL, "i", "int", "int", 'df["i"].cast("boolean")'),
        (STRING, "i", "int", "int", 'df["i"].cast("string")'),
        (FLOAT32, "dec", "decimal(10,2)", "decimal(10,2)", 'df["dec"].cast("float")'),
        (INT64, "dec", "decimal(10,2)", "decimal(10,2)", 'df["dec"].cast("bigint")'),
        (FLOAT32, "day", "date", "date", 'F.unix_date(df["day"])'),
        (INT64, "at", "timestamp", "timestamp", 'df["at"].cast("bigint")'),
        (FLOAT64, "at_ntz", "timestamp_ntz", "timestamp_ntz",
            'df["at_ntz"].cast("timestamp").cast("double")'),
        (INT32, "bytes", "binary", "binary", 'df["bytes"].cast("string").cast("int")'),
        (FLOAT32, "ss", "array<string>", "string", 'df["ss"].cast("array<float>")'),
        (FLOAT32, "days", "array<date>", "date", 'F.transform(df["days"], F.unix_date)'),
        (INT64, "v", "vector", "double", 'vector_to_array(df["v"]).cast("array<bigint>")'),
        (INT64, "v.values", "vector", "double", 'vector_to_array(df["v"]).cast("array<bigint>")'),
        (INT64, "m", "map<bigint, double>", "double",
            'F.transform_values(df["m"], lambda _, value: value.cast("bigint"))'),
        (INT64, "p", "struct<indices: array<int>, values: array<float>>", "float",
            'df["p"].withField("values", df["p.values"].cast("array<bigint>"))'),
        (FLOAT32, "user.name", "string", "string", 'df["`user.name`"].cast("float")'),
    ],
)  # fmt: skip
def test_values_of_another_kind_are_cast_first(
    dtype: DType, column: str, kind: str, values: str, cast: str
) -> None:
    """A message names input, column, both types and the cast to write."""
    name = column.removesuffix(".values")
    shape = (N,) if kind == values else (N, 8)
    text = "[None]" if kind == values else "[None, 8]"
    assert message_of(dense(dtype, *shape), column) == (
        f'input "x" ({dtype} {text}) can\'t take column "{column}" ({kind}): its values are '
        f"{values} and the input takes {dtype}; cast them first: "
        f'df = df.withColumn("{name}", {cast})'
        + ('; then feed={"x": "v"}' if name != column else "")
    )


def test_cast_of_a_nested_field_is_a_column_of_its_own() -> None:
    """A field can't be replaced in place, so the message makes a column and feeds that."""
    assert message_of(dense(FLOAT32, N), "user.zip") == (
        'input "x" (float32 [None]) can\'t take column "user.zip" (string): its values are string '
        "and the input takes float32; cast them first: "
        'df = df.withColumn("user_zip", df["user.zip"].cast("float")); then feed={"x": "user_zip"}'
    )


@pytest.mark.parametrize(
    ("spec", "feed", "message"),
    [
        (
            dense(FLOAT32, N, 8),
            "user",
            '"user" (struct<age: int, zip: string, home: string>): it is a struct; name one of its '
            'fields: "user.age" or "user.zip" or "user.home"',
        ),
        (
            dense(FLOAT32, N, 8),
            "users",
            '"users" (array<struct<age: int, zip: string, home: string>>): its values are structs; '
            'select one of its fields first: df = df.withColumn("users", df["users.age"])',
        ),
        (dense(FLOAT32, N), "empty", '"empty" (struct<>): it is a struct without fields'),
        (
            dense(FLOAT32, N, N),
            "maps",
            '"maps" (array<map<bigint, double>>): its values are map<bigint, double>, and no '
            "tensor holds those",
        ),
        (
            dense(BOOL, N),
            "at",
            '"at" (timestamp): its values are timestamp and the input takes bool',
        ),
        (
            dense(STRING, N, N),
            "v.indices",
            '"v.indices" (vector): its indices are integers and the input takes string',
        ),
        (
            dense(BOOL, N),
            "v.size",
            '"v.size" (vector): its size is an integer and the input takes bool',
        ),
        *(
            (
                spec,
                column,
                f'"{column}" (map<string, double>): its keys are string, and ids are integers; '
                'F.map_keys(df["by_name"]) and F.map_values(df["by_name"]) are lists',
            )
            for spec, column in (
                (dense(INT64, N, N), "by_name.keys"),
                (dense(STRING, N, N), "by_name.keys"),
                (dense(FLOAT32, N, N), "by_name.values"),
                (dense(FLOAT32, N, 8), "by_name"),
                (sparse(), "by_name"),
            )
        ),
        (dense(from_code(20), N), "i", '"i" (int): nothing can feed resource tensors'),
        (dense(from_code(8), N), "nothing", '"nothing" (void): nothing can feed complex64 tensors'),
    ],
)
def test_columns_that_no_cast_fixes(spec: TensorSpec, feed: str, message: str) -> None:
    """If a cast can't help, the message says what else to write, if there is anything."""
    start, _, rest = message_of(spec, feed).partition(" can't take column ")
    assert start.startswith('input "x" (')
    assert rest == message


def test_image_into_strings_is_its_bytes() -> None:
    """Spark's image struct has its bytes in a field."""
    assert message_of(dense(STRING, N), "img").endswith(
        'an image consists of numbers; its bytes are "img.data"'
    )


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ("fs_", 'the table has no column "fs_"; did you mean "fs" or "ffs"?'),
        ("D", 'the table has no column "D"; did you mean "d"?'),
        ("user.zipp", '"user.zipp" has no field "zipp"; did you mean "zip"?'),
        ("dup", 'the table has 2 columns "dup"; rename all but one'),
        (["f", "g"], 'the table has no column "g"; the columns are "s", "f"'),
        (assembled("v", "ww"), 'the table has no column "ww"; did you mean "w"?'),
        (padded("gs", 0), 'the table has no column "gs"; did you mean "s"?'),
    ],
)
def test_columns_that_arent_there(feed: Any, message: str) -> None:
    """The input that asks for a column is named, whatever form the feed has."""
    text = message_of(dense(FLOAT32, N, 8), feed)
    assert text.startswith('input "x" (float32 [None, 8]): ' + message)


@pytest.mark.parametrize(
    ("dtype", "name", "constant"),
    [
        (FLOAT32, "keep_prob", "1.0"),
        (BOOL, "is_training", "True"),
        (INT32, "steps", "1"),
        (STRING, "lang", 'tf2spark.literal("text")'),
    ],
)
def test_single_value_takes_a_constant(dtype: DType, name: str, constant: str) -> None:
    """No column feeds an input of shape []: the message writes a constant of its dtype."""
    assert message_of(dense(dtype, name=name), "f") == (
        f'input "{name}" ({dtype} []) is one value for the whole batch and takes a constant, not '
        f'column "f"; write feed={{"{name}": {constant}}}, or batch_rows=1 to run the model row '
        "by row"
    )


def test_padding_is_of_the_inputs_kind() -> None:
    """A pad that isn't one of the input's values is refused with what it takes."""
    assert message_of(dense(FLOAT32, N, N), padded("fs", "0")) == (
        "input \"x\" (float32 [None, None]) can't be padded with '0': it takes numbers that "
        "float32 can hold"
    )


def test_plan_of_a_dense_input() -> None:
    """A plan holds all that the worker needs: tensors, dtype, dimensions, and the source."""
    assert plan_input(dense(FLOAT32, N, 8, name="in"), Column("fs"), SCHEMA) == InputPlan(
        "in",
        ("in:0",),
        "dense",
        FLOAT32,
        (8,),
        (Source("fs", 10, (), "list", pa.float32(), depth=1),),
    )


def test_plan_of_a_constant_has_no_source() -> None:
    """A constant needs no column, and so no table."""
    assert plan_input(dense(STRING), literal("en"), pa.schema([])) == InputPlan(
        "x", ("x:0",), "constant", STRING, value="en"
    )


def test_plan_of_assembled_halves() -> None:
    """The ids of joined vectors feed an integer input though the vectors' values are doubles."""
    feed = padded(assembled("v", "w").indices, -1)
    plan = plan_input(dense(INT32, N, N), feed, SCHEMA)
    assert (plan.form, plan.assembled, plan.part, plan.pad) == ("padded", True, "indices", -1)
    assert [source.label for source in plan.sources] == ["v", "w"]


def test_ids_of_assembled_vectors_are_integers() -> None:
    """They can't feed strings."""
    assert message_of(dense(STRING, N, N), assembled("v", "w").indices) == (
        'input "x" (string [None, None]) can\'t take assembled(v, w).indices: its indices are '
        "integers and the input takes string"
    )


SPARSE = 'input "x" (sparse float32 [None, 10])'
ANY_OF = " takes a vector, a map, a struct of indices and values, a list or a single value, but "


@pytest.mark.parametrize("feed", ["v", "m", "p", "fs", assembled("v", "w"), assembled("v", "f")])
def test_sparse_inputs_take_sparse_rows(feed: Any) -> None:
    """Vectors, maps, pairs, lists and joined vectors stay sparse."""
    plan = plan_input(sparse(), as_feed(feed), SCHEMA)
    assert (plan.form, plan.dims) == ("sparse", (10,))
    assert plan.tensors == ("indices:0", "values:0", "shape:0")
    assert plan.assembled is not isinstance(feed, str)


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ("ffs", ANY_OF + '"ffs" is array<array<float>>'),
        ("img", ANY_OF + '"img" is an image'),
        ("v.indices", ANY_OF + '"v.indices" is the indices of a vector'),
        (
            ["v", "w"],
            ' takes one column; join vectors with feed={"x": tf2spark.assembled("v", "w")}',
        ),
        (
            assembled("v", "w").indices,
            " takes the whole vector, not assembled(v, w).indices; write "
            'feed={"x": tf2spark.assembled("v", "w")}',
        ),
        (padded("v", 0), ' takes rows of any length; write feed={"x": "v"}'),
        (1.0, ' can\'t take a constant; feed a column: feed={"x": "COLUMN"}'),
    ],
)
def test_what_a_sparse_input_cant_take(feed: Any, message: str) -> None:
    """Halves of vectors, nested lists, pads and constants are no sparse row."""
    assert message_of(sparse(), feed) == SPARSE + message


def test_sparse_input_of_another_rank() -> None:
    """Only rows of one dimension can be sparse."""
    assert message_of(sparse((N, 3, 3)), "v") == (
        'input "x" (sparse float32 [None, 3, 3]): only sparse inputs of rank 2, [batch, size], '
        "can be fed"
    )


def test_sparse_input_of_unknown_shape() -> None:
    """If the signature gives no shape, rows keep their own width."""
    assert plan_input(sparse(None), Column("v"), SCHEMA).dims == (N,)


@pytest.mark.parametrize(
    ("spec", "column", "dims", "levels"),
    [
        (ragged(N, N, dtype=FLOAT32), "fs", (N,), 1),
        (ragged(N, N, N, dtype=FLOAT32, levels=2), "ffs", (N, N), 2),
        (ragged(N, N, 4, dtype=FLOAT32), "ffs", (N, 4), 1),
        (ragged(N, N, dtype=STRING), "ss", (N,), 1),
    ],
)
def test_ragged_inputs_take_lists_unchanged(
    spec: TensorSpec, column: str, dims: tuple[int | None, ...], levels: int
) -> None:
    """A list column feeds values and row splits; inner dimensions may be fixed."""
    plan = plan_input(spec, Column(column), SCHEMA)
    assert (plan.form, plan.dims, plan.ragged_levels) == ("ragged", dims, levels)
    assert plan.splits_dtype == INT64


@pytest.mark.parametrize(
    ("spec", "feed", "message"),
    [
        (ragged(N, N), "i", 'takes one column of type array<bigint>, but "i" is int'),
        (ragged(N, N), ["i", "i"], "takes one column of type array<bigint>, not [i, i]"),
        (
            ragged(N, N),
            "v.indices",
            'takes one column of type array<bigint>, but "v.indices" is the indices of a vector',
        ),
        (
            ragged(N, N, N, dtype=FLOAT32, levels=2),
            "fs",
            'takes one column of type array<array<float>>, but "fs" is array<float>',
        ),
        (
            ragged(N, N, dtype=FLOAT32),
            "ffs",
            'takes one column of type array<float>, but "ffs" is array<array<float>>',
        ),
        (
            ragged(N, N, dtype=FLOAT32),
            padded("fs", 0),
            'takes rows of any length; write feed={"x": "fs"}',
        ),
    ],
)
def test_what_a_ragged_input_cant_take(spec: TensorSpec, feed: Any, message: str) -> None:
    """The message writes the type of column that it takes."""
    assert message_of(spec, feed).partition(") ")[2] == message


@pytest.mark.parametrize(
    ("spec", "feed"),
    [
        (unknown_rank(STRING), "nothing"),
        (dense(FLOAT32, N, 8), "nothing"),
        (dense(FLOAT32, N, N), ["fs", "nothing"]),
        (sparse(), "nothing"),
        (ragged(N, N), "nothing"),
    ],
)
def test_column_of_nulls_is_planned(spec: TensorSpec, feed: Any) -> None:
    """A column of nothing but nulls fits any input: the mode decides about its rows."""
    plan = plan_input(spec, as_feed(feed), SCHEMA)
    assert [(source.label, source.leaf) for source in plan.sources] == [("nothing", pa.null())]
