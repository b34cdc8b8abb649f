"""`package.folder`: packages are written atomically, and verified byte by byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tf2spark.errors import ModelError, OutputError
from tf2spark.package import folder
from tf2spark.package.file_source import FileSource, ModelFolder, PackageFolder, copy_verified
from tf2spark.package.folder import copy_files, entries_of, read_file, read_manifest, write
from tf2spark.package.manifest import FILES, MANIFEST, FileEntry, Manifest


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "assets").mkdir(parents=True)
    (tree / "saved_model.pb").write_bytes(b"graph")
    (tree / "assets" / "words.txt").write_bytes(b"a\nb\n")
    return tree


def manifest_of(tree: Path) -> Manifest:
    return Manifest(entries_of(tree), ("serve",))


def contents(top: Path) -> dict[str, bytes]:
    files = (path for path in top.rglob("*") if path.is_file())
    return {file.relative_to(top).as_posix(): file.read_bytes() for file in files}


def names(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir())


def test_unpacking_gives_what_was_packed(tree: Path, tmp_path: Path) -> None:
    """Every file is unpacked to its path with its bytes."""
    target = tmp_path / "deep" / "p"
    write(ModelFolder(tree), target, manifest_of(tree))
    manifest = read_manifest(target)
    copy_files(PackageFolder(target), manifest.files, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tree)
    assert read_file(target, manifest, "saved_model.pb") == b"graph"


def test_an_existing_package_is_kept(tree: Path, tmp_path: Path) -> None:
    """Without `overwrite` an existing package stays as it is."""
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    before = contents(tmp_path / "p")
    (tree / "saved_model.pb").write_bytes(b"another")
    with pytest.raises(OutputError, match="already exists; overwrite=True replaces it"):
        write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    assert contents(tmp_path / "p") == before


def test_overwriting_replaces_the_package(tree: Path, tmp_path: Path) -> None:
    """With `overwrite` no file of the old package is left, in it or next to it."""
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    (tree / "saved_model.pb").write_bytes(b"another")
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree), overwrite=True)
    assert read_manifest(tmp_path / "p") == manifest_of(tree)
    assert len(list((tmp_path / "p" / FILES).iterdir())) == 2
    assert names(tmp_path) == ["p", "tree"]


def test_only_packages_are_overwritten(tree: Path, tmp_path: Path) -> None:
    """A folder that is not a package isn't deleted by mistake."""
    (tmp_path / "home").mkdir()
    with pytest.raises(OutputError, match="is not a tf2spark package, so it is not overwritten"):
        write(ModelFolder(tree), tmp_path / "home", manifest_of(tree), overwrite=True)
    assert (tmp_path / "home").is_dir()


def test_a_failed_write_leaves_the_old_package(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails half way leaves the old package, and no files of the new one."""
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    before = contents(tmp_path / "p")

    (tree / "saved_model.pb").write_bytes(b"another")
    copy_until_full(monkeypatch, files=1)
    with pytest.raises(OutputError, match="can't be written: No space left on device"):
        write(ModelFolder(tree), tmp_path / "p", manifest_of(tree), overwrite=True)
    assert contents(tmp_path / "p") == before
    assert names(tmp_path) == ["p", "tree"]


def copy_until_full(monkeypatch: pytest.MonkeyPatch, *, files: int) -> None:
    """Let the disk be full after some files were copied."""
    copied: list[Path] = []

    def copy(source: FileSource, entry: FileEntry, target: Path, *, mode: int) -> None:
        if len(copied) == files:
            raise OSError(28, "No space left on device", str(target))
        copy_verified(source, entry, target, mode=mode)
        copied.append(target)

    monkeypatch.setattr(folder, "copy_verified", copy)


def test_a_failed_write_leaves_nothing(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there was no package, a write that fails half way leaves none."""
    copy_until_full(monkeypatch, files=1)
    with pytest.raises(OutputError, match="can't be written: No space left on device"):
        write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    assert names(tmp_path) == ["tree"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_old_package_stays_where_the_new_one_cannot_be_moved(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    """The last step moves the new package into place: if it fails, the old one is still there."""
    target = tmp_path / "p"
    if overwrite:
        write(ModelFolder(tree), target, manifest_of(tree))
    before = contents(target)
    (tree / "saved_model.pb").write_bytes(b"another")

    def refuse(staged: Path, target: Path, *, overwrite: bool) -> None:
        raise OSError(5, "Input/output error", str(target))

    monkeypatch.setattr(folder, "publish", refuse)
    with pytest.raises(OutputError, match="can't be written: Input/output error"):
        write(ModelFolder(tree), target, manifest_of(tree), overwrite=overwrite)
    assert contents(target) == before
    assert names(tmp_path) == (["p", "tree"] if overwrite else ["tree"])
    if overwrite:
        assert read_file(target, read_manifest(target), "saved_model.pb") == b"graph"


def test_a_package_without_a_manifest_is_incomplete(tree: Path, tmp_path: Path) -> None:
    """The manifest is written last: without it a copy is under way, or was interrupted."""
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    (tmp_path / "p" / MANIFEST).unlink()
    with pytest.raises(ModelError, match=r"it has files/ but no manifest\.json"):
        read_manifest(tmp_path / "p")


def test_a_missing_file_is_named(tree: Path, tmp_path: Path) -> None:
    """A missing file is named when the package is opened."""
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    stored = tmp_path / "p" / FILES / manifest_of(tree).files[0].stored
    stored.unlink()
    with pytest.raises(ModelError, match=f"is incomplete: files/{stored.name} is missing"):
        read_manifest(tmp_path / "p")


def test_a_truncated_file_is_named(tree: Path, tmp_path: Path) -> None:
    """A file of another size is noticed when the package is opened."""
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    stored = tmp_path / "p" / FILES / manifest_of(tree).files[0].stored
    stored.write_bytes(b"a")
    with pytest.raises(
        ModelError, match=r"\(assets/words.txt\) has 1 bytes, but the manifest says 4"
    ):
        read_manifest(tmp_path / "p")


def test_a_flipped_bit_is_noticed(tree: Path, tmp_path: Path) -> None:
    """A file whose SHA-256 doesn't match the manifest is neither unpacked nor read."""
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    manifest = read_manifest(tmp_path / "p")
    for entry in manifest.files:
        stored = tmp_path / "p" / FILES / entry.stored
        content = bytearray(stored.read_bytes())
        content[0] ^= 1
        stored.write_bytes(content)
    with pytest.raises(ModelError, match=r"\(assets/words.txt\) is damaged: its SHA-256"):
        copy_files(PackageFolder(tmp_path / "p"), manifest.files, tmp_path / "out")
    with pytest.raises(ModelError, match=r"\(saved_model.pb\) is damaged"):
        read_file(tmp_path / "p", manifest, "saved_model.pb")


def test_a_copy_of_a_package_is_the_same(tree: Path, tmp_path: Path) -> None:
    """A package can be copied and moved like any folder."""
    write(ModelFolder(tree), tmp_path / "p", manifest_of(tree))
    shutil.move(shutil.copytree(tmp_path / "p", tmp_path / "q"), tmp_path / "r")
    assert read_manifest(tmp_path / "r").digest == manifest_of(tree).digest
