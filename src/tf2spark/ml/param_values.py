"""What a user may set a Param to, as the JSON that Spark ML saves, and back.

A Param holds the JSON form, because Spark writes a stage's Params with `json.dumps` and gives them
to the stage as they are when it loads it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Mapping
from typing import Any

from tf2spark.binding.argument_types import path_text
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
    normalize_feeds,
    normalize_fetches,
)
from tf2spark.errors import ContractError, shortened

Json = Any
# A feed or output that isn't a plain name is an object with exactly one of these keys.
_FEED_KEYS = ("literal", "padded", "assembled", "example")


def model_path(value: object) -> str:
    """Return the path of a model; of a `SavedModel`, the path that it was read from."""
    contract = getattr(value, "contract", None)
    return path_text(value if contract is None else contract.path, name="model")


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


def names(value: object) -> list[str] | None:
    """Return names or paths as a list of text.

    Raises:
        ContractError: It isn't a collection of names.
    """
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Collection):
        raise ContractError(f"{shortened(value)} is not a list of names", 'write ["a", "b"]')
    return [os.fspath(name) if isinstance(name, os.PathLike) else name for name in value]


def save_choice(value: object) -> str:
    """Return how a stage saves its model.

    Raises:
        ContractError: It is neither "copy" nor "reference".
    """
    if value not in ("copy", "reference"):
        raise ContractError(
            f'save_model must be "copy" or "reference", not {shortened(value)}',
            'write save_model="copy" to save the model with the stage, or save_model="reference" '
            "to save only its path and digest",
        )
    return str(value)


def plain_scalar(value: Any) -> Any:
    """Return a value as JSON has it; it is checked with the others when a table is bound."""
    return value.item() if hasattr(value, "item") else value
