"""`safe_files`: a model's files are read without leaving its folder, and without waiting."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tf2spark.errors import ModelError
from tf2spark.package import safe_files
from tf2spark.package.safe_files import (
    Stamp,
    list_files,
    open_inside,
    open_regular,
    read_inside,
    sha256_of,
    stamp_inside,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "assets" / "words.txt").write_bytes(b"a\nb\n")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "words.txt").write_text("secret")
    return folder


def paths(folder: Path) -> list[str]:
    return [file.path for file in list_files(folder)]


def content(folder: Path, path: str) -> bytes:
    with open_inside(folder, path) as stream:
        return stream.read()


def test_files_are_listed_by_path(model: Path) -> None:
    """The listing has every file of the tree with its stamp, sorted."""
    files = list_files(model)
    assert [file.path for file in files] == ["assets/words.txt", "saved_model.pb"]
    assert files[1].stamp == Stamp.of((model / "saved_model.pb").stat())
    assert files[1].stamp == stamp_inside(model, "saved_model.pb")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "über", os.fsdecode(b"\xff\xfe"), " ", "a b"])
def test_any_name_is_fine(model: Path, name: str) -> None:
    """A file may have any name that its file system allows."""
    (model / name).write_bytes(b"x")
    assert name in paths(model)
    assert content(model, name) == b"x"


def test_links_inside_the_folder_are_followed(model: Path) -> None:
    """A link to a file or folder of the model stands for it, whether relative or absolute."""
    (model / "relative").symlink_to("assets/words.txt")
    (model / "absolute").symlink_to(model / "assets" / "words.txt")
    (model / "more").symlink_to("assets")
    (model / "assets" / "up").symlink_to("../saved_model.pb")
    assert paths(model) == [
        "absolute", "assets/up", "assets/words.txt", "more/up", "more/words.txt", "relative",
        "saved_model.pb",
    ]  # fmt: skip
    for path in ("relative", "absolute", "more/words.txt"):
        assert content(model, path) == b"a\nb\n"
    assert content(model, "more/up") == b"graph"


def test_a_model_mounted_by_kubernetes_has_its_files_once(tmp_path: Path) -> None:
    """Its folders ``..data`` and ``..2026...`` aren't listed, but the links into them are."""
    version = tmp_path / "..2026_01_01"
    (version / "variables").mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    (version / "variables" / "variables.index").write_bytes(b"index")
    (tmp_path / "..data").symlink_to("..2026_01_01")
    for name in ("saved_model.pb", "variables"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    assert paths(tmp_path) == ["saved_model.pb", "variables/variables.index"]
    assert content(tmp_path, "variables/variables.index") == b"index"


def test_the_folder_itself_may_be_a_link(model: Path, tmp_path: Path) -> None:
    """People link `current` to a version; absolute links may use either name."""
    (tmp_path / "current").symlink_to(model)
    (model / "again").symlink_to(tmp_path / "current" / "saved_model.pb")
    assert paths(tmp_path / "current") == ["again", "assets/words.txt", "saved_model.pb"]
    assert content(tmp_path / "current", "again") == b"graph"


def link_file(model: Path) -> None:
    (model / "assets" / "x").symlink_to(model.parent / "secret.txt")


def link_file_by_dots(model: Path) -> None:
    (model / "assets" / "x").symlink_to("../../secret.txt")


def link_folder(model: Path) -> None:
    (model / "assets" / "x").symlink_to(model.parent / "outside")


def link_through_another(model: Path) -> None:
    (model / "y").symlink_to("..")
    (model / "assets" / "x").symlink_to("../y/secret.txt")


def link_out_and_in_again(model: Path) -> None:
    (model / "assets" / "x").symlink_to(f"../../{model.name}/saved_model.pb")


def link_to_sibling_with_the_same_beginning(model: Path) -> None:
    sibling = model.with_name(f"{model.name}-2")
    sibling.mkdir()
    (sibling / "x").write_text("secret")
    (model / "assets" / "x").symlink_to(sibling / "x")


@pytest.mark.parametrize(
    "plant",
    [
        link_file,
        link_file_by_dots,
        link_folder,
        link_through_another,
        link_out_and_in_again,
        link_to_sibling_with_the_same_beginning,
    ],
)
def test_a_link_out_of_the_folder_is_refused(model: Path, plant: Callable[[Path], None]) -> None:
    """No file outside of the model's folder is read, whatever leads to it."""
    plant(model)
    with pytest.raises(ModelError, match=r"is a link that leads out of the model's folder"):
        list_files(model)
    with pytest.raises(ModelError, match=r'assets/x" is a link that leads out'):
        content(model, "assets/x")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    # The path of a socket is short, so it is bound from inside its folder.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_pipe, 'assets/x" is a pipe; a model has only regular files'),
        (make_socket, 'assets/x" is a socket; a model has only regular files'),
        (link_to_device, 'assets/x" is a link that leads out'),
        (link_to_nowhere, 'assets/x" is a link to nowhere'),
        (link_to_itself, 'assets/x" is a link to itself'),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(
    model: Path, make: Callable[[Path], None], words: str
) -> None:
    """Nothing waits for the writer of a pipe or reads a device without end."""
    make(model / "assets" / "x")
    with pytest.raises(ModelError, match=words):
        list_files(model)
    with pytest.raises(ModelError, match=words):
        content(model, "assets/x")
    with pytest.raises(ModelError, match=words):
        read_inside(model, "assets/x", 100)


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes devices")
def test_a_device_in_the_folder_is_refused(model: Path) -> None:
    """Like a pipe, it is never opened."""
    try:
        os.mknod(model / "zero", 0o20666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this machine makes no devices")
    with pytest.raises(ModelError, match=r'zero" is a device; a model has only regular files'):
        list_files(model)


def test_a_folder_inside_itself_is_refused(model: Path) -> None:
    """A link to a folder that it is in would go on for ever."""
    (model / "assets" / "again").symlink_to("..")
    with pytest.raises(ModelError, match=r"is a folder inside itself"):
        list_files(model)


def test_folders_through_links_do_not_multiply_without_end(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links can give a few folders 2^n paths; the limit on files ends the walk."""
    monkeypatch.setattr(safe_files, "MAX_FILES", 1000)
    for level in range(30):
        (model / f"f{level}").mkdir()
        for name in ("a", "b"):
            (model / f"f{level}" / name).symlink_to(f"../f{level + 1}")
    (model / "f30").mkdir()
    (model / "f30" / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="has more than 1,000 files"):
        list_files(model)


def test_a_model_has_limits(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with very many files, or with very many bytes, is refused before it is read."""
    with (model / "huge").open("wb") as stream:
        stream.truncate((1 << 40) + 1)
    with pytest.raises(ModelError, match=r"has files of 1,099,511,627,\d+ bytes; a model may have"):
        list_files(model)
    (model / "huge").unlink()
    monkeypatch.setattr(safe_files, "MAX_FILES", 1)
    with pytest.raises(ModelError, match="has more than 1 files"):
        list_files(model)


def test_what_is_swapped_before_it_is_opened_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a path and the opening, a pipe or a link can take the file's place."""
    path, real_open = model / "assets" / "words.txt", os.open

    def swapping(make: Callable[[Path], None]) -> Callable[..., int]:
        def swap_and_open(name: Any, *arguments: Any, **options: Any) -> int:
            if name == "words.txt":
                path.unlink()
                make(path)
            return real_open(name, *arguments, **options)

        return swap_and_open

    for make, words in ((make_pipe, "is a pipe"), (link_file_at, "can't be read: Too many levels")):
        monkeypatch.setattr(os, "open", swapping(make))
        with pytest.raises(ModelError, match=words):
            content(model, "assets/words.txt")
        monkeypatch.setattr(os, "open", real_open)
        path.unlink()
        path.write_bytes(b"a")


def link_file_at(path: Path) -> None:
    path.symlink_to(path.parents[2] / "secret.txt")


def test_a_missing_file_and_a_folder_are_named(model: Path) -> None:
    """Each kind of wrong path has its own message."""
    with pytest.raises(ModelError, match=r'model/gone" is missing'):
        content(model, "gone")
    with pytest.raises(ModelError, match=r'model/assets" is a folder; a model has only'):
        content(model, "assets")
    with pytest.raises(ModelError, match=r"can't be read: File name too long"):
        content(model, "a" * 300)
    with pytest.raises(ModelError, match=r"can't be read: embedded null"):
        content(model, "a\0b")
    with pytest.raises(ModelError, match=r'nowhere" is missing'):
        list_files(model / "nowhere")


def test_reading_has_a_limit(model: Path) -> None:
    """A file that is larger than expected isn't read."""
    assert read_inside(model, "saved_model.pb", 5)[0] == b"graph"
    with pytest.raises(ModelError, match="has 5 bytes, and may have 4"):
        read_inside(model, "saved_model.pb", 4)


def test_a_file_that_grows_has_an_end(model: Path) -> None:
    """Hashing stops one byte after the size that the file had at the start."""
    with (model / "saved_model.pb").open("rb") as stream:
        assert sha256_of(Growing(stream))[1] == 6  # type: ignore[arg-type]


class Growing:
    """A file to which another process writes as fast as it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.fileno = stream.fileno

    def read(self, size_bytes: int) -> bytes:
        return b"x" * size_bytes


def test_shipped_files_may_be_links(model: Path, tmp_path: Path) -> None:
    """Spark may link what it ships, but a pipe is no file there either."""
    (tmp_path / "link").symlink_to(model / "saved_model.pb")
    with open_regular(tmp_path / "link") as stream:
        assert stream.read() == b"graph"
    make_pipe(tmp_path / "pipe")
    with pytest.raises(ModelError, match=r'pipe" is a pipe'), open_regular(tmp_path / "pipe"):
        pass
