from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.dtypes import STRING
from tf2spark.errors import SetupError
from tf2spark.tensorflow_c import strings
from tf2spark.tensorflow_c.library import library_path, tensorflow, version
from tf2spark.tensorflow_c.operations import add_constant
from tf2spark.tensorflow_c.tensor import Tensor


def words_of(structs: Any) -> list[list[int]]:
    """Return the three 64-bit words of each struct."""
    words: list[list[int]] = structs.view(np.uint64).reshape(-1, 3).tolist()
    return words


def test_views_point_into_the_buffer_and_have_no_owner() -> None:
    """Each view is size << 2 | 3, the address of the value, 0 for "no owner"."""
    offsets = np.array([5, 5, 8, 12], np.int32)
    expected = [[3, 1005, 0], [3 << 2 | 3, 1005, 0], [4 << 2 | 3, 1008, 0]]
    assert words_of(strings.views(offsets, 1000)) == expected
    assert words_of(strings.views(offsets.astype(np.int64), 1000)) == expected


def test_a_view_is_one_value() -> None:
    """An array of views is indexed, joined and padded as numbers are."""
    fed, _ = strings.views_of(["a", b"\xff", ""])
    assert (fed.dtype, fed.shape) == (strings.VIEW, (3,))
    assert strings.VIEW.itemsize == 24
    assert strings.strings_of(np.concatenate([fed[2:], fed[:2]])) == [b"", b"a", b"\xff"]
    assert strings.views(np.array([0], np.int32), 0).shape == (0,)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_strings_are_read_back(texts: list[bytes]) -> None:
    """From views and from copies, whatever their bytes."""
    fed, owner = strings.views_of(texts)
    assert strings.strings_of(fed) == texts
    copies, copied = strings.zero_terminated(fed)
    del owner
    assert strings.strings_of(copies) == texts
    assert isinstance(copied, np.ndarray)


def test_copies_are_large_strings_with_a_zero_byte_after_each() -> None:
    """Size << 2 | 1, a capacity, and an address within the copies' own memory."""
    texts = [b"", b"a\x00b", b"x" * 100]
    fed, _ = strings.views_of(texts)
    copies, owner = strings.zero_terminated(fed)
    assert isinstance(owner, np.ndarray)
    start = owner.ctypes.data
    assert words_of(copies) == [
        [0 << 2 | 1, 0, start],
        [3 << 2 | 1, 3, start + 1],
        [100 << 2 | 1, 100, start + 5],
    ]
    assert owner.tobytes() == b"\0" + b"a\x00b\0" + b"x" * 100 + b"\0"


def test_the_layout_is_that_of_the_library() -> None:
    """The check passes for the installed TensorFlow, and leaves none of its strings behind."""
    strings.check_layout.__wrapped__()
    strings.check_layout()
    strings.check_layout()
    assert strings.check_layout.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("_VIEW", 1, "it finds the bytes of a string of 0 bytes at another address"),
        ("_VIEW", 2, "it finds the bytes of a string of 0 bytes at another address"),
        ("_LARGE", 2, "it finds the bytes of a string of 0 bytes at another address"),
        ("_FORM_BITS", 3, "it reads the size of a string of 5 bytes as 10, not 5"),
    ],
)
def test_another_layout_is_a_setup_error(
    name: str, value: int, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever part of the layout differs, the check says so and nothing crashes."""
    monkeypatch.setattr(strings, name, value)
    with pytest.raises(SetupError) as error:
        strings.check_layout.__wrapped__()
    assert problem in str(error.value)


class Lying:
    """TensorFlow's library, in which some functions answer as another release might."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return self._answers.get(name) or getattr(tensorflow(), name)


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (
            {"TF_StringGetType": lambda at: 2},
            "it reads the form of a string of 0 bytes as 2, not 3",
        ),
        (
            {"TF_StringGetSize": lambda at: 40},
            "it reads the size of a string of 0 bytes as 40, not 0",
        ),
        (
            {"TF_StringGetDataPointer": lambda at: at + 1},
            "it finds the bytes of a string of 0 bytes at another address",
        ),
        ({"TF_TensorByteSize": lambda tensor: 32}, "a string takes 32 bytes, not 24"),
    ],
    ids=["form", "size", "address", "struct"],
)
def test_a_library_with_other_strings_is_refused(
    answers: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names TensorFlow's version and file, what differs, and what to install."""
    monkeypatch.setattr(strings, "tensorflow", lambda: Lying(**answers))
    with pytest.raises(SetupError) as error:
        strings.check_layout.__wrapped__()
    message = str(error.value)
    assert message.startswith(f"TensorFlow {version()} ({library_path()}) doesn't")
    assert problem in message
    assert "pip install 'tensorflow-cpu==2.21.*'" in message


def test_text_that_comes_back_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes and addresses may agree, and the bytes that TensorFlow reads still be others."""
    other, owner = strings.views_of(["something else"])
    monkeypatch.setattr(
        strings,
        "add_constant",
        lambda graph, name, value: add_constant(graph, name, Tensor(STRING, (1,), other, owner)),
    )
    with pytest.raises(SetupError, match="it reads b'something else' from a view of b'too long"):
        strings.check_layout.__wrapped__()


def test_the_library_reads_and_writes_what_the_check_compares() -> None:
    """A view is 3 and a large string 1 for TensorFlow's accessors too."""
    lib = tensorflow()
    fed, owner = strings.views_of(["abc"])
    copies, _ = strings.zero_terminated(fed)
    assert lib.TF_StringGetType(fed.ctypes.data) == 3
    assert lib.TF_StringGetType(copies.ctypes.data) == 1
    assert ctypes.string_at(lib.TF_StringGetDataPointer(copies.ctypes.data), 4) == b"abc\0"
    assert isinstance(owner, np.ndarray)
