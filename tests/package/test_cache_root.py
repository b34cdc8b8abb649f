"""`cache_root`: nobody else can write to the folder that models are run from."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from tf2spark.errors import SetupError
from tf2spark.package.cache_root import ENVIRONMENT, cache_root

OWN = f"tf2spark-{os.getuid()}"
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")


def mode_of(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_the_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TF2SPARK_CACHE sets the cache folder; an argument overrides it."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    assert cache_root(str(tmp_path / "b")) == tmp_path / "b"


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    """It is this user's alone, whatever the umask."""
    before = os.umask(0)
    try:
        assert mode_of(cache_root(str(tmp_path / "deep" / "cache"))) == 0o700
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o711])
def test_a_folder_that_others_may_only_read_is_used(tmp_path: Path, mode: int) -> None:
    """Whoever reads it can't change what runs."""
    tmp_path.chmod(mode)
    assert cache_root(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o2770, 0o2777])
def test_in_a_folder_of_everybody_there_is_a_private_one(tmp_path: Path, mode: int) -> None:
    """A container's volume, or a folder with the sticky bit, gets a folder of this user."""
    tmp_path.chmod(mode)
    own = cache_root(str(tmp_path))
    assert own == tmp_path / OWN
    assert mode_of(own) & 0o777 == 0o700
    assert cache_root(str(tmp_path)) == own


@as_root
def test_a_volume_of_root_works_for_a_user(tmp_path: Path) -> None:
    """Kubernetes' emptyDir is root's and open to all; the process in the container isn't root."""
    tmp_path.chmod(0o777)
    process = os.fork()
    if process == 0:
        try:
            os.chdir(tmp_path)  # another user may not pass the folders above
            os.setuid(65534)
            own = cache_root(".")
            os._exit(0 if own == Path("tf2spark-65534") and mode_of(own) == 0o700 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777])
def test_a_folder_of_another_user_is_refused(tmp_path: Path, mode: int) -> None:
    """Its owner could rename whatever is in it, also with the sticky bit."""
    tmp_path.chmod(mode)
    os.chown(tmp_path, 65534, -1)
    with pytest.raises(SetupError, match=r"belongs to another user \(uid 65534\).*nobody else may"):
        cache_root(str(tmp_path))


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The message names the setting that moves the cache."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"as the model cache: .*spark\.tf2spark\.cache\.dir"):
        cache_root(str(tmp_path / "file"))
    with pytest.raises(SetupError, match="can't be used as the model cache"):
        cache_root(str(tmp_path / "a\0b"))
    with pytest.raises(SetupError, match="can't be used as the model cache: File name too long"):
        cache_root(str(tmp_path / ("a" * 300)))


def test_the_folder_in_the_temporary_folder_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that others can write to is never trusted, nor is a link."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    taken = tmp_path / OWN
    taken.mkdir()
    taken.chmod(0o777)
    own = cache_root()
    assert own != taken
    assert mode_of(own) == 0o700
    taken.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    taken.symlink_to(tmp_path / "elsewhere")
    assert cache_root() == own
    own.chmod(0o722)
    with pytest.raises(SetupError, match="it belongs to somebody else, or others may write to it"):
        cache_root()
