"""`files`: finding a model's folder, and noticing what is missing from it."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from tf2spark.errors import ModelError, ModelNotFoundError
from tf2spark.saved_model import files as model_files
from tf2spark.saved_model import reader


def test_the_largest_version_is_used(copy: Callable[[str], Path]) -> None:
    """In a base path the largest version is read, compared as a number; other names are ignored."""
    base = copy("keras").parent
    for name in ("2", "10", "9"):
        shutil.copytree(base / "keras", base / name)
    (base / "notes").mkdir()
    (base / "٩٩").mkdir()  # digits, but not ASCII
    (base / "99").write_text("a file is not a version")
    shutil.rmtree(base / "keras")
    assert reader.read_contract(base).version == 10
    assert reader.read_contract(base).path == str(base / "10")
    assert reader.read_contract(base, version=9).version == 9
    with pytest.raises(ModelNotFoundError, match=r"has no version 7; it has 2, 9, 10"):
        reader.read(base, version=7)
    (base / "11").mkdir()
    with pytest.raises(ModelError, match=r'version folder ".*11" has no saved_model.pb \(the la'):
        reader.read(base)


def test_a_version_of_a_plain_model_is_an_error(models: Path) -> None:
    """A version makes no sense where the path is a SavedModel itself."""
    with pytest.raises(ModelError, match="is a model itself; omit version"):
        reader.read(models / "keras", version=1)


def test_a_path_without_a_model_says_so(tmp_path: Path, models: Path) -> None:
    """Each kind of wrong path has its own message."""
    with pytest.raises(ModelNotFoundError, match=r'no SavedModel at ".*nowhere": no such folder'):
        reader.read(tmp_path / "nowhere")
    with pytest.raises(ModelNotFoundError, match=r"neither saved_model\.pb nor version folders"):
        reader.read(tmp_path)
    with pytest.raises(
        ModelNotFoundError, match=r'"[^"]*pb" is a file; pass its folder, ".*keras"'
    ):
        reader.read(models / "keras" / "saved_model.pb")
    with pytest.raises(ModelError, match="is on hdfs://, which can only be read through a Spark"):
        reader.read("hdfs:///models/ctr")
    (tmp_path / "saved_model.pbtxt").write_text("")
    with pytest.raises(ModelError, match="the text format, which is not supported"):
        reader.read(tmp_path)


def test_a_file_url_is_a_path(models: Path) -> None:
    """A ``file:`` URL, as Spark writes it, names the local folder."""
    for prefix in ("file:", "file://"):
        assert reader.read_contract(f"{prefix}{models}/keras").path == str(models / "keras")


def test_missing_variables_are_an_error(copy: Callable[[str], Path]) -> None:
    """A copy that lacks its variables, or one of their files, is refused."""
    path = copy("keras")
    (path / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ModelError, match=r"variables/variables.data-00000-of-00001 is missing"):
        reader.read(path)
    (path / "variables" / "variables.data-00000-of-00003").write_bytes(b"")
    with pytest.raises(ModelError, match=r"data-00001-of-00003 is missing, and 1 more"):
        reader.read(path)
    shutil.rmtree(path / "variables")
    with pytest.raises(
        ModelError, match=r"has variables, but variables/variables.index is missing"
    ):
        reader.read(path)


def test_warmup_requests_are_counted(copy: Callable[[str], Path]) -> None:
    """Complete records count, up to a thousand; a truncated one doesn't."""
    path = copy("keras")
    extra = path / "assets.extra"
    extra.mkdir()
    requests = extra / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(requests)) as writer:
        for size in (3, 0, 70):
            writer.write(b"x" * size)
    assert reader.read_contract(path).warmup_requests == 3
    requests.write_bytes(requests.read_bytes()[:-1])
    assert reader.read_contract(path).warmup_requests == 2
    requests.write_bytes((struct.pack("<QI", 1, 0) + b"x" + b"\0" * 4) * 1200)
    assert reader.read_contract(path).warmup_requests == 1000


def test_the_digest_is_that_of_the_content(models: Path, copy: Callable[[str], Path]) -> None:
    """A copy has the same digest; a changed byte or a renamed file changes it."""
    path = copy("words")
    original = model_files.digest(path)
    assert len(original) == 64
    assert model_files.digest(models / "words") == original
    vocabulary = path / "assets" / "vocabulary.txt"
    vocabulary.write_text("film\ncook\n")
    edited = model_files.digest(path)
    vocabulary.rename(vocabulary.with_name("renamed.txt"))
    assert len({original, edited, model_files.digest(path)}) == 3
