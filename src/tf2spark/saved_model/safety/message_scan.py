"""How many messages a large file has, counted without reading them.

A message takes two bytes in a file and about a hundred in memory. So a file of two gigabytes could
take all the memory of the machine; one with large tensors, as models have them, has few messages.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from tf2spark.errors import ModelError

SCANNED_BYTES = 64 << 20
"""Smaller files aren't scanned: whatever they contain fits into memory."""

MAX_MESSAGES = 4_000_000
"""How many messages a larger file may have."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Kinds: TypeAlias = "dict[int, _Kinds]"


def check_message_count(content: bytes, message: Any, path: str) -> None:
    """Check that a serialized message has no more messages inside of it than a model needs.

    Bytes that are no such message end the scan; parsing them will fail.

    Raises:
        ModelError: It has.
    """
    if len(content) <= SCANNED_BYTES:
        return
    pending = [(0, len(content), _kinds(message.DESCRIPTOR, {}))]
    count = 0
    try:
        while pending:
            position, end, kinds = pending.pop()
            while position < end:
                # Most tags and lengths are one byte; calling _varint for each takes twice the time.
                tag, position = content[position], position + 1
                if tag >= 0x80:
                    tag, position = _varint(content, position - 1)
                wire_type = tag & 7
                if wire_type == _BYTES:
                    length, position = content[position], position + 1
                    if length >= 0x80:
                        length, position = _varint(content, position - 1)
                    inner = kinds.get(tag >> 3)
                    if inner is not None:
                        count += 1
                        if length:
                            pending.append((position, min(position + length, end), inner))
                    position += length
                elif wire_type == _VARINT:
                    _, position = _varint(content, position)
                elif wire_type in (_FIXED64, _FIXED32):
                    position += 8 if wire_type == _FIXED64 else 4
                else:
                    return
                if count > MAX_MESSAGES:
                    raise ModelError(
                        f'"{path}" has {len(content):,} bytes and more than {MAX_MESSAGES:,} '
                        "messages (nodes, attributes, shapes and the like), which is not supported"
                    )
    except IndexError:
        return


def _kinds(descriptor: Any, known: dict[str, _Kinds]) -> _Kinds:
    """Return the fields of a message that are messages, by number, with their own such fields."""
    if descriptor.full_name not in known:
        kinds: _Kinds = {}
        known[descriptor.full_name] = kinds
        for field in descriptor.fields:
            if field.message_type is not None:
                kinds[field.number] = _kinds(field.message_type, known)
    return known[descriptor.full_name]


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = content[position]
    if value < 0x80:
        return value, position + 1
    value &= 0x7F
    shift = 7
    while True:
        position += 1
        byte = content[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
