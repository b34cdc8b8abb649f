"""TensorFlow's C API, bound with ctypes: the library is found, loaded once and declared here.

Signatures from ``tensorflow/c/c_api.h``, ``tf_tensor.h``, ``tf_tstring.h``, ``tf_buffer.h`` and
``tf_status.h``. TensorFlow's Python package is never imported.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from tf2spark.errors import SetupError
from tf2spark.tensorflow_c.failure import TensorFlowFailure, readable
from tf2spark.tensorflow_c.quiet_stderr import quiet

OLDEST_VERSION = (2, 16)
_INSTALL = "pip install -U tensorflow-cpu (or tensorflow)"


class TFOutput(ctypes.Structure):
    """``TF_Output``: one output of one operation."""

    _fields_ = (("oper", c_void_p), ("index", c_int))


class TFBuffer(ctypes.Structure):
    """``TF_Buffer``: bytes with a length."""

    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


Deallocator = ctypes.CFUNCTYPE(None, c_void_p, c_size_t, c_void_p)
_outputs = ctypes.POINTER(TFOutput)
_pointers = ctypes.POINTER(c_void_p)
_buffer = ctypes.POINTER(TFBuffer)
_dims = ctypes.POINTER(c_int64)

# name: (result, arguments). Opaque pointers are plain integers (c_void_p). Every function that is
# called must be declared: ctypes truncates undeclared pointers to a C int of 32 bits.
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TF_Version": (c_char_p, ()),
    "TF_NewStatus": (c_void_p, ()),
    "TF_DeleteStatus": (None, (c_void_p,)),
    "TF_GetCode": (c_int, (c_void_p,)),
    "TF_Message": (c_char_p, (c_void_p,)),
    "TF_NewBufferFromString": (_buffer, (c_char_p, c_size_t)),
    "TF_DeleteBuffer": (None, (_buffer,)),
    "TF_NewTensor": (
        c_void_p,
        (c_int, _dims, c_int, c_void_p, c_size_t, Deallocator, c_void_p),
    ),
    "TF_DeleteTensor": (None, (c_void_p,)),
    "TF_NumDims": (c_int, (c_void_p,)),
    "TF_Dim": (c_int64, (c_void_p, c_int)),
    "TF_TensorByteSize": (c_size_t, (c_void_p,)),
    "TF_TensorData": (c_void_p, (c_void_p,)),
    "TF_StringGetType": (c_int, (c_void_p,)),
    "TF_StringGetSize": (c_size_t, (c_void_p,)),
    "TF_StringGetDataPointer": (c_void_p, (c_void_p,)),
    "TF_LoadLibrary": (c_void_p, (c_char_p, c_void_p)),
    "TF_GetOpList": (TFBuffer, (c_void_p,)),
    "TF_GetAllOpList": (_buffer, ()),
    "TF_DeleteLibraryHandle": (None, (c_void_p,)),
    "TF_NewGraph": (c_void_p, ()),
    "TF_DeleteGraph": (None, (c_void_p,)),
    "TF_GraphOperationByName": (c_void_p, (c_void_p, c_char_p)),
    "TF_GraphNextOperation": (c_void_p, (c_void_p, ctypes.POINTER(c_size_t))),
    "TF_GraphGetTensorNumDims": (c_int, (c_void_p, TFOutput, c_void_p)),
    "TF_GraphGetTensorShape": (None, (c_void_p, TFOutput, _dims, c_int, c_void_p)),
    "TF_NewImportGraphDefOptions": (c_void_p, ()),
    "TF_DeleteImportGraphDefOptions": (None, (c_void_p,)),
    "TF_ImportGraphDefOptionsSetPrefix": (None, (c_void_p, c_char_p)),
    "TF_GraphImportGraphDef": (None, (c_void_p, _buffer, c_void_p, c_void_p)),
    "TF_NewOperation": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "TF_AddInput": (None, (c_void_p, TFOutput)),
    "TF_SetAttrType": (None, (c_void_p, c_char_p, c_int)),
    "TF_SetAttrTensor": (None, (c_void_p, c_char_p, c_void_p, c_void_p)),
    "TF_FinishOperation": (c_void_p, (c_void_p, c_void_p)),
    "TF_OperationName": (c_char_p, (c_void_p,)),
    "TF_OperationGetAttrTensor": (None, (c_void_p, c_char_p, _pointers, c_void_p)),
    "TF_OperationNumOutputs": (c_int, (c_void_p,)),
    "TF_OperationOutputType": (c_int, (TFOutput,)),
    "TF_NewSessionOptions": (c_void_p, ()),
    "TF_DeleteSessionOptions": (None, (c_void_p,)),
    "TF_SetConfig": (None, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "TF_NewSession": (c_void_p, (c_void_p, c_void_p, c_void_p)),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        (
            c_void_p,
            _buffer,
            c_char_p,
            ctypes.POINTER(c_char_p),
            c_int,
            c_void_p,
            _buffer,
            c_void_p,
        ),
    ),
    "TF_CloseSession": (None, (c_void_p, c_void_p)),
    "TF_DeleteSession": (None, (c_void_p, c_void_p)),
    "TF_SessionRun": (
        None,
        (
            c_void_p,
            _buffer,
            _outputs,
            _pointers,
            c_int,
            _outputs,
            _pointers,
            c_int,
            _pointers,
            c_int,
            _buffer,
            c_void_p,
        ),
    ),
}

_lock = threading.Lock()


def library_path() -> str:
    """Return the path of TensorFlow's C library inside the installed package.

    Raises:
        SetupError: TensorFlow isn't installed for this Python, or has no such library.
    """
    # find_spec of a top-level package only locates it, without running any of its code.
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            f"TensorFlow is not installed for {sys.executable} on {socket.gethostname()}",
            "every Python that scores (on Spark: each executor's) needs it: "
            "pip install tensorflow-cpu (or tensorflow)",
        )
    pattern = "libtensorflow_cc*.dylib" if sys.platform == "darwin" else "libtensorflow_cc.so*"
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    libraries = sorted(path for folder in folders for path in folder.glob(pattern))
    if not libraries:
        raise SetupError(
            f"TensorFlow in {folders[0]} has no {pattern}, which tf2spark runs models with",
            f"install TensorFlow {_oldest()} or later: {_INSTALL}",
        )
    return str(libraries[0])


def version() -> str:
    """Return the version of the TensorFlow library, such as "2.21.0"; loads it."""
    return _version_of(tensorflow())


def tensorflow() -> ctypes.CDLL:
    """Return TensorFlow's library with its functions declared; loaded at the first call.

    Raises:
        SetupError: It is missing, too old, or can't be loaded.
    """
    # functools.cache alone would let two threads load and declare it at the same time.
    with _lock:
        return _load()


@functools.cache
def _load() -> ctypes.CDLL:
    path = library_path()
    # Each session gets its own pool within ops. TensorFlow's default is one per process, sized by
    # its first session, so a session's last bits would depend on which sessions were opened before.
    # TensorFlow reads the variable once, when the first session is created.
    os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")
    try:
        with quiet():
            loaded = ctypes.CDLL(path, handle=_open_lazily(path))
        _declare(loaded, "TF_Version")
        _refuse_old(_version_of(loaded), path)
        for name in _FUNCTIONS:
            _declare(loaded, name)
    except (OSError, AttributeError) as error:
        raise SetupError(
            f"TensorFlow's library {path} can't be loaded: {error}",
            f"tf2spark needs TensorFlow {_oldest()} or later; spark.executor.pyspark.memory, if "
            "set, must leave it 2 GB",
        ) from error
    return loaded


def _declare(loaded: ctypes.CDLL, name: str) -> None:
    function = getattr(loaded, name)
    function.restype, function.argtypes = _FUNCTIONS[name]


def _version_of(loaded: ctypes.CDLL) -> str:
    text: bytes = loaded.TF_Version()
    return text.decode()


def _refuse_old(release: str, path: str) -> None:
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST_VERSION:
        raise SetupError(
            f"TensorFlow {release} ({path}) is too old: tf2spark needs {_oldest()} or later",
            f"install it: {_INSTALL}",
        )


def _oldest() -> str:
    return ".".join(map(str, OLDEST_VERSION))


def _open_lazily(path: str) -> int:
    """Open a library whose functions are bound at their first call, and return its handle.

    ctypes itself would bind all of TensorFlow's 150,000 calls at once, which takes twice as long.
    """
    # RTLD_LOCAL keeps TensorFlow's symbols to itself. With RTLD_GLOBAL the BoringSSL inside it
    # would replace the OpenSSL that Python's _hashlib and ssl resolve their calls to.
    system = ctypes.CDLL(None)
    system.dlopen.restype, system.dlopen.argtypes = c_void_p, (c_char_p, c_int)
    system.dlerror.restype = c_char_p
    handle: int | None = system.dlopen(os.fsencode(path), os.RTLD_LAZY | os.RTLD_LOCAL)
    if handle is None:
        raise OSError((system.dlerror() or b"unknown reason").decode(errors="replace"))
    return handle


@contextmanager
def status() -> Iterator[int]:
    """Lend a ``TF_Status`` to one call; raise `TensorFlowFailure` if the call set an error."""
    lib = tensorflow()
    pointer: int = lib.TF_NewStatus()
    try:
        yield pointer
        check(lib, pointer)
    finally:
        lib.TF_DeleteStatus(pointer)


def check(lib: ctypes.CDLL, pointer: int) -> None:
    """Raise `TensorFlowFailure` if this ``TF_Status`` holds an error."""
    code: int = lib.TF_GetCode(pointer)
    if code:
        text: bytes = lib.TF_Message(pointer)
        raise TensorFlowFailure(code, readable(text.decode(errors="replace")))
