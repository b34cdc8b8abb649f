"""Feeds and outputs as JSON, and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tf2spark import assembled, binary, example, literal, output, padded
from tf2spark.binding.normalize import normalize_feeds, normalize_fetches
from tf2spark.binding.stored.call_json import (
    feeds_from_json,
    feeds_to_json,
    fetches_from_json,
    fetches_to_json,
)
from tf2spark.errors import ContractError

_FEEDS: dict[str, Any] = {
    "column": "user.age",
    "comma": "a,b",
    "joined": ["a", "b"],
    "number": 0.5,
    "flag": True,
    "numpy": np.float32(0.25),
    "text": literal("en"),
    "bytes": literal(b"\xff\x00"),
    "nested": literal([[1, 2], [3, 4]]),
    "array": literal(np.arange(3)),
    "padded": padded("ids", 0),
    "padded_bytes": padded(["a", "b"], b"\xfe"),
    "padded_vector": padded(assembled("a", "b"), -1.0),
    "vector": assembled("a", "b"),
    "ids": assembled("a", "b").indices,
    "example": example("age", "city"),
    "renamed": example({"age": "user.age"}, town="city"),
    "every_key": example(),
}


@pytest.mark.parametrize("name", _FEEDS)
def test_a_feed_survives_as_json(name: str) -> None:
    """What a stage loads feeds what the saved one did."""
    written = feeds_to_json({name: _FEEDS[name]})
    loaded = feeds_from_json(json.loads(json.dumps(written)))
    expected = normalize_feeds({name: _FEEDS[name]})
    assert repr(loaded) == repr(expected).replace("array([0, 1, 2])", "[0, 1, 2]")


@pytest.mark.parametrize("name", _FEEDS)
def test_json_of_a_feed_can_be_set_again(name: str) -> None:
    """Spark sets a copied stage's Params to what they hold."""
    written = feeds_to_json({name: _FEEDS[name]})
    assert feeds_to_json(written) == written


@pytest.mark.parametrize(
    "fetch",
    ["y", ["y", "hidden/Relu:0"], {"a": "y", "b": binary("z"), "c": output("s", as_map=True)}],
)
def test_outputs_survive_as_json(fetch: Any) -> None:
    """What a stage loads fetches what the saved one did, and its JSON can be set again."""
    written = fetches_to_json(fetch)
    assert fetches_from_json(json.loads(json.dumps(written))) == normalize_fetches(fetch)
    assert fetches_to_json(written) == written


def test_a_wrong_feed_is_refused_when_it_is_set() -> None:
    """The message is that of `score`, and names the input."""
    with pytest.raises(ContractError, match=r'feed\["x"\]: None can\'t feed an input'):
        feeds_to_json({"x": None})
