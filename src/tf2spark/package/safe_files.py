"""The files of a model's folder, read without ever leaving it.

A model's folder may come from anyone, and may change while it is read. A pipe among its files would
block whoever opens it, a link may lead to any file of this machine, and what a path leads to can
change between a check and the opening. So every path is walked folder by folder, each opened
relative to the one before; links are followed by hand, and only inside the folder; and what was
opened is checked once more before it is read.

The folder itself may be a link. Links inside it are fine: Kubernetes mounts a model as links into
``..data``.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from attrs import evolve, frozen

from tf2spark.errors import ModelError

MAX_FILES = 100_000
"""How many files a model may have."""
MAX_BYTES = 1 << 40
"""How many bytes all files of a model may have."""
_MAX_LINKS = 40
_MAX_DEPTH = 64
_CHUNK_BYTES = 1 << 20
# Without O_NONBLOCK, opening a pipe that was put in a file's place would wait for its writer.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_OPEN_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@frozen
class Stamp:
    """What changes whenever the content of a file does, as far as the file system tells."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


@frozen
class ListedFile:
    """A file of a model's folder: its path relative to the folder, and its stamp."""

    path: str
    stamp: Stamp

    def is_same(self, other: ListedFile) -> bool:
        """Return whether nobody has written to the file or replaced it.

        The time of the inode's last change doesn't count: a backup that makes links changes it.
        """
        return evolve(self.stamp, changed_ns=0) == evolve(other.stamp, changed_ns=0)


def list_files(folder: Path) -> tuple[ListedFile, ...]:
    """List the files of a folder tree, sorted by path; those behind links under the links' paths.

    Names at its top that begin with ``..`` are left out: Kubernetes keeps a model's versions there.

    Raises:
        ModelError: The folder has something that is not a regular file, a link that leads out of
            it, more than `MAX_FILES` files, or more than `MAX_BYTES`.
    """
    with _Folder.opened(folder) as opened:
        files = opened.walk()
    total_bytes = sum(file.stamp.size_bytes for file in files)
    if total_bytes > MAX_BYTES:
        raise ModelError(
            f'"{folder}" has files of {total_bytes:,} bytes; a model may have {MAX_BYTES:,}'
        )
    return tuple(sorted(files, key=lambda file: file.path))


@contextmanager
def open_inside(folder: Path, path: str) -> Iterator[BinaryIO]:
    """Open a file of a folder.

    Args:
        folder: The folder.
        path: The file's path relative to it.

    Raises:
        ModelError: It is missing, is not a regular file, or lies outside of the folder.
    """
    with _Folder.opened(folder) as opened, opened.open(path) as stream:
        yield stream


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a file that Spark or tf2spark wrote; unlike in a model's folder, links are followed.

    Raises:
        ModelError: It is missing, or not a regular file.
    """
    with _explained(path):
        # Looked at first: opening a device may do something.
        _check_regular(path.stat(), path)
        stream = os.fdopen(os.open(path, _OPEN_FILE & ~os.O_NOFOLLOW), "rb")
    with stream:
        _check_regular(os.fstat(stream.fileno()), path)
        yield stream


def stamp_inside(folder: Path, path: str) -> Stamp:
    """Return the stamp of a file of a folder; nothing is read. Errors are as in `open_inside`."""
    with _Folder.opened(folder) as opened:
        return opened.stamp(path)


def read_inside(folder: Path, path: str, limit_bytes: int) -> tuple[bytes, Stamp]:
    """Return the content of a file of a folder, and its stamp.

    Raises:
        ModelError: As in `open_inside`; or it is larger than the limit, or changes meanwhile.
    """
    with open_inside(folder, path) as stream:
        stamp = Stamp.of(os.fstat(stream.fileno()))
        if stamp.size_bytes > limit_bytes:
            raise ModelError(
                f'"{folder / path}" has {stamp.size_bytes:,} bytes, and may have {limit_bytes:,}'
            )
        content = _read(stream, stamp.size_bytes + 1)
        if len(content) != stamp.size_bytes or Stamp.of(os.fstat(stream.fileno())) != stamp:
            raise ModelError(f'"{folder / path}" changed while it was being read: open it again')
        return content, stamp


def sha256_of(
    stream: BinaryIO, target: BinaryIO | None = None, *, limit_bytes: int | None = None
) -> tuple[str, int]:
    """Return the SHA-256 (hex) and the size of what a stream still has, and copy it to `target`.

    No more is read than `limit_bytes`, or else than the file had at the start and a byte, so that
    a file that grows has an end.

    Raises:
        ModelError: The stream can't be read.
    """
    total, read_bytes = hashlib.sha256(), 0
    if limit_bytes is None:
        limit_bytes = os.fstat(stream.fileno()).st_size + 1
    while chunk := _read(stream, min(_CHUNK_BYTES, limit_bytes - read_bytes)):
        total.update(chunk)
        read_bytes += len(chunk)
        if target is not None:
            target.write(chunk)
    return total.hexdigest(), read_bytes


def _read(stream: BinaryIO, size_bytes: int) -> bytes:
    try:
        return stream.read(size_bytes)
    except OSError as error:  # not to be taken for one of the file that is written
        raise ModelError(f"a file of the model can't be read: {error.strerror or error}") from None


Parents = tuple[tuple[int, int], ...]
"""The folders that lead to a file: the device and inode of each."""


class _Folder:
    """An open folder, and the walks that stay inside of it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[_Folder]:
        with _explained(path):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield cls(path, descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        full_path = self._path / path
        with ExitStack() as stack:
            with _explained(full_path):
                parent, name, status = self._resolve(path, stack)
                _check_regular(status, full_path)
                descriptor = os.open(name, _OPEN_FILE, dir_fd=parent)
                stream = stack.enter_context(os.fdopen(descriptor, "rb"))
                # It may be another file than the one that was looked at.
                _check_regular(os.fstat(descriptor), full_path)
            yield stream

    def stamp(self, path: str) -> Stamp:
        with _explained(self._path / path), ExitStack() as stack:
            status = self._resolve(path, stack)[2]
            _check_regular(status, self._path / path)
            return Stamp.of(status)

    def walk(self) -> list[ListedFile]:
        files: list[ListedFile] = []
        self._walk("", self._descriptor, (), files)
        return files

    def _walk(self, prefix: str, folder: int, parents: Parents, files: list[ListedFile]) -> None:
        """Add the files of an open folder to `files`; `parents` are the folders that lead to it."""
        with _explained(self._path / prefix):
            status = os.fstat(folder)
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries]
        identity = (status.st_dev, status.st_ino)
        if identity in parents or len(parents) > _MAX_DEPTH:
            raise ModelError(
                f'"{self._path / prefix}" is a folder inside itself, through a link, or inside '
                f"more than {_MAX_DEPTH} others: a model has no such folder"
            )
        for name in names:
            if prefix or not name.startswith(".."):
                self._add(f"{prefix}{name}", folder, (*parents, identity), files)

    def _add(self, path: str, folder: int, parents: Parents, files: list[ListedFile]) -> None:
        """Add the file at a path, or the files of the folder there; `folder` is the open parent."""
        with ExitStack() as stack:
            with _explained(self._path / path):
                name = path.rpartition("/")[2]
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    folder, name, status = self._resolve(path, stack)
                if not stat.S_ISDIR(status.st_mode):
                    _check_regular(status, self._path / path)
                    files.append(ListedFile(path, Stamp.of(status)))
                    if len(files) > MAX_FILES:
                        raise ModelError(
                            f'"{self._path}" has more than {MAX_FILES:,} files; is it a model?'
                        )
                    return
                inner = _open_folder(name, folder, stack)
            self._walk(f"{path}/", inner, parents, files)

    def _resolve(self, path: str, stack: ExitStack) -> tuple[int, str, os.stat_result]:
        """Follow a path and its links from this folder on.

        Args:
            path: The path, relative to this folder.
            stack: Closes the folders that are opened on the way.

        Returns:
            The open folder that has the file or folder, its name there, and its status.

        Raises:
            ModelError: The path leads out of this folder.
        """
        folders = [self._descriptor]
        names, links = deque(path.split("/")), 0
        while names:
            name = names.popleft()
            if name in ("", "."):
                continue
            if name == "..":
                folders.pop()
                if not folders:
                    raise self._leads_outside(path)
                continue
            status = os.stat(name, dir_fd=folders[-1], follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > _MAX_LINKS:
                    raise ModelError(f'"{self._path / path}" is a link to itself')
                target = os.readlink(name, dir_fd=folders[-1])
                if target.startswith("/"):
                    target, folders = self._relative(target, path), [self._descriptor]
                names.extendleft(reversed(target.split("/")))
            elif all(rest in ("", ".") for rest in names):
                return folders[-1], name, status
            else:
                folders.append(_open_folder(name, folders[-1], stack))
        return folders[-1], ".", os.fstat(folders[-1])

    def _relative(self, target: str, path: str) -> str:
        """Return the target of an absolute link relative to this folder."""
        for root in (os.path.realpath(self._path), os.path.abspath(self._path)):
            if target.startswith(f"{root}/"):
                return target[len(root) + 1 :]
        raise self._leads_outside(path)

    def _leads_outside(self, path: str) -> ModelError:
        return ModelError(
            f'"{self._path / path}" is a link that leads out of the model\'s folder: a model has '
            "all of its files in its folder; copy it with its links resolved (cp -rL)"
        )


def _open_folder(name: str, parent: int, stack: ExitStack) -> int:
    descriptor = os.open(name, _OPEN_FOLDER, dir_fd=parent)
    stack.callback(os.close, descriptor)
    return descriptor


def _check_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise ModelError(f'"{path}" is {kind}; a model has only regular files: remove it')


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn errors of the file system into errors that name the file."""
    try:
        yield
    except ModelError:  # some of its classes are an OSError too
        raise
    except FileNotFoundError:
        is_link = os.path.islink(path)
        why = "is a link to nowhere" if is_link else "is missing"
        raise ModelError(f'"{path}" {why}') from None
    except (OSError, ValueError) as error:  # a ValueError for a NUL in the path
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ModelError(f'"{path}" can\'t be read: {why}') from None
