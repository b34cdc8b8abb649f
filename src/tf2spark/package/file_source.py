"""Where the files of a model lie before they are in the host cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from attrs import field, frozen

from tf2spark.errors import ModelError
from tf2spark.package.known_hashes import LARGE_BYTES
from tf2spark.package.manifest import FILES, FileEntry
from tf2spark.package.safe_files import open_inside, open_regular, sha256_of
from tf2spark.package.shipped_chunks import joined
from tf2spark.package.stored_names import readable_names

_COPIED = ("saved_model.pb", "assets/")
"""What is always copied into the host cache: the graph, and the files that its ops read."""


class FileSource(Protocol):
    """A place with the files of a model."""

    def open(self, entry: FileEntry) -> AbstractContextManager[BinaryIO]:
        """Open a file.

        Raises:
            ModelError: It is missing or isn't a regular file.
        """

    def mismatch(self, entry: FileEntry) -> ModelError:
        """Return the error for a file whose bytes are not those of its entry."""

    def original(self, entry: FileEntry) -> Path | None:
        """Return the file that the host cache may link to; None where it has to be copied."""


@frozen
class ModelFolder:
    """A SavedModel's folder on this machine, which others may overwrite at any time."""

    folder: Path

    @contextmanager
    def open(self, entry: FileEntry) -> Iterator[BinaryIO]:
        with _opened(open_inside(self.folder, entry.path), self._changed) as stream:
            yield stream

    def mismatch(self, entry: FileEntry) -> ModelError:
        return self._changed(f"{entry.path} has other bytes")

    def _changed(self, how: str) -> ModelError:
        return ModelError(f'"{self.folder}" changed after it was read: {how}; open the model again')

    def original(self, entry: FileEntry) -> Path | None:
        is_copied = entry.path.startswith(_COPIED)
        if entry.size_bytes < LARGE_BYTES or is_copied:
            return None
        return Path(os.path.realpath(self.folder / entry.path))


@frozen
class PackageFolder:
    """A package on this machine."""

    folder: Path

    @contextmanager
    def open(self, entry: FileEntry) -> Iterator[BinaryIO]:
        names = readable_names(entry.sha256, entry.path)
        present = (name for name in names if os.path.lexists(self.folder / FILES / name))
        opening = open_inside(self.folder, f"{FILES}/{next(present, names[0])}")
        with _opened(opening, lambda problem: _cant_be_opened(entry, problem)) as stream:
            yield stream

    def mismatch(self, entry: FileEntry) -> ModelError:
        return damaged(self.folder / FILES / entry.stored, entry)

    def original(self, entry: FileEntry) -> Path | None:
        # Workers map the files of a package, and a mapped file must not change.
        return None


@frozen
class ShippedFiles:
    """Files that came with the job.

    Attributes:
        locate: Returns where a file lies on this host.
        chunks: What reads the chunks of the files that came in chunks, by the files' SHA-256.
    """

    locate: Callable[[FileEntry], Path]
    chunks: Mapping[str, Sequence[Callable[[], bytes]]] = field(factory=dict)

    @contextmanager
    def open(self, entry: FileEntry) -> Iterator[BinaryIO]:
        if (chunks := self.chunks.get(entry.sha256)) is not None:
            with joined(chunks) as stream:
                yield stream
            return
        opening = open_regular(self.locate(entry))
        with _opened(opening, lambda problem: _cant_be_opened(entry, problem)) as stream:
            yield stream

    def mismatch(self, entry: FileEntry) -> ModelError:
        is_whole = entry.sha256 not in self.chunks
        return damaged(self.locate(entry) if is_whole else entry.stored, entry)

    def original(self, entry: FileEntry) -> Path | None:
        return None


@contextmanager
def _opened(
    opening: AbstractContextManager[BinaryIO], explain: Callable[[str], ModelError]
) -> Iterator[BinaryIO]:
    """Open a file; if that fails, raise the error that `explain` makes of the problem."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(opening)
        except ModelError as error:
            raise explain(str(error)) from None
        yield stream


def _cant_be_opened(entry: FileEntry, problem: str) -> ModelError:
    return ModelError(f"{entry.path} of the package can't be read: {problem}")


def damaged(location: object, entry: FileEntry) -> ModelError:
    """Return the error for a file of a package whose bytes are not those of the manifest."""
    return ModelError(
        f'"{location}" ({entry.path}) is damaged: its SHA-256 doesn\'t match the manifest; copy '
        "the package again"
    )


def copy_verified(source: FileSource, entry: FileEntry, target: Path, *, mode: int = 0o600) -> None:
    """Copy a file to a path where nothing is, and verify what was copied.

    Args:
        source: Where the file is.
        entry: The file.
        target: The path of the copy.
        mode: Its permissions. By default it is this user's alone, whatever the umask.

    Raises:
        ModelError: The file is missing, or its bytes are not those of the entry.
        OSError: `target` can't be written.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as output, source.open(entry) as stream:
        content = sha256_of(stream, output, limit_bytes=entry.size_bytes + 1)
        if content != (entry.sha256, entry.size_bytes):
            raise source.mismatch(entry)
