"""Checkpoints whose index lies about what it describes, with checksums that fit."""

from __future__ import annotations

import struct
from pathlib import Path

from hostile.attacks import Targets
from hostile.file_tricks import write_checkpointed
from hostile.harness import Write
from hostile.tricks import written_trick

_INDEX = "variables/variables.index"


def _checksum(content: bytes) -> int:
    """Return the CRC-32C of bytes, masked as TensorFlow writes it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def change_index(index: bytes, old: bytes, new: bytes) -> bytes:
    """Return an index with other bytes in its first block, whose checksum is corrected.

    The block ends where the checksum of all before it follows; its last byte is the compression.
    """
    assert len(old) == len(new)
    assert index.count(old) == 1
    for end in range(1, len(index) - 4):
        if struct.unpack_from("<I", index, end)[0] == _checksum(index[:end]):
            changed = index[:end].replace(old, new)
            return changed + struct.pack("<I", _checksum(changed)) + index[end + 4 :]
    raise ValueError("the index has no block")


# The entry of the variable: dtype 1 (float), an empty shape, 4 bytes at offset 0 of shard 0; the
# header: one shard, and the version.
_ENTRY = b"\x08\x01\x12\x00\x28\x04"
_HEADER = b"\x08\x01\x1a\x02\x08\x01"
_CHANGES = {
    "dtype_that_is_a_handle": (_ENTRY, b"\x08\x14\x12\x00\x28\x04"),
    "dtype_that_is_a_string": (_ENTRY, b"\x08\x07\x12\x00\x28\x04"),
    "dtype_that_is_unknown": (_ENTRY, b"\x08\x7f\x12\x00\x28\x04"),
    "size_beyond_the_file": (_ENTRY, b"\x08\x01\x12\x00\x28\x7f"),
    "shard_that_is_not_there": (_ENTRY, b"\x08\x01\x12\x00\x18\x7f"),
    "offset_beyond_the_file": (_ENTRY, b"\x08\x01\x12\x00\x20\x7f"),
    "shape_of_nonsense": (_ENTRY, b"\x08\x01\x12\x02\x18\x01"),
    "no_shard": (_HEADER, b"\x08\x00\x1a\x02\x08\x01"),
    "127_shards": (_HEADER, b"\x08\x7f\x1a\x02\x08\x01"),
    "version_of_the_future": (_HEADER, b"\x08\x01\x1a\x02\x10\x7f"),
}


def _with_index(old: bytes, new: bytes) -> Write:
    def write(folder: Path, targets: Targets) -> Path:
        write_checkpointed(folder)
        index = folder / _INDEX
        index.write_bytes(change_index(index.read_bytes(), old, new))
        return folder

    return write


for _name, (_old, _new) in _CHANGES.items():
    written_trick(f"checkpoint_with_{_name}")(_with_index(_old, _new))
