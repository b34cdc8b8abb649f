"""TensorFlow's own struct for a string, ``TF_TString``: the one module that knows its layout.

24 bytes, three 64-bit words. The two lowest bits of the first word say which of four forms it has:

==========  ===========================  ==================  ==========================
form        first word                   second word         third word
==========  ===========================  ==================  ==========================
large (1)   ``size << 2 | 1``            capacity            address of the bytes
view (3)    ``size << 2 | 3``            address             the bytes' owner, or 0
==========  ===========================  ==================  ==========================

(0 holds up to 22 bytes inline, 2 an offset; neither is used here.) Source:
``tsl/platform/ctstring_internal.h``. A ``TF_TString`` is internal to TensorFlow, so `check_layout`
compares what is written here with the library that is loaded.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from ctypes import c_void_p
from typing import Any

import numpy as np
import numpy.typing as npt

from tf2spark.dtypes import STRING
from tf2spark.errors import SetupError
from tf2spark.tensorflow_c.library import library_path, status, tensorflow, version
from tf2spark.tensorflow_c.operations import add_constant
from tf2spark.tensorflow_c.tensor import Tensor

VIEW = np.dtype("V24")
"""A string as one value of an array, so that strings are joined and padded as numbers are."""

Views = npt.NDArray[np.void]
_Words = npt.NDArray[np.uint64]
_WORDS = VIEW.itemsize // 8
_FORM_BITS = 2
_LARGE, _VIEW = 1, 3


def views(offsets: npt.NDArray[np.integer[Any]], address: int) -> Views:
    """Make the views of all values of an Arrow string or binary array.

    Args:
        offsets: int32 or int64 [n + 1], the array's offsets, those of a slice included.
        address: Where the array's data buffer starts; 0 if it has none.

    Returns:
        `VIEW` [n]. Nothing is copied: the data buffer must outlive every use of them, so whoever
        makes a `Tensor` of them keeps the Arrow array as its owner.
    """
    # A few vector operations for all values: this is the hot path of every string column.
    structs = np.empty((len(offsets) - 1, _WORDS), np.uint64)
    wide = offsets.astype(np.uint64, copy=False)
    np.subtract(wide[1:], wide[:-1], out=structs[:, 0])
    structs[:, 0] <<= np.uint64(_FORM_BITS)
    structs[:, 0] |= np.uint64(_VIEW)
    np.add(wide[:-1], np.uint64(address), out=structs[:, 1])
    # Anything but 0 in the last word would be followed: TensorFlow counts references to an owner.
    structs[:, 2] = 0
    return structs.reshape(-1).view(VIEW)


def views_of(texts: Sequence[str | bytes]) -> tuple[Views, object]:
    """Return the views of some strings, and the memory that must stay alive for them."""
    encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    data = np.frombuffer(b"".join(encoded), np.uint8)
    return views(offsets, data.ctypes.data), data


def string_scalar(text: bytes) -> Tensor:
    """Return a string as a tensor that ops may keep: a copy, in the large form."""
    structs, owner = zero_terminated(views_of([text])[0])
    return Tensor(STRING, (), structs, owner)


def zero_terminated(fed: npt.NDArray[Any]) -> tuple[Views, object]:
    """Copy the strings of views into the large form, with a zero byte after each.

    Returns:
        `VIEW` [n] of the large form, and the memory that must stay alive for them.
    """
    texts = strings_of(fed)
    lengths = np.array([len(text) for text in texts], np.int64)
    data = np.frombuffer(b"\0".join([*texts, b""]), np.uint8)
    structs = np.empty((len(texts), _WORDS), np.uint64)
    structs[:, 0] = (lengths.astype(np.uint64) << np.uint64(_FORM_BITS)) | np.uint64(_LARGE)
    structs[:, 1] = lengths
    structs[:, 2] = data.ctypes.data + np.cumsum(lengths + 1) - lengths - 1
    return structs.reshape(-1).view(VIEW), data


def strings_of(structs: npt.NDArray[Any]) -> list[bytes]:
    """Return the values that views, or structs of the large form, point to."""
    words = _words(structs).tolist()
    sizes = [(first >> _FORM_BITS) for first, _, _ in words]
    addresses = [third if _form(first) == _LARGE else second for first, second, third in words]
    pairs = zip(addresses, sizes, strict=True)
    return [ctypes.string_at(address, size) if size else b"" for address, size in pairs]


def _words(structs: npt.NDArray[Any]) -> _Words:
    return np.ascontiguousarray(structs).reshape(-1).view(np.uint64).reshape(-1, _WORDS)


def _form(first_word: int) -> int:
    return first_word & ((1 << _FORM_BITS) - 1)


@functools.cache
def check_layout() -> None:
    """Compare the layout above with the library's, once per process.

    Raises:
        SetupError: They differ. Feeding such a library would crash it, or give it other strings.
    """
    # An empty string, one that TensorFlow itself would keep inline, and one that it would not.
    texts = [b"", b"short", b"too long to be kept inline"]
    fed, owner = views_of(texts)
    large, copies = zero_terminated(fed)
    problem = (
        _misread(fed, _VIEW, texts, owner)
        or _misread(large, _LARGE, texts, copies)
        or _wrong_size(fed[2:], texts[2], owner)
    )
    if problem:
        raise SetupError(
            f"TensorFlow {version()} ({library_path()}) doesn't lay strings out in memory as "
            f"tf2spark expects: {problem}",
            "TensorFlow 2.21 is known to work (pip install 'tensorflow-cpu==2.21.*'); a newer "
            "tf2spark may support this one",
        )


def _misread(structs: Views, form: int, texts: Sequence[bytes], owner: Any) -> str | None:
    """Say which field of a struct the library reads differently; None if it reads them all alike.

    The accessors only look at the struct itself. Addresses are compared and never followed, so
    that a wrong one can't crash the process.
    """
    lib = tensorflow()
    start = owner.ctypes.data
    # Copies have a zero byte between them.
    gap = int(form == _LARGE)
    for row, text in enumerate(texts):
        address = structs.ctypes.data + row * VIEW.itemsize
        expected = (form, len(text), start)
        got = (
            lib.TF_StringGetType(address),
            lib.TF_StringGetSize(address),
            lib.TF_StringGetDataPointer(address),
        )
        for field, written, read in zip(("form", "size"), expected, got, strict=False):
            if read != written:
                length = len(text)
                return (
                    f"it reads the {field} of a string of {length} bytes as {read}, not {written}"
                )
        if got != expected:
            return f"it finds the bytes of a string of {len(text)} bytes at another address"
        start += len(text) + gap
    return None


def _wrong_size(fed: Views, text: bytes, owner: object) -> str | None:
    """Say what is wrong with the size or bytes of a string that TensorFlow makes, or None.

    A constant's value is copied into strings of TensorFlow's own: it reads the view in full.
    """
    lib, graph = tensorflow(), tensorflow().TF_NewGraph()
    read = c_void_p()
    try:
        constant = add_constant(graph, b"text", Tensor(STRING, (1,), fed, owner))
        with status() as state:
            lib.TF_OperationGetAttrTensor(constant.oper, b"value", ctypes.pointer(read), state)
        size_bytes = lib.TF_TensorByteSize(read)
        if size_bytes != VIEW.itemsize:
            return f"a string takes {size_bytes} bytes, not {VIEW.itemsize}"
        # Safe to follow now: the layouts agree.
        copy = lib.TF_TensorData(read)
        got = ctypes.string_at(lib.TF_StringGetDataPointer(copy), lib.TF_StringGetSize(copy))
        return None if got == text else f"it reads {got!r} from a view of {text!r}"
    finally:
        if read:
            lib.TF_DeleteTensor(read)
        lib.TF_DeleteGraph(graph)
