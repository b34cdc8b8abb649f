"""Advice to feed or fetch something, as written in Python and on the command line."""

from __future__ import annotations

import json
import keyword
import shlex
from collections.abc import Mapping

from tf2spark.binding.advice.expressions import quoted
from tf2spark.binding.feeds import Assembled, Column, Constant, Feed, Joined, Output, Padded
from tf2spark.binding.tf_example.feed import Example
from tf2spark.errors import Advice


def feed_advice(feeds: Mapping[str, Feed]) -> Advice:
    """Write feeds by input: ``feed={"x": "a"}``, ``--feed x=a``."""
    entries = ", ".join(f"{quoted(name)}: {_python(feed)}" for name, feed in feeds.items())
    options = " ".join(_option(name, feed) for name, feed in feeds.items())
    return Advice(f"feed={{{entries}}}", options)


def fetch_advice(fetches: Mapping[str, Output]) -> Advice:
    """Write outputs by column: ``fetch={"p": "y"}``, ``--fetch p=y``."""
    entries = ", ".join(f"{quoted(name)}: {_python(output)}" for name, output in fetches.items())
    options = " ".join(
        f"--fetch {shlex.quote(f'{column}={_output_text(output)}')}"
        for column, output in fetches.items()
    )
    return Advice(f"fetch={{{entries}}}", options)


LEAVE_OUT = "leave it out by naming the outputs you want: " + Advice(
    "fetch=[...]", "--fetch COLUMN=OUTPUT"
)


def _python(value: Feed | Output) -> str:
    """Write a feed or an output as Python code."""
    match value:
        case Column(path):
            return quoted(path)
        case Joined(columns):
            return f"[{', '.join(quoted(column.path) for column in columns)}]"
        case Assembled(columns, part):
            names = ", ".join(quoted(column.path) for column in columns)
            return f"tf2spark.assembled({names})" + (f".{part}" if part else "")
        case Padded(column, pad):
            return f"tf2spark.padded({_python(column)}, {_value(pad)})"
        case Example():
            return f"tf2spark.example({_example_arguments(value)})"
        case Constant(constant) if isinstance(constant, bool | int | float):
            return repr(constant)
        case Constant(constant):
            return f"tf2spark.literal({_value(constant)})"
        case Output(name, rank=None, binary=False, as_map=False):
            return quoted(name)
        case Output(name, rank=None, as_map=False):
            return f"tf2spark.binary({quoted(name)})"
        case Output(name, rank=None):
            return f"tf2spark.output({quoted(name)}, as_map=True)"
        case Output(name, rank):
            return f"tf2spark.output({quoted(name)}, rank={rank})"


def _example_arguments(feed: Example) -> str:
    if feed.every_key:
        return ""
    named = {key: path for key, path in feed.columns if key not in (None, path)}
    arguments = [quoted(path) for key, path in feed.columns if key in (None, path)]
    others = {key: path for key, path in named.items() if key and not _is_argument(key)}
    if others:
        entries = ", ".join(f"{quoted(key)}: {quoted(path)}" for key, path in others.items())
        arguments.append(f"{{{entries}}}")
    arguments += [f"{key}={quoted(path)}" for key, path in named.items() if key not in others]
    return ", ".join(arguments)


def _is_argument(key: str) -> bool:
    return key.isidentifier() and not keyword.iskeyword(key)


def _option(name: str, feed: Feed) -> str:
    if isinstance(feed, Constant):
        return f"--feed {shlex.quote(f'{name}:={json.dumps(feed.value, ensure_ascii=False)}')}"
    return f"--feed {shlex.quote(f'{name}={_feed_text(feed)}')}"


def _feed_text(feed: Feed) -> str:
    """Write a feed as the command line reads it; see `cli.feed_text`."""
    match feed:
        case Joined(columns):
            return ",".join(column.path for column in columns)
        case Padded(column, pad):
            return f"padded({_feed_text(column)}, {json.dumps(pad, ensure_ascii=False)})"
        case _:
            return str(feed)


def _output_text(output: Output) -> str:
    if output.rank is not None:
        return f"output({output.name}, rank={output.rank})"
    return str(output)


def _value(value: object) -> str:
    return quoted(value) if isinstance(value, str) else repr(value)
