"""Libraries of custom ops, loaded into this process through ``TF_LoadLibrary``.

A Python package's libraries are found on disk: the package isn't imported, which would import
TensorFlow's Python as well. A process loads each library once, and never unloads it.

Format of ``TF_GetOpList``: ``OpList`` and ``OpDef`` in ``tensorflow/core/framework/op_def.proto``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import mmap
import os
import re
import struct
import threading
from collections.abc import Iterator
from ctypes import string_at
from pathlib import Path

from attrs import frozen

from tf2spark.errors import SetupError
from tf2spark.package.safe_files import open_regular, sha256_of
from tf2spark.tensorflow_c.failure import DATA_LOSS, TensorFlowFailure
from tf2spark.tensorflow_c.library import status, tensorflow, version

# Names that an op library needs from TensorFlow, in C++ and in C. A package has other libraries as
# well: Python's extension modules, and what they share.
_REGISTRATIONS = (
    b"OpDefBuilder",
    b"OpKernelRegistrar",
    b"TF_RegisterOpDefinition",
    b"TF_RegisterKernelBuilder",
)
# A name that only TensorFlow itself has, and what uses it through its C API.
_TENSORFLOW_ITSELF = b"TF_LoadSessionFromSavedModel"
_ENDINGS = (".so", ".dylib")
# ydf itself has no ops: they are in its companions, of which one is installed.
_COMPANIONS = {"ydf": ("ydf_tf", "tensorflow_decision_forests")}
# Where the package to install has another name than the module.
_INSTALLED_AS = {"ydf": "ydf-tf"}
_TRUNCATED = "the file is truncated"
_lock = threading.RLock()
_loaded: dict[str, LoadedLibrary] = {}


@frozen
class LoadedLibrary:
    """What loading an op library gave.

    Attributes:
        ops: The ops that it registered.
        failures: Why some of its files couldn't be loaded.
    """

    ops: frozenset[str]
    failures: tuple[str, ...] = ()


def load_module(name: str) -> LoadedLibrary:
    """Load all op libraries of an installed Python package; once a process.

    Files that can't be loaded are left out, unless there are no others.

    Args:
        name: The name of the package or one of its modules, such as "tensorflow_text".

    Raises:
        SetupError: The package isn't installed, has no op libraries, or was built for another
            TensorFlow; or TensorFlow is missing.
    """
    with _lock:
        if name not in _loaded:
            _loaded[name] = _load_files(name, _files_of_module(name))
        return _loaded[name]


def load_file(path: Path, name: str, sha256: str) -> LoadedLibrary:
    """Load one op library; once a process, wherever it lies.

    Args:
        path: The file.
        name: Its name, for messages.
        sha256: Its SHA-256 (hex).

    Raises:
        SetupError: It isn't an op library, or was built for another TensorFlow; or TensorFlow is
            missing.
    """
    with _lock:
        if sha256 not in _loaded:
            if not _registers_ops(path):
                raise SetupError(f"{name} is not a library of TensorFlow ops: it registers none")
            _loaded[sha256] = _load_files(name, [path])
        return _loaded[sha256]


def is_loaded(key: str) -> bool:
    """Return whether a module, or the file with a SHA-256, was loaded in this process."""
    return key in _loaded


def _files_of_module(name: str) -> list[Path]:
    candidates = (name, *_COMPANIONS.get(name, ()))
    installed = [module for module in candidates if _folders(module) or _single_file(module)]
    for module in installed:
        files = [path for path in _libraries_of(module) if _registers_ops(path)]
        if files:
            return files
    package = _package_of(name)
    where = "every Python that runs the model (on Spark: each executor's) needs it"
    if not installed and not _is_module(name):
        raise SetupError(
            f"the op library {name} is not installed for this Python",
            f"{where}: pip install {package}{_for_tensorflow()}",
        )
    advice = f"{where}: pip install {package}" if name in _COMPANIONS else None
    raise SetupError(f"the package {name} has no library of TensorFlow ops", advice)


def _package_of(name: str) -> str:
    """Return what to install for a module."""
    return _INSTALLED_AS.get(name, name.partition(".")[0].replace("_", "-"))


def _for_tensorflow() -> str:
    return f" (a release for TensorFlow {version()})"


def _is_module(name: str) -> bool:
    """Return whether a module is one of Python's own, or a single file of Python code."""
    try:
        return importlib.util.find_spec(name.partition(".")[0]) is not None and "." not in name
    except ValueError:
        return True


def _folders(module: str) -> list[Path]:
    """Return the folders of a package; a module inside of a package is not imported to be found."""
    top, _, rest = module.partition(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # of a module that was made by hand
        return []
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    inner = [Path(folder, *rest.split(".")) if rest else Path(folder) for folder in folders]
    return [folder for folder in inner if folder.is_dir()]


def _single_file(module: str) -> Path | None:
    """Return the library that a module consists of, as ``package/_ops.so``."""
    parent, _, last = module.rpartition(".")
    if not parent:
        try:
            spec = importlib.util.find_spec(module)
        except ValueError:
            return None
        origin = None if spec is None else spec.origin
        return Path(origin) if origin and origin.endswith(_ENDINGS) else None
    paths = (folder / f"{last}{ending}" for folder in _folders(parent) for ending in _ENDINGS)
    return next((path for path in paths if path.is_file()), None)


def _libraries_of(module: str) -> list[Path]:
    single = _single_file(module)
    if single is not None:
        return [single]
    paths = (path for folder in _folders(module) for path in _walk(folder))
    return sorted({Path(os.path.realpath(path)): path for path in paths}.values())


def _walk(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if name.endswith(_ENDINGS))


def _registers_ops(path: Path) -> bool:
    """Return whether a file needs TensorFlow's functions that register ops or kernels."""
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                return False
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                registers = any(content.find(name) >= 0 for name in _REGISTRATIONS)
                return registers and content.find(_TENSORFLOW_ITSELF) < 0
    except OSError:
        return False


def _load_files(name: str, files: list[Path]) -> LoadedLibrary:
    """Load files in an order in which those that need others follow them, as far as there is one.

    Raises:
        SetupError: None of them can be loaded.
    """
    tensorflow()
    ops: set[str] = set()
    pending, loaded_any = files, False
    failures: dict[Path, str] = {}
    while pending:
        failures = {}
        for path in pending:
            try:
                ops |= _load(path)
                loaded_any = True
            except TensorFlowFailure as failure:
                failures[path] = failure.message
        if len(failures) == len(pending):
            break
        pending = list(failures)
    if not loaded_any:
        raise _cant_be_loaded(name, next(iter(failures.values())))
    return LoadedLibrary(
        frozenset(ops), tuple(f"{path.name}: {why}" for path, why in failures.items())
    )


def _load(path: Path) -> frozenset[str]:
    """Load a library, and return the names of the ops that it registered.

    Raises:
        TensorFlowFailure: It can't be loaded.
    """
    lib = tensorflow()
    if _is_truncated(path):
        raise TensorFlowFailure(DATA_LOSS, _TRUNCATED)
    # TensorFlow remembers what a path registered. A copy of a loaded library must not be loaded:
    # its kernels would be registered twice, and then TensorFlow runs neither.
    target = _loaded_copy(path) or path
    with status() as state:
        handle: int = lib.TF_LoadLibrary(os.fsencode(target), state)
    try:
        listed = lib.TF_GetOpList(handle)
        names = frozenset(_op_names(string_at(listed.data, listed.length)))
    finally:
        lib.TF_DeleteLibraryHandle(handle)  # the handle alone: nothing is unloaded
    # Nothing is new where TensorFlow's Python loaded the file, under another spelling of its path.
    return names or _registered_before(target)


def _is_truncated(path: Path) -> bool:
    """Return whether a library lacks its end, as after an interrupted copy.

    The dynamic linker maps such a file, and the process is killed where it reads it. Format:
    elf(5), Elf64_Ehdr and Elf64_Phdr.
    """
    with path.open("rb") as stream:
        header = stream.read(64)
        size_bytes = os.fstat(stream.fileno()).st_size
        if header[:5] != b"\x7fELF\x02":
            return False  # the dynamic linker itself refuses it, or it is a system without ELF
        if len(header) < 64:
            return True
        segments_at, sections_at = struct.unpack_from("<QQ", header, 32)
        segment_bytes, segments, section_bytes, sections = struct.unpack_from("<4H", header, 54)
        stream.seek(segments_at)
        table = stream.read(segment_bytes * segments)
    ends = [segments_at + segment_bytes * segments, sections_at + section_bytes * sections]
    for start in range(0, len(table) - 39, segment_bytes or 1):
        offset, *_, length = struct.unpack_from("<4Q", table, start + 8)
        ends.append(offset + length)
    return bool(max(ends) > size_bytes)


def _registered_before(path: Path) -> frozenset[str]:
    """Return the registered ops whose names are strings in a library that was loaded before."""
    lib = tensorflow()
    buffer = lib.TF_GetAllOpList()
    try:
        content = string_at(buffer.contents.data, buffer.contents.length)
    finally:
        lib.TF_DeleteBuffer(buffer)
    strings = path.read_bytes()
    return frozenset(name for name in _op_names(content) if b"\0%b\0" % name.encode() in strings)


def _loaded_copy(path: Path) -> Path | None:
    """Return another file with the same bytes that this process has mapped."""
    size_bytes, digest = path.stat().st_size, None
    for mapped in _mapped_files():
        try:
            if mapped.stat().st_size != size_bytes or mapped.samefile(path):
                continue
            digest = digest or _sha256(path)
            if _sha256(mapped) == digest:
                return mapped
        except OSError:
            continue
    return None


def _mapped_files() -> set[Path]:
    try:
        lines = Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        return set()
    paths = (line.split(maxsplit=5)[5:] for line in lines)
    return {Path(path[0]) for path in paths if path and path[0].endswith(_ENDINGS)}


def _sha256(path: Path) -> str:
    with open_regular(path) as stream:
        return sha256_of(stream)[0]


def _op_names(op_list: bytes) -> Iterator[str]:
    """Yield the names in a serialized ``OpList``: field 1 of each message in its field 1."""
    for op in _length_delimited(op_list, 1):
        yield from (name.decode() for name in _length_delimited(op, 1))


def _length_delimited(message: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the values of one field of a serialized message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, wire_type = key >> 3, key & 7
        if wire_type == 2:
            length, position = _varint(message, position)
            if field == wanted:
                yield message[position : position + length]
            position += length
        elif wire_type == 0:
            _, position = _varint(message, position)
        else:
            position += {1: 8, 5: 4}[wire_type]


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[position]
        value, position, shift = value | (byte & 0x7F) << shift, position + 1, shift + 7
        if byte < 0x80:
            return value, position


_FOREIGN = re.compile("undefined symbol|symbol not found|version `(GLIBCXX|CXXABI)", re.IGNORECASE)
_NEEDS_TENSORFLOW = re.compile(r"libtensorflow_framework\S*: cannot open shared object")
_NEEDS_OTHER = re.compile(r"(\S+): cannot open shared object file")


def _cant_be_loaded(name: str, why: str) -> SetupError:
    """Return the error of a library that the dynamic linker refuses, with what to install."""
    release = version()
    if why == _TRUNCATED:
        return SetupError(f"the op library {name} is truncated: install or copy it again")
    installed = _installed_version(name)
    library = f"the op library {name}{f' {installed}' if installed else ''}"
    package = _package_of(name)
    minor = ".".join(release.split(".")[:2])
    if name.endswith(_ENDINGS):
        advice = f"build it again with TensorFlow {release}"
    else:
        advice = f"install a release of {package} that was built for TensorFlow {minor}"
    if _FOREIGN.search(why) or _NEEDS_TENSORFLOW.search(why):
        problem = f"{library} was built for another version than TensorFlow {release}: {why}"
        return SetupError(problem, advice)
    if missing := _NEEDS_OTHER.search(why):
        return SetupError(
            f"{library} can't be loaded into TensorFlow {release}: it needs {missing[1]}, which "
            "is not on this machine",
            f"install what has it, or a release of {package} that doesn't need it",
        )
    return SetupError(f"{library} can't be loaded into TensorFlow {release}: {why}", advice)


def _installed_version(name: str) -> str | None:
    for distribution in (name, *_COMPANIONS.get(name, ())):
        try:
            return importlib.metadata.version(distribution.partition(".")[0])
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
