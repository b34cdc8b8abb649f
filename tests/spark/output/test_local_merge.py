from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tf2spark.package import publish
from tf2spark.spark.output import local_merge
from tf2spark.spark.output.local_merge import merge, partitions_of


def folder(path: Path, *files: str) -> Path:
    """A folder with files that hold the name of the folder."""
    for file in files:
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text(path.name)
    return path


def content(path: Path) -> dict[str, str]:
    files = (each for each in path.rglob("*") if each.is_file())
    return {str(each.relative_to(path)): each.read_text() for each in files}


def test_files_are_added(tmp_path: Path) -> None:
    """Old files stay, those that both have are the new ones, and nothing else is left."""
    old = folder(tmp_path / "out", "dt=1/a", "dt=2/b", "_SUCCESS")
    assert merge(folder(tmp_path / "new", "dt=2/c", "dt=3/d", "_SUCCESS"), old, [])
    assert content(old) == {
        "dt=1/a": "out", "dt=2/b": "out", "dt=2/c": "new", "dt=3/d": "new", "_SUCCESS": "new",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_partitions_are_replaced(tmp_path: Path) -> None:
    """Only those that are named."""
    old = folder(tmp_path / "out", "dt=1/h=1/a", "dt=1/h=2/b", "dt=2/h=1/c")
    new = folder(tmp_path / "new", "dt=1/h=2/d")
    assert partitions_of(new, 2) == ["dt=1/h=2"]
    assert merge(new, old, partitions_of(new, 2))
    assert content(old) == {"dt=1/h=1/a": "out", "dt=1/h=2/d": "new", "dt=2/h=1/c": "out"}


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    """By a rename."""
    assert merge(folder(tmp_path / "new", "a"), tmp_path / "out", [])
    assert content(tmp_path / "out") == {"a": "new"}


def test_a_run_that_ends_before_the_exchange_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader finds the old files at any moment until then."""
    old = folder(tmp_path / "out", "dt=1/a")

    def end(first: Path, second: Path) -> bool:
        assert content(old) == {"dt=1/a": "out"}
        raise KeyboardInterrupt

    monkeypatch.setattr(local_merge, "exchange", end)
    with pytest.raises(KeyboardInterrupt):
        merge(folder(tmp_path / "new", "dt=1/b"), old, ["dt=1"])
    assert content(old) == {"dt=1/a": "out"}


@pytest.mark.parametrize("missing", ["link", "exchange"])
def test_where_the_file_system_cannot_nothing_is_changed(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then files are moved one by one instead."""
    old, new = folder(tmp_path / "out", "a"), folder(tmp_path / "new", "b")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    if missing == "link":
        monkeypatch.setattr(os, "link", refuse)
    else:
        monkeypatch.setattr(local_merge, "exchange", lambda *_: False)
    assert not merge(new, old, [])
    assert (content(old), content(new)) == ({"a": "out"}, {"b": "new"})
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_others_add_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also files that appear between the links and the exchange."""
    old = folder(tmp_path / "out", "a")

    def appear_first(first: Path, second: Path) -> bool:
        folder(old, "late")
        return publish.exchange(first, second)

    monkeypatch.setattr(local_merge, "exchange", appear_first)
    assert merge(folder(tmp_path / "new", "b"), old, [])
    assert content(old) == {"a": "out", "b": "new", "late": "out"}


def test_runs_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Each adds to what the others have added."""
    old = folder(tmp_path / "out", "a")
    news = [folder(tmp_path / f"new{number}", f"dt={number % 3}/{number}") for number in range(12)]
    threads = [threading.Thread(target=merge, args=(new, old, [])) for new in news]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(content(old)) == 13


def test_modes_of_folders_and_links_stay(tmp_path: Path) -> None:
    """What isn't ours is as it was."""
    old = folder(tmp_path / "out", "dt=1/a")
    (old / "link").symlink_to(tmp_path)
    os.chmod(old, 0o770)
    os.chmod(old / "dt=1", 0o750)
    assert merge(folder(tmp_path / "new", "dt=1/b"), old, [])
    assert (old / "link").readlink() == tmp_path
    assert [oct(path.stat().st_mode)[-3:] for path in (old, old / "dt=1")] == ["770", "750"]
