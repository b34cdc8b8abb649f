"""Random damage to files, the same for the same seed."""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import Callable
from typing import Any

# Lengths, tags, numbers and tokens on which parsers of protobuf, JSON and tables trip.
_TOKENS = (
    b"\x00",
    b"\xff" * 9 + b"\x01",
    b"\x80",
    b"\xff\xff\xff\x7f",
    b"\xff" * 8,
    b"\x0a\x00",
    b"\x12\xff\xff\xff\xff\x0f",
    b"\x0b",
    b"\x0c",
    b"[",
    b"{",
    b"]",
    b'"',
    b",",
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"99999999999999999999",
    b"true",
    b"\\u0000",
    b"\\ud800",
    b"../",
    b"\xc3\x28",
    b"\x1b[2J",
    b":0",
    b"^",
)


def _cut(content: bytes, rng: random.Random, longest: int = 64) -> tuple[int, int]:
    """Return the beginning and the end of a part, mostly a short one."""
    begin = rng.randrange(len(content) + 1)
    length = rng.randrange(1, longest) if rng.random() < 0.8 else rng.randrange(len(content) + 1)
    return begin, min(len(content), begin + length)


def _flip(content: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(content))
    flipped = content[position] ^ 1 << rng.randrange(8)
    return content[:position] + bytes([flipped]) + content[position + 1 :]


def _overwrite(content: bytes, rng: random.Random) -> bytes:
    position, token = rng.randrange(len(content)), rng.choice(_TOKENS)
    return content[:position] + token + content[position + len(token) :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(content) + 1)
    added = rng.choice(_TOKENS) if rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 32))
    return content[:position] + added + content[position:]


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _remove(content: bytes, rng: random.Random) -> bytes:
    begin, end = _cut(content, rng)
    return content[:begin] + content[end:]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    begin, end = _cut(content, rng)
    return content[:end] + content[begin:end] * rng.choice((1, 1, 2, 50)) + content[end:]


def _move(content: bytes, rng: random.Random) -> bytes:
    begin, end = _cut(content, rng)
    position = rng.randrange(len(content) + 1)
    return content[:position] + content[begin:end] + content[position:]


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _overwrite,
    _insert,
    _truncate,
    _remove,
    _repeat,
    _move,
)


def mutate(content: bytes, seed: int) -> bytes:
    """Return the content after one to four random changes."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        if content:
            content = rng.choice(CHANGES)(content, rng)
    return content


_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    7,
    1 << 63,
    1.5,
    "",
    ".",
    "../x",
    "a/../b",
    "/etc/passwd",
    "saved_model.pb",
    "\0",
    "\x1b[2J",
    "0" * 64,
    "a" * 300,
    [],
    {},
    [[]],
    [1, "a"],
    {"path": "a"},
    [0] * 50,
)


def mutate_json(content: bytes, seed: int) -> bytes:
    """Return a JSON document in which one to three values are other ones, missing or doubled."""
    rng, document = random.Random(seed), json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_value(document, rng)
    return json.dumps(document).encode()


def _change_value(container: Any, rng: random.Random) -> None:
    """Change a value somewhere below a list or an object."""
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    if not keys:
        return
    key = rng.choice(keys)
    if isinstance(container[key], list | dict) and rng.random() < 0.7:
        _change_value(container[key], rng)
    elif rng.random() < 0.1:
        del container[key]
    elif isinstance(container, list) and rng.random() < 0.2:
        container.insert(key, copy.deepcopy(rng.choice(container)))
    else:
        container[key] = copy.deepcopy(rng.choice(_VALUES))


_TEXTS = ("", "^", ":0", "x:0", "^x", "y:1", "\x1b[2J", "../x", "/etc/passwd", "a" * 300, "x" * 9)
_NUMBERS = (0, 1, -1, 7, 20, 21, 99, 254, -(1 << 31), (1 << 31) - 1, 1 << 62)


def mutate_message(content: bytes, seed: int) -> bytes:
    """Return a SavedModel in which one to three fields are other ones, missing or doubled.

    It can always be parsed, so it gets further than one with other bytes.
    """
    from tf2spark.saved_model.protos import SavedModel

    rng, message = random.Random(seed), SavedModel.FromString(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_message(message, rng)
    return bytes(message.SerializeToString())


def _change_message(message: Any, rng: random.Random) -> None:
    """Change a field somewhere below a message of protobuf."""
    fields = message.ListFields()
    if not fields:
        return
    # The graph, as it is most of a model's bytes, is changed more often than anything else.
    weights = [value.ByteSize() + 1 if hasattr(value, "ByteSize") else 200 for _, value in fields]
    ((field, value),) = rng.choices(fields, weights)
    if hasattr(value, "items"):
        _change_map(value, rng)
    elif hasattr(value, "append") or hasattr(value, "add"):
        _change_repeated(value, rng)
    elif hasattr(value, "ListFields"):
        if rng.random() < 0.05:
            message.ClearField(field.name)
        else:
            _change_message(value, rng)
    else:
        # 1 << 62 fits into half of the integer fields.
        with contextlib.suppress(ValueError):
            setattr(message, field.name, _other_value(value, rng))


def _change_map(values: Any, rng: random.Random) -> None:
    key, other = rng.choice(list(values)), rng.choice(list(values))
    if rng.random() < 0.1:
        del values[key]
    elif hasattr(values[key], "ListFields"):
        if rng.random() < 0.2:
            values[key].CopyFrom(values[other])
        else:
            _change_message(values[key], rng)
    else:
        values[key] = _other_value(values[key], rng)


def _change_repeated(values: Any, rng: random.Random) -> None:
    position, kind = rng.randrange(len(values)), rng.random()
    if kind < 0.1:
        del values[position]
    elif hasattr(values[position], "ListFields"):
        if kind < 0.2:
            values.add().CopyFrom(values[position])
        else:
            _change_message(values[position], rng)
    elif kind < 0.2:
        values.append(values[position])
    elif kind < 0.5:
        values[position] = rng.choice(values)
    else:
        with contextlib.suppress(ValueError):
            values[position] = _other_value(values[position], rng)


def _other_value(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice(_NUMBERS)
    if isinstance(value, float):
        return rng.choice((0.0, -1.0, float("inf"), float("nan")))
    text = rng.choice(_TEXTS)
    return text.encode() if isinstance(value, bytes) else text
