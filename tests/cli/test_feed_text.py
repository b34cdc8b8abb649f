"""What users write for feeds and outputs on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.binding.feeds import Assembled, Column, Constant, Joined, Output, Padded, example
from tf2spark.cli.feed_text import parse_feed, parse_fetch
from tf2spark.errors import ContractError

A, B = Column("a"), Column("b")


@pytest.mark.parametrize(
    ("option", "name", "feed"),
    [
        ("x=a", "x", A),
        (" x = a ", "x", A),
        ("x=a,b", "x", Joined((A, B))),
        ("x=a, b", "x", Joined((A, B))),
        ("x=sum(a)", "x", Column("sum(a)")),
        ("x:0=a.indices", "x:0", Column("a.indices")),
        ("scope/x:0=a", "scope/x:0", A),
        ("keep_prob:=1.0", "keep_prob", Constant(1.0)),
        ("x:0:=1", "x:0", Constant(1)),
        ("x:=true", "x", Constant(True)),
        ('x:="a=b"', "x", Constant("a=b")),
        ("x:=[1, 2]", "x", Constant([1, 2])),
        ("x=padded(a, 0)", "x", Padded(A, 0)),
        ("x=padded(a,b,-1.5)", "x", Padded(Joined((A, B)), -1.5)),
        ('x=padded(a, "u,v")', "x", Padded(A, "u,v")),
        ("x=padded(a.indices,0)", "x", Padded(Column("a.indices"), 0)),
        ("x=assembled(a, b)", "x", Assembled((A, B))),
        ("x=assembled(a,b).indices", "x", Assembled((A, B), "indices")),
        ("x=assembled(a,b).values", "x", Assembled((A, B), "values")),
        ("x=example()", "x", example()),
        ("x=example(a, key=b, c.d)", "x", example("a", {"key": "b"}, "c.d")),
        (" x = example( user-age = b ) ", "x", example({"user-age": "b"})),
        ("x=padded(assembled(a,b).values, 0)", "x", Padded(Assembled((A, B), "values"), 0)),
    ],
)
def test_feed_options(option: str, name: str, feed: Any) -> None:
    """The command line says all that Python can; a tensor's colon is not that of a constant."""
    assert parse_feed([option]) == {name: feed}


FORMS = "can't be parsed; write INPUT=COLUMN, INPUT=COLUMN,COLUMN or INPUT:=JSON"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["x"], f"--feed x {FORMS}"),
        (["x="], f"--feed x= {FORMS}"),
        (["=a"], f"--feed =a {FORMS}"),
        (["x:="], f"--feed x:= {FORMS}"),
        (["x=,"], f"--feed x=, {FORMS}"),
        (["x=a", "x=b"], "--feed x=b: x is given twice"),
        (
            ["x:=one"],
            "--feed x:=one has no JSON after := (Expecting value: line 1 column 1 (char 0)); "
            'write 1.0, true or "text", for example',
        ),
        *(
            (
                [option],
                f"--feed {option}: a feed has no function log(); the functions are "
                "padded(COLUMN, VALUE), assembled(COLUMN, COLUMN) and example(COLUMN); compute "
                "anything else in SQL, in a column of the table",
            )
            for option in ("x=log(a, 2)", "x=b, log(a, 2)", "x=padded(log(a, 2), 0)")
        ),
        *(
            (
                [option],
                f"--feed {option} can't be parsed; "
                'write padded(COLUMN, VALUE), VALUE as JSON (0, -1.0, "")',
            )
            for option in (
                "x=padded(a)",
                "x=padded(a, b)",
                "x=padded(a, [0])",
                "x=padded(a, null)",
                "x=padded(a, 0",
                "x=padded(padded(a, 0), 0)",
            )
        ),
        *(
            (
                [option],
                f"--feed {option} can't be parsed; write assembled(COLUMN, COLUMN), and append "
                ".indices or .values to feed only those",
            )
            for option in ("x=assembled()", "x=assembled(a, b", "x=assembled(a).size")
        ),
        *(
            (
                [option],
                f"--feed {option} can't be parsed; write example(COLUMN, FEATURE=COLUMN), or "
                "example() for all features of the model",
            )
            for option in (
                "x=example(a",
                "x=example(a),b",
                "x=example(key=)",
                "x=example(=a)",
                "x=example(a, padded(b, 0))",
            )
        ),
        (
            ["x=example(a, a=b)"],
            '--feed x=example(a, a=b): example() gives the feature "a" twice; leave one out',
        ),
    ],
)
def test_wrong_feed_options(options: list[str], message: str) -> None:
    """A message begins with the option as it was written."""
    with pytest.raises(ContractError) as refused:
        parse_feed(options)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("option", "column", "target"),
    [
        ("score=y", "score", Output("y")),
        (" score = scope/y:1 ", "score", Output("scope/y:1")),
        ("raw=binary(y)", "raw", Output("y", binary=True)),
        ("p=map(y)", "p", Output("y", as_map=True)),
        ("p=output(y:0, rank=2)", "p", Output("y:0", 2)),
    ],
)
def test_fetch_options(option: str, column: str, target: Output) -> None:
    """An option names the column, then the output."""
    assert parse_fetch([option]) == {column: target}


@pytest.mark.parametrize("option", ["y", "y=", "=y", "p=output(y)", "p=binary()", "p=binary(y"])
def test_wrong_fetch_options(option: str) -> None:
    """A message shows the forms there are."""
    with pytest.raises(ContractError) as refused:
        parse_fetch([option])
    assert str(refused.value) == (
        f"--fetch {option} can't be parsed; write COLUMN=OUTPUT, COLUMN=binary(OUTPUT), "
        "COLUMN=map(OUTPUT) or COLUMN=output(OUTPUT, rank=2)"
    )


def test_column_fetched_twice() -> None:
    """Two outputs can't become one column."""
    with pytest.raises(ContractError, match=r"^--fetch p=z: p is given twice$"):
        parse_fetch(["p=y", "p=z"])


def test_no_option_is_none() -> None:
    """Without options, names decide and every output is fetched."""
    assert parse_feed([]) is None
    assert parse_fetch([]) is None
