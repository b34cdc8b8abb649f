"""Results that are kept for later calls: the same content gives the same result, and no other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tf2spark.binding.kept_results import KeptByContent, KeptByObject, KeptResults


class Counted:
    """A function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *arguments: Any) -> tuple[Any, ...]:
        self.calls += 1
        return arguments


def test_equal_content_is_computed_once() -> None:
    """Whether the objects are the same or only alike."""
    kept: KeptByContent[Any] = KeptByContent(4)
    compute = Counted()
    first = kept.get(compute, {"x": [1.0, 2.0]}, np.arange(3))
    assert kept.get(compute, {"x": [1.0, 2.0]}, np.arange(3)) is first
    assert compute.calls == 1


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([1, 2], lambda value: value.append(3)),
        ({"x": [1]}, lambda value: value["x"].__setitem__(0, 2)),
        (np.zeros(5000), lambda value: value.__setitem__(2500, 1.0)),
    ],
    ids=["list", "nested", "array"],
)
def test_an_object_that_changed_is_another_argument(
    value: Any, change: Callable[[Any], None]
) -> None:
    """Content decides, though the object is the same; what was kept before keeps its content."""
    kept: KeptByContent[Any] = KeptByContent(4)
    before = repr(value)
    (first,) = kept.get(lambda argument: (argument,), value)
    change(value)
    (second,) = kept.get(lambda argument: (argument,), value)
    assert repr(first) == before
    assert np.array_equal(np.asarray(second), np.asarray(value)) or second == value
    assert second is not value


def test_values_of_other_types_are_other_arguments() -> None:
    """True is not 1, and 1 is not 1.0: an input may take only one of them."""
    kept: KeptByContent[Any] = KeptByContent(8)
    values = [True, 1, 1.0, "1", b"1", np.float32(1), None]
    assert [repr(kept.get(lambda value: value, value)) for value in values] == [*map(repr, values)]


def test_what_cant_be_pickled_is_computed_each_time() -> None:
    """It has no content to go by."""
    kept: KeptByContent[Any] = KeptByContent(4)
    compute = Counted()
    lock = threading.Lock()
    assert kept.get(compute, lock) == (lock,)
    assert kept.get(compute, lock) == (lock,)
    assert compute.calls == 2
    assert len(kept) == 0


def test_the_least_recently_used_result_goes() -> None:
    """The number of results is bounded, and a result in use stays."""
    kept: KeptResults[int] = KeptResults(3)
    numbers = iter(range(100))
    for key in range(100):
        assert kept.get(key, numbers.__next__) == key
        kept.get(0, lambda: -1)
    assert len(kept) == 3
    assert kept.get(0, lambda: -1) == 0
    assert kept.get(99, lambda: -1) == 99
    assert kept.get(1, lambda: -1) == -1


def test_large_results_dont_add_up() -> None:
    """Their total size is bounded too; one that is larger than that isn't kept at all."""
    kept: KeptByContent[Any] = KeptByContent(100, max_bytes=10_000)
    for number in range(50):
        kept.get(lambda text: len(text), str(number) * 2_000)
    assert 0 < len(kept) < 6
    compute = Counted()
    for _ in range(2):
        kept.get(compute, "x" * 20_000)
    assert compute.calls == 2


def test_errors_are_not_kept() -> None:
    """A call that failed is tried again."""
    kept: KeptResults[int] = KeptResults(3)
    with pytest.raises(ZeroDivisionError):
        kept.get("key", lambda: 1 // 0)
    assert kept.get("key", lambda: 7) == 7


def test_threads_share_results() -> None:
    """All of them get the same object, whoever computed it."""
    kept: KeptResults[object] = KeptResults(4)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: kept.get("key", object), range(200)))
    assert len(set(map(id, results))) == 1


def test_results_of_an_object_last_as_long_as_it() -> None:
    """They are computed once for each key, and are gone before its id can be used again."""

    class Source:
        pass

    kept: KeptByObject[object] = KeptByObject()
    source = Source()
    first = kept.get(source, object, "a")
    assert kept.get(source, object, "a") is first
    assert kept.get(source, object, "b") is not first
    assert kept.get(Source(), object, "a") is not first
    assert len(kept) == 2
    del source
    assert len(kept) == 0
