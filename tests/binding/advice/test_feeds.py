"""Feeds and outputs in messages, as a user writes them in Python and on the command line."""

from __future__ import annotations

import shlex

import pytest

import tf2spark
from tf2spark import assembled, binary, literal, output, padded
from tf2spark.binding.advice.feeds import feed_advice, fetch_advice
from tf2spark.binding.feeds import FeedValue, OutputName, as_feed
from tf2spark.binding.normalize import as_output
from tf2spark.cli.feed_text import parse_feed, parse_fetch
from tf2spark.errors import Advice


def written(advice: Advice, argument: str) -> object:
    """What a user gets who writes the Python of a message."""
    call = f"dict({advice.text_for('python')})"
    return eval(call, {"tf2spark": tf2spark})[argument]


@pytest.mark.parametrize(
    ("value", "option"),
    [
        ("a", "--feed x=a"),
        ("a.b c", "--feed 'x=a.b c'"),
        (["a", "b"], "--feed x=a,b"),
        (1.0, "--feed x:=1.0"),
        (False, "--feed x:=false"),
        (literal("text"), "--feed 'x:=\"text\"'"),
        (literal([1, 2]), "--feed 'x:=[1, 2]'"),
        (padded("x.indices", 0), "--feed 'x=padded(x.indices, 0)'"),
        (padded(["a", "b"], ""), "--feed 'x=padded(a,b, \"\")'"),
        (assembled("a", "b"), "--feed 'x=assembled(a, b)'"),
        (
            padded(assembled("a", "b").values, -1.0),
            "--feed 'x=padded(assembled(a, b).values, -1.0)'",
        ),
    ],
)
def test_feeds_are_written_for_both(value: FeedValue, option: str) -> None:
    """Both forms mean the feed that they stand for, and the option is the shortest."""
    feed = as_feed(value)
    advice = feed_advice({"x": feed})
    assert advice.text_for("command_line") == option
    assert parse_feed(shlex.split(option)[1::2]) == {"x": feed}
    python = written(advice, "feed")
    assert isinstance(python, dict)
    assert {name: as_feed(given) for name, given in python.items()} == {"x": feed}


@pytest.mark.parametrize(
    ("value", "option"),
    [
        ("y:0", "--fetch p=y:0"),
        (binary("y"), "--fetch 'p=binary(y)'"),
        (output("y", rank=2), "--fetch 'p=output(y, rank=2)'"),
    ],
)
def test_outputs_are_written_for_both(value: OutputName, option: str) -> None:
    """Both forms mean the output that they stand for."""
    target = as_output(value)
    advice = fetch_advice({"p": target})
    assert advice.text_for("command_line") == option
    assert parse_fetch(shlex.split(option)[1::2]) == {"p": target}
    python = written(advice, "fetch")
    assert isinstance(python, dict)
    assert {column: as_output(given) for column, given in python.items()} == {"p": target}


def test_several_feeds_are_one_argument_or_several_options() -> None:
    """A call has one `feed`, a command an option per input."""
    advice = feed_advice({"a": as_feed("COLUMN"), "b": as_feed("c")})
    assert advice.text_for("python") == 'feed={"a": "COLUMN", "b": "c"}'
    assert advice.text_for("command_line") == "--feed a=COLUMN --feed b=c"
