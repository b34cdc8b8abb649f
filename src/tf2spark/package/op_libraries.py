"""Libraries of custom ops that a user names: what they are called, and their files.

A library is named by a Python module, of which every machine that runs the model has its own copy,
or by the path of a file, which travels with the job like the files of the model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from attrs import field, frozen

from tf2spark.errors import Advice, ContractError, ModelError
from tf2spark.package.manifest import FileEntry
from tf2spark.package.safe_files import open_regular, sha256_of
from tf2spark.shown_text import redact

_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_FILE_ENDINGS = (".so", ".dylib")
# To load these into TensorFlow would end the process: they are TensorFlow a second time.
_TENSORFLOW_ITSELF = re.compile(r"(tensorflow|tf)(\.\w+)*|libtensorflow[\w]*\.(so|dylib)[.\d]*")


@frozen
class OpLibrary:
    """A library of custom ops.

    Attributes:
        name: The module, or the name of the file.
        file: The file with its SHA-256; None for a module.
        path: Where the file is on this machine; "" for a module.
    """

    name: str
    file: FileEntry | None = None
    path: str = field(default="", eq=False)

    @property
    def key(self) -> str:
        """What tells libraries apart, whatever their paths."""
        return self.name if self.file is None else self.file.sha256


def find_libraries(
    names: Iterable[str | os.PathLike[str]] | None, fetch: Callable[[str], str]
) -> tuple[OpLibrary, ...]:
    """Return the libraries that a user names; files are read, and modules are not looked for.

    Args:
        names: Modules ("tensorflow_text"), and paths or URIs of files ("ops/my_ops.so"). None is
            none.
        fetch: Returns the path on this machine of a path or URI.

    Raises:
        ContractError: A name is neither a module nor a path.
        ModelError: There is no such file.
    """
    if isinstance(names, str | os.PathLike):
        raise ContractError(
            f"op_libraries takes a list, and got {os.fspath(names)!r}",
            argument_for([os.fspath(names)]),
        )
    found = [_library(name, fetch) for name in names or ()]
    return tuple({library.key: library for library in found}.values())


def argument_for(names: Iterable[str]) -> Advice:
    """Write the argument that names these libraries, for each audience."""
    listed = list(names)
    quoted = ", ".join(f'"{name}"' for name in listed)
    return Advice(f"op_libraries=[{quoted}]", " ".join(f"--op-library {name}" for name in listed))


def _library(name: object, fetch: Callable[[str], str]) -> OpLibrary:
    if isinstance(name, os.PathLike):
        return _file_library(os.fspath(name), fetch)
    if not isinstance(name, str):
        module = getattr(name, "__name__", "tensorflow_text")
        _refuse_tensorflow(str(module))
        raise ContractError(
            f"an op library is named by its module or its path, not by {type(name).__name__}",
            argument_for([str(module)]),
        )
    _refuse_tensorflow(name)
    if "/" in name or os.sep in name or name.endswith(_FILE_ENDINGS) or ".so." in name:
        return _file_library(name, fetch)
    if not _MODULE.fullmatch(name):
        module = re.sub(r"\W", "_", name.strip())
        raise ContractError(
            f"{name!r} is not the name of a Python module, nor the path of a library",
            Advice("as a module: ", "as a module: ") + argument_for([module]),
        )
    return OpLibrary(name)


def _refuse_tensorflow(name: str) -> None:
    if _TENSORFLOW_ITSELF.fullmatch(os.path.basename(name)):
        raise ContractError(
            f"the op library {name} is TensorFlow itself, whose own ops need no library",
            Advice("leave it out of op_libraries", f"leave out --op-library {name}"),
        )


def _file_library(path: str, fetch: Callable[[str], str]) -> OpLibrary:
    _refuse_tensorflow(path)
    local = Path(os.path.realpath(os.path.expanduser(fetch(path))))
    if local.is_dir():
        raise ModelError(
            f'the op library "{redact(path)}" is a folder',
            "name the file in it (.so), or the Python module that it is",
        )
    if not local.is_file():
        raise ModelError(f'there is no op library at "{redact(path)}"')
    name = os.path.basename(path)
    with open_regular(local) as stream:
        sha256, size_bytes = sha256_of(stream)
    return OpLibrary(name, FileEntry(name, sha256, size_bytes), str(local))


@frozen
class LibraryFile:
    """An op library on this machine, as the source of its only file (a `FileSource`)."""

    path: Path

    def open(self, entry: FileEntry) -> AbstractContextManager[BinaryIO]:
        return open_regular(self.path)

    def mismatch(self, entry: FileEntry) -> ModelError:
        return ModelError(
            f'the op library "{self.path}" changed after it was read: open the model again'
        )

    def original(self, entry: FileEntry) -> Path | None:
        return None
