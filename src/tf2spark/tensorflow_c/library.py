"""TensorFlow's C API, bound with ctypes: the library is found, loaded once and declared here.

Signatures from ``tensorflow/c/c_api.h``, ``tf_tensor.h``, ``tf_buffer.h`` and ``tf_status.h``.
TensorFlow's Python package is never imported.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from tf2spark.errors import RunError, SetupError

# The codes of ``tsl_status.h`` that are told apart.
INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, OUT_OF_RANGE, DATA_LOSS = 3, 5, 9, 11, 15

# What kernels answer to values they can't work with: a gather out of range, a failed assertion, a
# malformed Example (3); a read past the end of the data (11); corrupt compressed bytes (15).
_ROW_CAUSED = frozenset({INVALID_ARGUMENT, OUT_OF_RANGE, DATA_LOSS})


class TensorFlowFailure(RunError):
    """TensorFlow answered with an error.

    Attributes:
        code: TensorFlow's status code (``tsl_status.h``).
        message: Its message, without the stack of nodes.
        row_caused: True where the values fed can be the cause, so that a smaller batch may pass.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def row_caused(self) -> bool:
        return self.code in _ROW_CAUSED


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

# name: (result, arguments). Opaque pointers are plain integers (c_void_p).
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
    "TF_StringGetDataPointer": (c_void_p, (c_void_p,)),
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
    # find_spec of a top-level package only looks for it, it runs nothing of it.
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            f"TensorFlow is not installed for {sys.executable}. Every Python that scores (on "
            "Spark: each executor's) needs it: pip install tensorflow-cpu (or tensorflow)"
        )
    pattern = "libtensorflow_cc*.dylib" if sys.platform == "darwin" else "libtensorflow_cc.so*"
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    found = sorted(path for folder in folders for path in folder.glob(pattern))
    if not found:
        raise SetupError(
            f"TensorFlow in {folders[0]} has no {pattern}, which tf2spark runs models with. "
            "Install TensorFlow 2.13 or later: pip install -U tensorflow-cpu (or tensorflow)"
        )
    return str(found[0])


def version() -> str:
    """Return the version of the TensorFlow library, such as "2.21.0"; loads it."""
    text: bytes = library().TF_Version()
    return text.decode()


def library() -> ctypes.CDLL:
    """Return TensorFlow's library with its functions declared; loaded at the first call.

    Raises:
        SetupError: It is missing or can't be loaded.
    """
    with _lock:
        return _load()


@functools.cache
def _load() -> ctypes.CDLL:
    path = library_path()
    try:
        with _quiet():
            loaded = ctypes.CDLL(path, handle=_open_lazily(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise SetupError(
            f"TensorFlow's library {path} can't be loaded: {error}. tf2spark needs TensorFlow "
            "2.13 or later; spark.executor.pyspark.memory, if set, must leave it 2 GB"
        ) from error
    return loaded


def _open_lazily(path: str) -> int:
    """Open a library whose functions are bound at their first call, and return its handle.

    Binding all of TensorFlow's 150,000 calls at once, as ctypes does, takes twice as long. With
    RTLD_GLOBAL its BoringSSL would take the place of the OpenSSL of Python's _hashlib.
    """
    system = ctypes.CDLL(None)
    system.dlopen.restype, system.dlopen.argtypes = c_void_p, (c_char_p, c_int)
    system.dlerror.restype = c_char_p
    handle: int | None = system.dlopen(os.fsencode(path), os.RTLD_LAZY | os.RTLD_LOCAL)
    if handle is None:
        raise OSError((system.dlerror() or b"unknown reason").decode(errors="replace"))
    return handle


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what TensorFlow says at its start off a terminal, unless the user asked to see it."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    # The oneDNN notice heeds no variable: it is written to descriptor 2 while the library loads.
    # In a log it does no harm, and there the last words of a load that dies must not be lost.
    if not os.isatty(2):
        yield
        return
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            said.seek(0)
            os.write(2, b"".join(line for line in said if not _CHATTER.match(line)))


_CHATTER = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} .*oneDNN custom operations"
)


@contextmanager
def status() -> Iterator[int]:
    """Give a ``TF_Status`` to one call; raise `TensorFlowFailure` if it came back as an error."""
    lib = library()
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


# "[[{{function_node f}}{{node a/b}}]]", then perhaps "[[a/c/_5]]"; only the first node helps.
_NODES = re.compile(r"\s*\[\[\{\{.*?\}\}\]\](?:\s*\[\[.*?\]\])*")
_NODE = re.compile(r"\{\{node ([^}]+)\}\}\]\]")
# Advice and bookkeeping for the people of TensorFlow.
_NOISE = re.compile(
    r"\s*\[Op:\w+\].*"
    r"|\s*Hint: If you want to see a list of allocated tensors.*"
    r"|\s*Make sure the Op and Kernel are registered in the binary.*"
    r"|\s*To inspect available tag-sets in the SavedModel.*"
    r"|\s*\d+ successful operations\."
    r"|\s*\d+ derived errors ignored\."
    r"| in binary running on \S+(?= Make)"
)
_FIRST_ROOT = re.compile(
    r"\d+ root error\(s\) found\.\s*\(0\) [\w ]+: (.*?)(?=\n\s*\(1\)|\Z)", re.DOTALL
)


def readable(message: str) -> str:
    """Return an error message without TensorFlow's stack of nodes, but with the failing one."""
    roots = _FIRST_ROOT.match(message)
    text = roots[1] if roots else message
    node = _NODE.search(text)
    lines = (line.strip() for line in _NOISE.sub("", _NODES.sub("", text)).splitlines())
    kept = "\n".join(line for line in lines if line) or "no message"
    return f"{kept} (node {node[1]})" if node else kept
