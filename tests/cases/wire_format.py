"""Serialized protobuf messages as trees, to write what no library writes: fields out of order,
fields given twice, fields of other messages.
"""

from __future__ import annotations

import random
from typing import Any

from attrs import define

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED64: 8, FIXED32: 4}


@define
class Field:
    """One field of a message.

    Attributes:
        tag: Its number and wire type, as they are written.
        content: Its bytes, without the length; those of a message with nothing inside are empty.
        fields: The fields inside of it, where it is a message.
    """

    tag: int
    content: bytes = b""
    fields: list[Field] | None = None


def varint(value: int) -> bytes:
    """Write an unsigned integer."""
    written = b""
    while value > 127:
        written += bytes([value & 127 | 128])
        value >>= 7
    return written + bytes([value])


def field(number: int, content: bytes) -> bytes:
    """Write a field that is a string or a message."""
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def parse(content: bytes, descriptor: Any) -> list[Field]:
    """Read a message of a given type."""
    fields, position = [], 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        if tag & 7 == BYTES:
            length, position = _read_varint(content, position)
            inner = content[position : position + length]
            position += length
            known = descriptor.fields_by_number.get(tag >> 3)
            is_message = known is not None and known.message_type is not None
            nested = parse(inner, known.message_type) if is_message else None
            fields.append(Field(tag, inner, nested))
        elif tag & 7 == VARINT:
            start = position
            _, position = _read_varint(content, position)
            fields.append(Field(tag, content[start:position]))
        else:
            size = _SIZES[tag & 7]
            fields.append(Field(tag, content[position : position + size]))
            position += size
    return fields


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = content[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def write(fields: list[Field]) -> bytes:
    """Write a message."""
    written = []
    for part in fields:
        content = part.content if part.fields is None else write(part.fields)
        length = varint(len(content)) if part.tag & 7 == BYTES else b""
        written.append(varint(part.tag) + length + content)
    return b"".join(written)


def mutate(fields: list[Field], choice: random.Random) -> None:
    """Change a message in a way that keeps it a message: fields given twice, moved or split."""
    messages = [fields] if fields else []
    for nested in messages:
        messages.extend(inner.fields for inner in nested if inner.fields)
    if not messages:
        return
    message = choice.choice(messages)
    position = choice.randrange(len(message))
    part = message[position]
    change = choice.randrange(10)
    if change < 3:  # again, at another place, perhaps with other bytes
        again = _copy(part)
        message.insert(choice.randrange(len(message) + 1), again)
        if change == 2:
            mutate([again], choice)
    elif change < 5:  # with a field of another message
        other = choice.choice(messages)
        message.insert(position, _copy(choice.choice(other)))
    elif change < 7 and part.fields:  # split in two, which protobuf merges
        cut = choice.randrange(len(part.fields) + 1)
        message.insert(position, Field(part.tag, fields=part.fields[:cut]))
        part.fields = part.fields[cut:]
    elif change == 7:  # in another order
        choice.shuffle(message)
    elif change == 8:  # missing
        del message[position]
    elif part.fields is None and part.content:  # with other bytes
        content = bytearray(part.content)
        content[choice.randrange(len(content))] ^= 1 << choice.randrange(8)
        part.content = bytes(content)


def _copy(part: Field) -> Field:
    fields = None if part.fields is None else [_copy(inner) for inner in part.fields]
    return Field(part.tag, part.content, fields)
