"""Columns held against the dimensions of a dense input's rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from cases.contracts import IMAGE, PAIRS, SIZED, VECTOR, N, array, dense, unknown_rank
from tf2spark.binding.feeds import as_feed, assembled, padded
from tf2spark.binding.inputs import plan_input
from tf2spark.dtypes import FLOAT32, INT32, INT64, UINT8
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import TensorSpec

SCHEMA = pa.schema(
    [
        ("f", pa.float32()),
        ("g", pa.float64()),
        ("i", pa.int32()),
        ("fs", array(pa.float32())),
        ("ffs", array(pa.float32(), depth=2)),
        ("fix3", pa.list_(pa.float32(), 3)),
        ("fix23", pa.list_(pa.list_(pa.float32(), 3), 2)),
        ("v", VECTOR),
        ("w", VECTOR),
        ("p", PAIRS),
        ("sized", SIZED),
        ("m", pa.map_(pa.int64(), pa.float64())),
        ("img", IMAGE),
    ]
)
FLAT, EIGHT, LISTS = dense(FLOAT32, N), dense(FLOAT32, N, 8), dense(FLOAT32, N, N)
TWO_THREE, NESTED = dense(FLOAT32, N, 2, 3), dense(FLOAT32, N, N, N)
IDS, ANY = dense(INT64, N, N), unknown_rank(FLOAT32)


@pytest.mark.parametrize(
    ("spec", "feed", "form", "dims"),
    [
        (FLAT, "f", "dense", ()),
        (dense(FLOAT32, N, 1), "f", "dense", (1,)),
        (LISTS, "f", "dense", (N,)),
        (EIGHT, "fs", "dense", (8,)),
        (LISTS, "fs", "dense", (N,)),
        (dense(FLOAT32, N, 3), "fix3", "dense", (3,)),
        (NESTED, "ffs", "dense", (N, N)),
        (TWO_THREE, "ffs", "dense", (2, 3)),
        (TWO_THREE, "fix23", "dense", (2, 3)),
        (TWO_THREE, "fs", "dense", (2, 3)),
        (EIGHT, "v", "dense", (8,)),
        (LISTS, "v", "dense", (N,)),
        (TWO_THREE, "v", "dense", (2, 3)),
        (EIGHT, "m", "dense", (8,)),
        (EIGHT, "p", "dense", (8,)),
        (LISTS, "sized", "dense", (N,)),
        (dense(INT32, N), "v.size", "dense", ()),
        (dense(UINT8, N, 28, 28, 3), "img", "dense", (28, 28, 3)),
        (dense(FLOAT32, N, N, N, 3), "img", "dense", (N, N, 3)),
        (dense(FLOAT32, N, 3), ["f", "g", "i"], "dense", (3,)),
        (dense(FLOAT32, N, 4), ["fix3", "v.size"], "dense", (4,)),
        (EIGHT, ["v", "f"], "dense", (8,)),
        (EIGHT, ["fs", "fs"], "dense", (8,)),
        (NESTED, ["ffs", "ffs"], "dense", (N, N)),
        (EIGHT, assembled("v", "w", "f"), "dense", (8,)),
        (IDS, "v.indices", "padded", (N,)),
        (dense(INT64, N, 8), "v.indices", "padded", (8,)),
        (EIGHT, "m.values", "padded", (8,)),
        (IDS, ["v.indices", "w.indices"], "padded", (N,)),
        (IDS, assembled("v", "w").indices, "padded", (N,)),
        (LISTS, padded("fs", 0), "padded", (N,)),
        (LISTS, padded(["fs", "fs"], -1), "padded", (N,)),
        (NESTED, padded("ffs", 0), "padded", (N, N)),
        (TWO_THREE, padded(["ffs", "ffs"], 0), "padded", (2, 3)),
        (EIGHT, padded("v", 0), "padded", (8,)),
        (EIGHT, padded("m", 0), "padded", (8,)),
        (ANY, "f", "dense", ()),
        (ANY, "ffs", "dense", (N, N)),
        (ANY, "v", "dense", (N,)),
        (ANY, "v.size", "dense", ()),
        (ANY, "img", "dense", (N, N, N)),
        (ANY, ["f", "g"], "dense", (N,)),
        (ANY, ["ffs", "ffs"], "dense", (N, N)),
        (ANY, padded("fs", 0), "padded", (N,)),
        (ANY, padded("ffs", 0), "padded", (N, N)),
    ],
)
def test_columns_that_fit(spec: TensorSpec, feed: Any, form: str, dims: tuple[int, ...]) -> None:
    """What can be a row of the input is planned; an unknown rank takes the column's own."""
    plan = plan_input(spec, as_feed(feed), SCHEMA)
    assert (plan.form, plan.dims) == (form, dims)


ONE = 'input "x" (float32 [None]) takes one value per row, but '
EIGHT_TAKES = 'input "x" (float32 [None, 8]) takes 8 values per row, '
NESTED_TAKES = 'input "x" (float32 [None, None, None]) takes values of shape [None, None] per row, '
LISTS_X = 'input "x" (float32 [None, None])'
NO_SIZE = "without a size"


@pytest.mark.parametrize(
    ("spec", "feed", "message"),
    [
        (FLAT, "fs", ONE + 'column "fs" is array<float>; select one element first: '
            'df = df.withColumn("fs", df["fs"][0])'),
        (FLAT, "v", ONE + 'column "v" is a vector; select one element first: '
            'df = df.withColumn("v", vector_to_array(df["v"])[0])'),
        (FLAT, "ffs", ONE + 'column "ffs" is array<array<float>>'),
        (FLAT, "img", ONE + 'column "img" is an image'),
        (FLAT, "m", ONE + 'column "m" is a map'),
        (FLAT, ["f", "g"], ONE + "[f, g] gives several"),
        (FLAT, assembled("v", "w"), ONE + "assembled(v, w) gives several"),
        (FLAT, "v.values", ONE + "v.values gives several"),
        (FLAT, padded("fs", 0), ONE + "fs gives several"),
        (
            EIGHT,
            "f",
            EIGHT_TAKES + 'but column "f" is float; name a column for each value, ["a", "b", ...], '
            "or one column of lists",
        ),
        (EIGHT, "ffs", EIGHT_TAKES + 'but column "ffs" is array<array<float>>; '
            'flatten them first: df = df.withColumn("ffs", F.flatten(df["ffs"]))'),
        (EIGHT, "fix3", EIGHT_TAKES + 'but column "fix3" is array<float> of 3'),
        (EIGHT, ["f", "g", "i"], EIGHT_TAKES + "but [f, g, i] give 3"),
        (EIGHT, ["fix3", "fix3"], EIGHT_TAKES + "but [fix3, fix3] give 6"),
        (NESTED, "fs", NESTED_TAKES + 'but column "fs" is array<float>'),
        (dense(FLOAT32, N, N, 2), "f", 'input "x" (float32 [None, None, 2]) takes values of shape '
            '[None, 2] per row, but column "f" is float'),
        (TWO_THREE, "fix3", 'input "x" (float32 [None, 2, 3]) takes values of shape [2, 3] per '
            'row, but column "fix3" is array<float> of 3'),
        (NESTED, ["v", "w"], NESTED_TAKES + "but [v, w] gives flat lists"),
        (NESTED, assembled("v", "w"), NESTED_TAKES + "but assembled(v, w) gives flat lists"),
        (NESTED, padded("fs", 0), NESTED_TAKES + "but fs gives flat lists"),
        (NESTED, ["ffs", "fs"], NESTED_TAKES + 'and concatenated columns must have the same '
            'number of dimensions, but "fs" is array<float>'),
        (EIGHT, ["ffs", "ffs"], EIGHT_TAKES + 'and concatenated columns must have the same '
            'number of dimensions, but "ffs" is array<array<float>>'),
        (LISTS, padded("ffs", 0), LISTS_X + ' takes a list per row, but "ffs" is '
            "array<array<float>>"),
        (NESTED, padded(["ffs", "fs"], 0), NESTED_TAKES + 'but "fs" is array<float>'),
        (LISTS, padded("img", 0), LISTS_X + ': only lists can be padded, but "img" is an image'),
        (
            LISTS,
            "m",
            LISTS_X + f': "m" is a map {NO_SIZE}, and the input has no fixed size either; feed '
            '"m.indices" and "m.values" to two inputs, or feed a vector',
        ),
        (
            LISTS,
            "p",
            LISTS_X + f': "p" is a struct of indices and values {NO_SIZE}, and the input has no '
            'fixed size either; feed "p.indices" and "p.values" to two inputs, or feed a vector',
        ),
        (
            ANY,
            "m",
            f'input "x" (float32 unknown_rank): "m" is a map {NO_SIZE}, and the input has no '
            'fixed size either; feed "m.indices" and "m.values" to two inputs, or feed a vector',
        ),
        (
            EIGHT,
            ["m", "v"],
            f'input "x" (float32 [None, 8]): "m" is a map {NO_SIZE}, so nothing can be '
            "concatenated with it; make it a vector",
        ),
        *(
            (
                LISTS,
                feed,
                LISTS_X + f': "m" is a map {NO_SIZE}; feed its .indices and .values to two '
                "inputs, or feed a vector",
            )
            for feed in (padded("m", 0), ["v.values", "m"])
        ),
        (
            LISTS,
            assembled("v", "fs"),
            LISTS_X + ': assembled(v, fs) takes vectors and numbers, but "fs" is array<float>',
        ),
        (
            LISTS,
            assembled("v", "w.values"),
            LISTS_X + ': assembled(v, w.values) takes vectors and numbers, but "w.values" is the '
            "values of a vector",
        ),
        (
            LISTS,
            assembled("sized", "v"),
            LISTS_X + ': assembled(sized, v) takes vectors and numbers, but "sized" is a struct of '
            "indices and values",
        ),
    ],
)  # fmt: skip
def test_columns_that_dont_fit(spec: TensorSpec, feed: Any, message: str) -> None:
    """A message says what a row takes, what the column is, and how one becomes the other."""
    with pytest.raises(ContractError) as refused:
        plan_input(spec, as_feed(feed), SCHEMA)
    assert str(refused.value) == message
