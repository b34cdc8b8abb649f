"""The wheel and the sdist: the same in two builds, bit by bit, and only the project in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from packaging.metadata import Metadata

from release.problem import Problem

_KINDS = ("wheel", "sdist")
_MADE_BY_THE_BUILD = {"PKG-INFO"}
_PAGES = {"README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", "CODE_OF_CONDUCT.md"}


def check_builds(root: Path, target: Path) -> str:
    """Build wheel and sdist in the checkout, and again from what git has, in another folder.

    Raises:
        Problem: The files of both builds aren't the same.
    """
    if target.exists() and any(target.iterdir()):
        raise Problem(f"{target} isn't empty: remove it, or choose another folder by --dist")
    environment = {"SOURCE_DATE_EPOCH": _commit_time(root)}
    build(root, target, environment)
    with tempfile.TemporaryDirectory(prefix="tf2spark-again-") as folder:
        again = Path(folder) / "dist"
        copy_tracked_files(root, Path(folder) / "copy")
        different = {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "1", "LC_ALL": "C"}
        build(Path(folder) / "copy", again, environment | different, umask=0o077)
        differences = [difference(first, again / first.name) for first in built_files(target)]
    if any(differences):
        raise Problem("; ".join(each for each in differences if each))
    return ", ".join(f"{file.name} sha256:{_sha256(file)}" for file in built_files(target))


def build(
    root: Path, target: Path, environment: Mapping[str, str], *, umask: int | None = None
) -> None:
    """Build the wheel and the sdist of a folder into another.

    Raises:
        Problem: The build fails.
    """
    for kind in _KINDS:
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target],
            cwd=root,
            env={**os.environ, **environment},
            umask=-1 if umask is None else umask,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Problem(
                f"the {kind} can't be built: {done.stderr[-2000:] or done.stdout[-2000:]}"
            )


def built_files(target: Path) -> list[Path]:
    """Return the wheel and the sdist in a folder."""
    return [*target.glob("*.whl"), *target.glob("*.tar.gz")]


def copy_tracked_files(root: Path, folder: Path) -> None:
    """Copy what git tracks in a checkout, as it is on the disk."""
    for name in _git(root, "ls-files", "-z").split("\0"):
        source = root / name
        if name and source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
            (folder / name).chmod(source.stat().st_mode & 0o700)


def difference(first: Path, second: Path) -> str:
    """Return how two builds of a file differ; nothing if they are the same."""
    if not second.exists():
        return f"the second build has no {first.name}"
    if first.read_bytes() == second.read_bytes():
        return ""
    one, other = contents(first), contents(second)
    names = sorted(one.keys() ^ other.keys())
    if names:
        only = f"{first.name} isn't built from what git has: it has, or lacks, {names[:5]}"
        return f"{only}. Commit these files, or remove them"
    changed = sorted(name for name, content in one.items() if other[name] != content)
    what = f"the content of {changed[:5]}" if changed else "times, modes or order of its files"
    return f"{first.name} is not the same in a second build: {what}"


def contents(archive: Path) -> dict[str, bytes]:
    """Return the files of a wheel or an sdist by name; those of an sdist without its folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    files = {}
    with tarfile.open(archive) as sdist:
        for member in sdist:
            stream = sdist.extractfile(member)
            if stream is not None:
                files[member.name.partition("/")[2]] = stream.read()
    return files


def check_contents(root: Path, target: Path) -> str:
    """Check that the wheel has the package alone, the sdist the project, and neither our paths.

    Raises:
        Problem: Something is missing or too many, or names a folder of this machine.
    """
    wheel, sdist = (contents(file) for file in built_files(target))
    source = root / "src"
    package = {
        path.relative_to(source).as_posix()
        for path in (source / "tf2spark").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    in_wheel = {name for name in wheel if ".dist-info/" not in name}
    _refuse("the wheel has what isn't the package's", in_wheel - package)
    _refuse("the wheel lacks", package - in_wheel)
    tracked = {name for name in _git(root, "ls-files", "-z").split("\0") if name}
    _refuse("the sdist has what git doesn't track", sdist.keys() - tracked - _MADE_BY_THE_BUILD)
    needed = {f"src/{name}" for name in package} | _PAGES
    _refuse("the sdist lacks", needed - sdist.keys())
    for name, files in (("wheel", wheel), ("sdist", sdist)):
        for file, content in files.items():
            if path := own_path(root, content):
                raise Problem(f"{file} in the {name} has a path of this machine: {path}")
    return f"{len(wheel)} files in the wheel, {len(sdist)} in the sdist"


def _refuse(problem: str, names: AbstractSet[str]) -> None:
    if names:
        raise Problem(f"{problem}: {', '.join(sorted(names)[:5])}")


def own_path(root: Path, content: bytes) -> str | None:
    """Return a folder of this machine that a file names: the checkout, or the user's home."""
    home = Path.home()
    folders = [root, *([home] if len(home.parts) > 2 else [])]  # "/root" is a name on any machine
    return next((str(folder) for folder in folders if str(folder).encode() in content), None)


def check_metadata(target: Path) -> str:
    """Check the wheel's metadata as an index does, and what installers read.

    Raises:
        Problem: It isn't valid.
    """
    wheel, sdist = (contents(file) for file in built_files(target))
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    text = wheel[name]
    if text != sdist["PKG-INFO"]:
        raise Problem("wheel and sdist have different metadata")
    try:
        metadata = Metadata.from_email(text, validate=True)
    except ExceptionGroup as errors:
        raise Problem("; ".join(map(str, errors.exceptions))) from errors
    return f"version {metadata.metadata_version}, license {metadata.license_expression}"


def _commit_time(root: Path) -> str:
    return _git(root, "log", "-1", "--format=%ct").strip()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Problem(f"a release is made from a git clone: {done.stderr.strip()}")
    return done.stdout


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
