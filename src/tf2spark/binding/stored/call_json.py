"""The `feed` and `fetch` of a call as JSON, and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tf2spark.binding.feeds import (
    Assembled,
    Column,
    Constant,
    Example,
    Feed,
    Joined,
    Output,
    Padded,
    as_feed,
)
from tf2spark.binding.normalize import normalize_feeds, normalize_fetches

Json = Any
# A feed or output that isn't a plain name is an object with exactly one of these keys.
_FEED_KEYS = ("literal", "padded", "assembled", "example")


def feeds_to_json(value: object) -> dict[str, Json] | None:
    """Return the `feed` of a call as JSON; JSON that this has returned stays as it is.

    Raises:
        ContractError: It isn't a mapping of input names to what feeds them.
    """
    if isinstance(value, Mapping):
        value = {name: _feed_of_json(feed) for name, feed in value.items()}
    feeds = normalize_feeds(value)  # type: ignore[arg-type]
    return None if feeds is None else {name: _feed_to_json(feed) for name, feed in feeds.items()}


def feeds_from_json(value: dict[str, Json] | None) -> dict[str, Feed] | None:
    """Return the feeds that `feeds_to_json` made JSON of."""
    if value is None:
        return None
    return {name: as_feed(_feed_of_json(feed)) for name, feed in value.items()}


def _feed_to_json(feed: Feed) -> Json:
    match feed:
        case Column(path):
            return path
        case Joined(columns):
            return [column.path for column in columns]
        case Constant(value):
            return {"literal": _plain(value)}
        case Padded(column, value):
            return {"padded": _feed_to_json(column), "value": _plain(value)}
        case Assembled(columns, part):
            return {"assembled": [column.path for column in columns], "part": part}
        case Example(columns, every_key):
            return {"example": [list(column) for column in columns], "every_key": every_key}


def _feed_of_json(value: object) -> Any:
    """Return a feed from its JSON; what isn't such JSON is what a user wrote, and stays."""
    if not (isinstance(value, dict) and sum(key in value for key in _FEED_KEYS) == 1):
        return value
    if "literal" in value:
        return Constant(_value_of_json(value["literal"]))
    if "padded" in value:
        inner: Any = as_feed(_feed_of_json(value["padded"]))
        return Padded(inner, _value_of_json(value["value"]))
    if "assembled" in value:
        return Assembled(tuple(map(Column, value["assembled"])), value["part"])
    columns = tuple((key, path) for key, path in value["example"])
    return Example(columns, value["every_key"])


def _plain(value: Any) -> Json:
    """Return a constant as JSON: arrays as nested lists, bytes as Base64."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars
        return _plain(value.tolist())
    return value


def _value_of_json(value: Json) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["bytes"])
    return [_value_of_json(element) for element in value] if isinstance(value, list) else value


def fetches_to_json(value: object) -> dict[str, Json] | None:
    """Return the `fetch` of a call as JSON; JSON that this has returned stays as it is.

    Raises:
        ContractError: It doesn't say which outputs to fetch.
    """
    if isinstance(value, Mapping):
        value = {column: _output_of_json(output) for column, output in value.items()}
    fetches = normalize_fetches(value)  # type: ignore[arg-type]
    if fetches is None:
        return None
    return {column: _output_to_json(output) for column, output in fetches.items()}


def fetches_from_json(value: dict[str, Json] | None) -> dict[str, Output] | None:
    """Return the outputs that `fetches_to_json` made JSON of."""
    return normalize_fetches(
        value and {column: _output_of_json(output) for column, output in value.items()}
    )


def _output_to_json(output: Output) -> Json:
    if output == Output(output.name):
        return output.name
    return {
        "output": output.name,
        "rank": output.rank,
        "binary": output.binary,
        "as_map": output.as_map,
    }


def _output_of_json(value: object) -> Any:
    if isinstance(value, dict) and "output" in value:
        return Output(value["output"], value["rank"], value["binary"], value["as_map"])
    return value
