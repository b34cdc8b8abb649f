"""What users write for feeds and outputs in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import tf2spark
from tf2spark.binding.feeds import (
    Assembled,
    Column,
    Constant,
    Joined,
    Output,
    Padded,
    as_feed,
    assembled,
    binary,
    columns_of,
    example,
    literal,
    output,
    padded,
)
from tf2spark.binding.normalize import as_output, normalize_feeds, normalize_fetches
from tf2spark.errors import ContractError

A, B = Column("a"), Column("b")
FORMS = (
    "write a column name, a list of column names, a number, "
    'literal("text"), literal([1, 2]), padded(column, value) or assembled("a", "b")'
)
LITERAL = (
    "write the name of a column of the table, or literal(...) with plain numbers or text for one "
    "value for all rows"
)


@pytest.mark.parametrize(
    ("value", "feed"),
    [
        ("a", A),
        ("a.indices", Column("a.indices")),
        (["a", "b"], Joined((A, B))),
        (("a", "b"), Joined((A, B))),
        (["a"], A),
        (1.5, Constant(1.5)),
        (2, Constant(2)),
        (True, Constant(True)),
        (np.float32(0.5), Constant(0.5)),
        (np.int64(7), Constant(7)),
        (np.bool_(False), Constant(False)),
        (literal("a"), Constant("a")),
        (padded("a", 0), Padded(A, 0)),
        (padded(["a", "b"], ""), Padded(Joined((A, B)), "")),
        (padded("a", np.int64(3)), Padded(A, 3)),
        (assembled("a", "b"), Assembled((A, B))),
        (assembled("a", "b").indices, Assembled((A, B), "indices")),
        (padded(assembled("a", "b").values, -1.0), Padded(Assembled((A, B), "values"), -1.0)),
    ],
)
def test_plain_values_feed_inputs(value: Any, feed: Any) -> None:
    """A string is a column, a list of strings columns, a number or a bool a constant."""
    assert as_feed(value) == feed


@pytest.mark.parametrize(
    ("value", "shown", "advice"),
    [
        (None, "None", "leave the input out, and it takes the column of its own name"),
        ([], "[]", FORMS),
        ([1, 2], "[1, 2]", LITERAL),
        (["a", 1], "['a', 1]", LITERAL),
        (b"a", "b'a'", LITERAL),
        ({"a"}, "{'a'}", FORMS),
        (np.zeros(100), "numpy.ndarray", LITERAL),
        (np.zeros((2, 2)), "numpy.ndarray", LITERAL),
        (pd.Series([1.5, 2.5], name="a"), "pandas.Series", 'write its name, "a"'),
        (pa.array([1]), "pyarrow.Int64Array", LITERAL),
        (output("y"), "Output(name='y', rank=None, binary=False, as_map=False)",
         "binary() and output() name outputs: write a column name"),
        (["a", example("b")], "['a', example(b)]",
         'write example("a", "b") with the columns of all its features, outside of a list'),
        (int, "<class 'int'>",
         'compute a column first: df = df.withColumn("NAME", ...), and write "NAME"'),
    ],
)  # fmt: skip
def test_values_that_cant_feed_an_input(value: Any, shown: str, advice: str) -> None:
    """Anything else is shown, shortened, and refused with what to write instead."""
    with pytest.raises(ContractError) as refused:
        as_feed(value)
    assert str(refused.value) == f"{shown} can't feed an input; {advice}"


def test_example_without_parentheses_cant_feed_an_input() -> None:
    """The function is not its result."""
    with pytest.raises(ContractError, match=r'call it: example\(\), or example\("COLUMN"\)'):
        as_feed(example)


def test_spark_columns_are_named(spark: SparkSession) -> None:
    """A Column object isn't a feed: its name is."""
    with pytest.raises(ContractError) as refused:
        normalize_feeds({"x": F.col("a"), "z": F.lit(1) + 1})  # type: ignore[dict-item]
    first, second = str(refused.value).split("\n- ")[1:]
    assert first.startswith("feed[\"x\"]: Column<'a'> can't feed an input; write the name of a")
    assert second.startswith('feed["z"]: ')


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: padded(1.0, 0),
            "padded() takes a column or a list of columns, not literal(1.0)",
        ),
        (
            lambda: padded(padded("a", 0), 0),
            "padded() takes a column or a list of columns, not padded(a, 0)",
        ),
        (
            lambda: padded("a", None),  # type: ignore[arg-type]
            'padded() takes a single value to pad with (0, -1.0, ""), not None',
        ),
        (
            lambda: padded("a", [0]),  # type: ignore[arg-type]
            'padded() takes a single value to pad with (0, -1.0, ""), not [0]',
        ),
        (
            assembled,
            'assembled() takes column names: assembled("user", "item")',
        ),
        (
            lambda: assembled(["a", "b"]),  # type: ignore[arg-type]
            'assembled() takes column names: assembled("user", "item")',
        ),
        (
            lambda: literal(print),
            "literal() takes a number, a bool, text or nested lists of them, not "
            "<built-in function print>",
        ),
        (
            lambda: output(3),  # type: ignore[arg-type]
            '3 is not the name of an output; write output("y") or binary("y")',
        ),
        (
            lambda: binary(""),
            '\'\' is not the name of an output; write output("y") or binary("y")',
        ),
        (
            lambda: output("y", rank="2"),  # type: ignore[arg-type]
            "output(rank=...) counts an output's dimensions, with the batch, not '2'; write "
            "output('y', rank=1) for one value per row, rank=2 for a list",
        ),
        (
            lambda: normalize_feeds("a"),  # type: ignore[arg-type]
            '\'a\' doesn\'t say which column feeds which input; write feed={"INPUT": "COLUMN"}',
        ),
        (
            lambda: normalize_feeds({1: "a"}),  # type: ignore[dict-item]
            "{1: 'a'} doesn't say which column feeds which input; write "
            'feed={"INPUT": "COLUMN"}',
        ),
        (
            lambda: as_output(1),
            "1 is not an output; write the name of an output or of a tensor, binary(name) or "
            "output(name, rank=2)",
        ),
        (
            lambda: normalize_fetches([]),
            "fetch is empty; name at least one output, or leave fetch out",
        ),
        (
            lambda: normalize_fetches({}),
            "fetch is empty; name at least one output, or leave fetch out",
        ),
        (
            lambda: normalize_fetches(5),  # type: ignore[arg-type]
            "5 doesn't say which outputs to fetch; write a list of outputs, or which output "
            'becomes which column: fetch={"COLUMN": "OUTPUT"}',
        ),
        (
            lambda: normalize_fetches(["a/y:0", "b/y:0"]),
            '"a/y:0" and "b/y:0" would both become the column "y"; name the columns: '
            'fetch={"COLUMN": "OUTPUT"}',
        ),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    """Each message shows what was written and what to write instead."""
    with pytest.raises(ContractError) as refused:
        make()
    assert str(refused.value) == message


def test_fetch_takes_a_name_a_list_or_a_mapping() -> None:
    """Without a mapping, a column is named as its output, or as the last part of its node."""
    assert normalize_fetches(None) is None
    assert normalize_fetches("y") == {"y": Output("y")}
    assert normalize_fetches(binary("y")) == {"y": Output("y", binary=True)}
    assert normalize_fetches(["y", "top/dense/Relu:1"]) == {
        "y": Output("y"),
        "Relu": Output("top/dense/Relu:1"),
    }
    assert normalize_fetches({"p": "y", "q": output("z:0", rank=2)}) == {
        "p": Output("y"),
        "q": Output("z:0", 2),
    }


def test_feed_of_none_is_none() -> None:
    """No feed at all is not an empty one: it means columns of the inputs' own names."""
    assert normalize_feeds(None) is None
    assert normalize_feeds({}) == {}


@pytest.mark.parametrize(
    ("feed", "columns"),
    [
        (A, (A,)),
        (Joined((A, B)), (A, B)),
        (Assembled((B, A), "indices"), (B, A)),
        (Padded(Joined((A, B)), 0), (A, B)),
        (Constant("a"), ()),
    ],
)
def test_columns_of_a_feed(feed: Any, columns: tuple[Column, ...]) -> None:
    """The columns come in the order in which they were written; a constant has none."""
    assert columns_of(feed) == columns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Column("a.b"), "a.b"),
        (Joined((A, B)), "[a, b]"),
        (Padded(Joined((A, B)), ""), "padded([a, b], '')"),
        (Assembled((A, B), "indices"), "assembled(a, b).indices"),
        (Constant("en"), "literal('en')"),
        (binary("y"), "binary(y)"),
        (output("y", rank=2), "y"),
    ],
)
def test_text_is_what_a_user_writes(value: Any, text: str) -> None:
    """Messages show feeds and outputs nearly as they are written."""
    assert str(value) == text


def test_public_functions_are_these() -> None:
    """The package's own names are the functions tested here."""
    assert tf2spark.padded is padded
    assert tf2spark.literal is literal
    assert tf2spark.assembled is assembled
    assert tf2spark.output is output
    assert tf2spark.binary is binary
