"""`files`: finding a model's folder, and noticing what is missing from it."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pytest
import tensorflow as tf

from tf2spark.errors import ModelError, ModelNotFoundError
from tf2spark.package.safe_files import open_inside
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


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 11,
        b"\xff" * 64,
        struct.pack("<QI", 1 << 63, 0) * 2,
        struct.pack("<QI", (1 << 64) - 16, 0) * 3,
        struct.pack("<QI", (1 << 64) - 12 - 4, 0) * 3,
    ],
    ids=["empty", "short", "ones", "2^63", "2^64 - 16", "back to the start"],
)
def test_nonsense_is_no_warmup_request(copy: Callable[[str], Path], content: bytes) -> None:
    """A length that no file has ends the count."""
    path = copy("keras")
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(content)
    assert reader.read_contract(path).warmup_requests == 0


@pytest.mark.parametrize(
    "name",
    ["saved_model.pb", "variables/variables.index", "assets.extra/tf_serving_warmup_requests", "x"],
)
def test_a_pipe_among_the_files_is_refused(copy: Callable[[str], Path], name: str) -> None:
    """Whatever it stands for, nobody waits for its writer."""
    path = copy("keras")
    (path / "assets.extra").mkdir()
    (path / name).unlink(missing_ok=True)
    os.mkfifo(path / name)
    with pytest.raises(ModelError, match=rf'{name}" is a pipe; a model has only regular files'):
        reader.read(path)


def test_a_path_that_no_file_system_has_is_refused(tmp_path: Path) -> None:
    """What a path can't be is an error of ours too."""
    for path in (tmp_path / ("a" * 300), tmp_path / "a\0b"):
        with pytest.raises(ModelError, match=r"can't be read: File name too long|no such folder"):
            reader.read(path)


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


def test_a_digest_does_not_depend_on_the_place(
    models: Path, copy: Callable[[str], Path], tmp_path: Path
) -> None:
    """The same bytes have the same digest behind links, and under Kubernetes' hidden folders."""
    digest = model_files.digest(models / "words")
    (tmp_path / "link").symlink_to(models / "words")
    assert model_files.digest(tmp_path / "link") == digest
    mounted = tmp_path / "mounted"
    shutil.copytree(models / "words", mounted / "..2026")
    (mounted / "..data").symlink_to("..2026")
    for path in (models / "words").iterdir():
        (mounted / path.name).symlink_to(f"..data/{path.name}")
    assert model_files.digest(mounted) == digest
    (mounted / "saved_model.pbtxt").write_text("TensorFlow could read this instead")
    assert model_files.digest(mounted) == digest


def write_again(path: Path) -> None:
    path.write_bytes(path.read_bytes())


def append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"x")


def remove(path: Path) -> None:
    path.unlink()


def add(path: Path) -> None:
    path.with_name("another").write_bytes(b"")


@pytest.mark.parametrize("change", [write_again, append, remove, add])
@pytest.mark.parametrize("name", ["saved_model.pb", "assets/vocabulary.txt"])
def test_a_model_that_changed_after_it_was_read_has_no_digest(
    copy: Callable[[str], Path], name: str, change: Callable[[Path], None]
) -> None:
    """The digest is that of one state of all files, the one that was read."""
    path = copy("words")
    loaded = reader.read(path)
    time.sleep(0.02)  # a tick of the clock that files are dated by
    change(path / name)
    with pytest.raises(ModelError, match=r'words" changed after it was read: \S+ is another file'):
        loaded.entries  # noqa: B018


def test_a_new_name_or_link_for_a_file_changes_nothing(copy: Callable[[str], Path]) -> None:
    """Backups make links to files, which changes only the inode's time."""
    path = copy("words")
    loaded = reader.read(path)
    time.sleep(0.02)
    os.link(path / "saved_model.pb", path.parent / "backup")
    (path / "assets" / "vocabulary.txt").chmod(0o600)
    assert loaded.digest == model_files.digest(path)


def test_the_graph_that_was_parsed_is_the_one_in_the_digest(
    copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are read once, so there is no second read that could find others."""
    path = copy("words")
    files = model_files.ModelFiles(path)
    content = files.read_graph()
    opened: list[str] = []

    def note_and_open(folder: Path, name: str) -> AbstractContextManager[BinaryIO]:
        opened.append(name)
        return open_inside(folder, name)

    monkeypatch.setattr(model_files, "open_inside", note_and_open)
    (entry,) = [entry for entry in files.entries if entry.path == "saved_model.pb"]
    assert entry.sha256 == hashlib.sha256(content).hexdigest()
    assert opened
    assert "saved_model.pb" not in opened
    assert files.digest == model_files.digest(path)


def test_a_demanded_digest_is_compared_before_anything_is_parsed(
    copy: Callable[[str], Path],
) -> None:
    """Of a model with other bytes, not even the graph is looked at."""
    path = copy("words")
    digest = model_files.digest(path)
    assert reader.read(path, digest=digest).digest == digest
    (path / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=f"is not the expected one: .*expected sha256:{digest}"):
        reader.read(path, digest=digest)
