"""`tfrecord.framing` and `tfrecord.crc32c`, held against TensorFlow's own reader and writer."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tf2spark.errors import ContractError, StorageError
from tf2spark.tfrecord import framing
from tf2spark.tfrecord.crc32c import masked_crc32c
from tf2spark.tfrecord.framing import Compression, RecordWriter, compression_of, read_records

KINDS: dict[Compression, str] = {"none": "", "gzip": "GZIP", "zlib": "ZLIB"}
RECORDS = [b"", b"a", b"123456789", os.urandom(7), os.urandom(4096), os.urandom(100_003)] * 3


def read(path: Path, compression: Compression = "none") -> list[bytes]:
    with path.open("rb") as file:
        return [
            each for part in read_records(file, str(path), compression) for each in part.to_pylist()
        ]


def write(records: list[bytes], compression: Compression = "none") -> bytes:
    file = io.BytesIO()
    writer = RecordWriter(file, compression)
    for start in range(0, len(records), 4):
        writer.write(pa.array(records[start : start + 4], pa.binary()))
    writer.finish()
    return file.getvalue()


def test_the_checksum_is_crc32c() -> None:
    """The usual check value, masked as TensorFlow does, and slices of a buffer."""
    digits = np.frombuffer(b"xx123456789yy", np.uint8)
    crc = 0xE3069283
    masked = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc32c(digits, np.array([2]), np.array([11])).tolist() == [masked]
    data = np.frombuffer(os.urandom(30_000), np.uint8)
    starts = np.random.default_rng(1).integers(0, 20_000, 50)
    ends = starts + np.random.default_rng(2).integers(0, 10_000, 50)
    got = masked_crc32c(data, starts, ends)
    for start, end, each in zip(starts.tolist(), ends.tolist(), got.tolist(), strict=True):
        alone = np.ascontiguousarray(data[start:end])
        assert masked_crc32c(alone, np.array([0]), np.array([end - start])).tolist() == [each]


@pytest.mark.parametrize("compression", KINDS)
def test_files_of_tensorflow_are_read(tmp_path: Path, compression: Compression) -> None:
    """Records of any length, in files of any compression."""
    path = tmp_path / "file"
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(KINDS[compression])) as writer:
        for record in RECORDS:
            writer.write(record)
    assert read(path, compression) == RECORDS


@pytest.mark.parametrize("compression", KINDS)
def test_tensorflow_reads_what_is_written(tmp_path: Path, compression: Compression) -> None:
    """It checks every checksum."""
    path = tmp_path / "file"
    path.write_bytes(write(RECORDS, compression))
    dataset = tf.data.TFRecordDataset(str(path), KINDS[compression])
    assert [each.numpy() for each in dataset] == RECORDS


@pytest.mark.parametrize("block", [16, 100, 5000])
def test_records_may_be_larger_than_a_block(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And may begin and end anywhere in one."""
    monkeypatch.setattr(framing, "_BLOCK_BYTES", block)
    path, records = tmp_path / "file", [each[:3000] for each in RECORDS]
    for compression in KINDS:
        path.write_bytes(write(records, compression))
        assert read(path, compression) == records


def test_a_slice_of_an_array_is_written(tmp_path: Path) -> None:
    """An array may begin in the middle of its buffers."""
    file = io.BytesIO()
    RecordWriter(file, "none").write(pa.array(RECORDS, pa.binary()).slice(2, 3))
    (tmp_path / "file").write_bytes(file.getvalue())
    assert read(tmp_path / "file") == RECORDS[2:5]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    """As TensorFlow has it."""
    (tmp_path / "file").write_bytes(b"")
    assert read(tmp_path / "file") == []


FIRST = 16 + len(b"hello")


@pytest.mark.parametrize(
    ("change", "what"),
    [(FIRST + 3, "length"), (FIRST + 9, "length"), (FIRST + 14, "data"), (FIRST + 18, "data")],
)
def test_damage_is_found_and_named(tmp_path: Path, change: int, what: str) -> None:
    """By the file and the offset of the record, whichever byte of it is wrong."""
    data = bytearray(write([b"hello", b"world", b"again"]))
    data[change] ^= 4
    path = tmp_path / "file"
    path.write_bytes(data)
    expected = f"record at byte {FIRST} of {path} has a wrong checksum of its {what}"
    with pytest.raises(StorageError, match=expected):
        read(path)


@pytest.mark.parametrize("cut", [1, 5, 11, 15, 20])
def test_a_file_that_was_cut_off_is_an_error(tmp_path: Path, cut: int) -> None:
    """No record is lost silently."""
    path = tmp_path / "file"
    path.write_bytes(write([b"hello", b"world"])[:-cut])
    with pytest.raises(StorageError, match=f"ends within the record at byte {FIRST}: "):
        read(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Text, and compressed data that is cut off, or taken for something else."""
    path = tmp_path / "file"
    path.write_bytes(b"id,name\n" * 100)
    with pytest.raises(StorageError, match="checksum of its length"):
        read(path)
    path.write_bytes(write(RECORDS, "gzip"))
    with pytest.raises(StorageError, match="compressed in another way"):
        read(path)
    with pytest.raises(StorageError, match="decompressed"):
        read(path, "zlib")
    path.write_bytes(write(RECORDS, "gzip")[:-100])
    with pytest.raises(StorageError, match="decompressed"):
        read(path, "gzip")
    path.write_bytes(write(RECORDS, "zlib")[:-100])
    with pytest.raises(StorageError, match="decompressed"):
        read(path, "zlib")


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [(None, "a.tfrecord", "none"), (None, "a.tfrecord.GZ", "gzip"), (None, "a.zlib", "zlib"),
     ("GZIP", "a", "gzip"), ("none", "a.gz", "none"), ("", "a.gz", "none"), ("ZLIB", "a", "zlib"),
     ("org.apache.hadoop.io.compress.GzipCodec", "a", "gzip")],
)  # fmt: skip
def test_compression_is_an_option_or_an_ending(name: Any, path: str, expected: str) -> None:
    """The option decides, as TensorFlow or Hadoop writes it."""
    assert compression_of(name, path) == expected


def test_other_compressions_are_refused() -> None:
    """The message lists those that exist."""
    with pytest.raises(ContractError, match='"gzip", "zlib" or "none", not "snappy"'):
        compression_of("snappy")
