"""`host_cache`: large weights of a model on this machine are links, and verified like copies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cases.host_cache import DIGEST, cached_models, is_intact, source_of
from tf2spark.errors import ModelError
from tf2spark.package import file_source, known_hashes
from tf2spark.package.file_source import ModelFolder
from tf2spark.package.folder import copy_files, entries_of
from tf2spark.package.host_cache import HeldModel, hold_model
from tf2spark.package.manifest import FileEntry


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose files are large, except for one."""
    monkeypatch.setattr(file_source, "LARGE_BYTES", 100)
    monkeypatch.setattr(known_hashes, "LARGE_BYTES", 100)
    folder = tmp_path / "model"
    for name in ("variables", "assets"):
        (folder / name).mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"g" * 500)
    (folder / "assets" / "words.txt").write_bytes(b"w" * 500)
    (folder / "variables" / "variables.index").write_bytes(b"i")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"d" * 500)
    return folder


WEIGHTS = "variables/variables.data-00000-of-00001"


def held(model: Path, root: str, files: tuple[FileEntry, ...] | None = None) -> HeldModel:
    return hold_model(DIGEST, files or entries_of(model), ModelFolder(model), root=root)


def test_only_large_weights_are_links(model: Path, root: str) -> None:
    """The graph and the assets are copies, whatever their size."""
    held_model = held(model, root)
    links = {path for path in held_model.folder.rglob("*") if path.is_symlink()}
    assert links == {held_model.folder / WEIGHTS}
    assert [link.path for link in held_model.links] == [WEIGHTS]
    assert entries_of_copies(held_model.folder) == entries_of(model)
    assert held(model, root).links == held_model.links


def entries_of_copies(folder: Path) -> tuple[FileEntry, ...]:
    """Return the entries of a folder whose links lead out of it."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return tuple(
        FileEntry(path, hashlib.sha256(content).hexdigest(), len(content))
        for path in paths
        if not (folder / path).is_dir()
        for content in [(folder / path).read_bytes()]
    )


def test_a_link_inside_the_model_is_resolved(model: Path, root: str) -> None:
    """The cache leads to the file that was hashed, also when the model's own link is changed."""
    (model / WEIGHTS).rename(model / "first")
    (model / WEIGHTS).symlink_to("../first")
    held_model = held(model, root)
    (model / WEIGHTS).unlink()
    (model / WEIGHTS).write_bytes(b"x" * 500)
    held_model.check_unchanged()
    assert (held_model.folder / WEIGHTS).read_bytes() == b"d" * 500


def overwrite(path: Path) -> None:
    status = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace(path: Path) -> None:
    path.with_name("new").write_bytes(b"x" * 500)
    path.with_name("new").rename(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [overwrite, replace, remove])
def test_weights_that_change_while_they_are_loaded_are_noticed(
    model: Path, root: str, change: Callable[[Path], None]
) -> None:
    """What TensorFlow has loaded by then may not be what was verified."""
    held_model = held(model, root)
    held_model.check_unchanged()
    change(model / WEIGHTS)
    with pytest.raises(ModelError, match=r'00001" changed while the model was being loaded: open'):
        held_model.check_unchanged()


@pytest.mark.parametrize("change", [overwrite, replace, remove])
@pytest.mark.parametrize("path", [WEIGHTS, "saved_model.pb", "assets/words.txt"])
def test_a_model_that_changed_is_not_opened(
    model: Path, root: str, path: str, change: Callable[[Path], None]
) -> None:
    """Without a copy of what was checked there is nothing to open."""
    files = entries_of(model)
    change(model / path)
    with pytest.raises(ModelError, match=r'model" changed after it was read: .*; open the model'):
        held(model, root, files)
    assert cached_models(root) == set()


@pytest.mark.parametrize("change", [overwrite, replace, remove])
def test_a_model_that_changed_is_not_opened_from_the_cache_either(
    model: Path, root: str, change: Callable[[Path], None]
) -> None:
    """A link of the cache whose file has other bytes by now isn't followed."""
    files = entries_of(model)
    held(model, root, files)
    change(model / WEIGHTS)
    with pytest.raises(ModelError, match="changed after it was read"):
        held(model, root, files)


def test_what_was_checked_is_in_the_cache_when_its_source_changes(model: Path, root: str) -> None:
    """Copies stay good: without large weights, a model that was opened once can be opened again."""
    (model / WEIGHTS).write_bytes(b"small")
    files = entries_of(model)
    before = entries_of_copies(held(model, root, files).folder)
    (model / "saved_model.pb").write_bytes(b"h" * 500)
    assert entries_of_copies(held(model, root, files).folder) == before == files


def test_a_copy_of_the_model_serves_when_the_first_is_gone(
    model: Path, root: str, tmp_path: Path
) -> None:
    """The same bytes at another place make the entry whole."""
    held(model, root)
    model.rename(tmp_path / "moved")
    assert held(tmp_path / "moved", root).links[0].original == tmp_path / "moved" / WEIGHTS


def test_files_that_came_with_the_job_are_never_links(model: Path, root: str) -> None:
    """An entry with links to a model on this machine is made again where the model is shipped."""
    held(model, root)
    shipped = hold_model(DIGEST, entries_of(model), source_of(model), root=root)
    assert shipped.links == ()
    assert is_intact(shipped.folder, model)
    assert held(model, root).links == ()


def test_a_held_model_is_a_source_of_its_files(model: Path, root: str, tmp_path: Path) -> None:
    """Files behind links are copied too, and verified once more."""
    files, held_model = entries_of(model), held(model, root)
    copy_files(held_model, files, tmp_path / "copy")
    assert entries_of(tmp_path / "copy") == files
    overwrite(model / WEIGHTS)
    with pytest.raises(ModelError, match=r'00001" changed while it was being copied: open the'):
        copy_files(held_model, files, tmp_path / "again")
