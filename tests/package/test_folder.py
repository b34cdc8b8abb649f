"""`package`: packages on disk are whole or not there, and checked byte by byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tf2spark.errors import ModelError, OutputError
from tf2spark.package import folder
from tf2spark.package.folder import entries_of, located_in, read_file, read_manifest, unpack, write
from tf2spark.package.manifest import FILES, MANIFEST, Manifest


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "assets").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "assets" / "words.txt").write_bytes(b"a\nb\n")
    return folder


def described(tree: Path) -> Manifest:
    return Manifest(entries_of(tree), ("serve",))


def contents(folder: Path) -> dict[str, bytes]:
    files = (one for one in folder.rglob("*") if one.is_file())
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in files}


def test_a_package_unpacks_to_what_was_packed(tree: Path, tmp_path: Path) -> None:
    """Every file comes back at its path with its bytes."""
    target = tmp_path / "deep" / "p"
    write(tree, target, described(tree))
    manifest = read_manifest(target)
    unpack(manifest.files, located_in(target), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tree)
    assert read_file(target, manifest, "saved_model.pb") == b"graph"


def test_an_existing_package_is_kept(tree: Path, tmp_path: Path) -> None:
    """Without `overwrite` what is there stays as it is."""
    write(tree, tmp_path / "p", described(tree))
    with pytest.raises(OutputError, match="exists already: write overwrite=True"):
        write(tree, tmp_path / "p", described(tree))


def test_overwriting_replaces_the_whole(tree: Path, tmp_path: Path) -> None:
    """With `overwrite` no file of the old package is left, and nothing beside the new one."""
    write(tree, tmp_path / "p", described(tree))
    (tree / "saved_model.pb").write_bytes(b"another")
    write(tree, tmp_path / "p", described(tree), overwrite=True)
    assert read_manifest(tmp_path / "p") == described(tree)
    assert len(list((tmp_path / "p" / FILES).iterdir())) == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["p", "tree"]


def test_only_packages_are_overwritten(tree: Path, tmp_path: Path) -> None:
    """A folder that is no package isn't deleted by mistake."""
    (tmp_path / "home").mkdir()
    with pytest.raises(OutputError, match="is no package of tf2spark, so it is not overwritten"):
        write(tree, tmp_path / "home", described(tree), overwrite=True)


def test_a_failure_leaves_what_was_there(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that breaks off leaves the old package, and nothing half-made."""
    write(tree, tmp_path / "p", described(tree))
    before = contents(tmp_path / "p")

    def broken(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(folder.shutil, "copyfile", broken)
    with pytest.raises(OutputError, match="can't be written: No space left on device"):
        write(tree, tmp_path / "p", described(tree), overwrite=True)
    assert contents(tmp_path / "p") == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["p", "tree"]


def test_a_package_without_a_manifest_is_not_whole(tree: Path, tmp_path: Path) -> None:
    """The manifest is written last: without it a copy is still under way, or broke off."""
    write(tree, tmp_path / "p", described(tree))
    (tmp_path / "p" / MANIFEST).unlink()
    with pytest.raises(ModelError, match=r"it has files/ but no manifest\.json"):
        read_manifest(tmp_path / "p")


def test_a_missing_file_is_named(tree: Path, tmp_path: Path) -> None:
    """A package that lacks a file says which."""
    write(tree, tmp_path / "p", described(tree))
    stored = tmp_path / "p" / FILES / described(tree).files[0].stored
    stored.unlink()
    with pytest.raises(ModelError, match=f"is not complete: files/{stored.name} is missing"):
        read_manifest(tmp_path / "p")


def test_a_file_that_was_cut_off_is_named(tree: Path, tmp_path: Path) -> None:
    """A file of another size is noticed when the package is opened."""
    write(tree, tmp_path / "p", described(tree))
    stored = tmp_path / "p" / FILES / described(tree).files[0].stored
    stored.write_bytes(b"a")
    with pytest.raises(ModelError, match=r"\(assets/words.txt\) has 1 bytes, the manifest says 4"):
        read_manifest(tmp_path / "p")


def test_a_flipped_bit_is_noticed(tree: Path, tmp_path: Path) -> None:
    """Bytes that are not the manifest's are never unpacked, nor read."""
    write(tree, tmp_path / "p", described(tree))
    manifest = read_manifest(tmp_path / "p")
    for entry in manifest.files:
        stored = tmp_path / "p" / FILES / entry.stored
        content = bytearray(stored.read_bytes())
        content[0] ^= 1
        stored.write_bytes(content)
    with pytest.raises(ModelError, match=r"\(assets/words.txt\) is damaged: its SHA-256"):
        unpack(manifest.files, located_in(tmp_path / "p"), tmp_path / "out")
    with pytest.raises(ModelError, match=r"\(saved_model.pb\) is damaged"):
        read_file(tmp_path / "p", manifest, "saved_model.pb")


def test_a_copy_of_a_package_is_the_same(tree: Path, tmp_path: Path) -> None:
    """A package can be copied and moved as any folder."""
    write(tree, tmp_path / "p", described(tree))
    shutil.move(shutil.copytree(tmp_path / "p", tmp_path / "q"), tmp_path / "r")
    assert read_manifest(tmp_path / "r").digest == described(tree).digest
