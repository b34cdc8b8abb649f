"""Results that are kept for later calls with the same arguments: the last few used.

Such calls come by the thousand, in a service that scores single rows for instance. What depends on
the arguments alone is computed for the first of them.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
MAX_CONTENT_BYTES = 8 << 20
"""How large the arguments of all results that are kept by content may be in total."""


class KeptResults(Generic[T]):
    """Results by key, of which the last few used are kept. Threads may share it."""

    def __init__(self, max_results: int, max_bytes: int = MAX_CONTENT_BYTES) -> None:
        self._max_results = max_results
        self._max_bytes = max_bytes
        # In the order of their last use, each with its size.
        self._results: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], T], size_bytes: int = 0) -> T:
        """Return the result for a key; it is computed if it isn't kept. Errors aren't kept."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key][0]
        # Without the lock: what takes long in one thread needn't hold up the others.
        result = compute()
        with self._lock:
            result, _ = self._results.setdefault(key, (result, size_bytes))
            while not self._fits():
                self._results.popitem(last=False)
        return result

    def _fits(self) -> bool:
        total_bytes = sum(size_bytes for _, size_bytes in self._results.values())
        return len(self._results) <= self._max_results and total_bytes <= self._max_bytes

    def __len__(self) -> int:
        return len(self._results)


class KeptByContent(Generic[T]):
    """Results by the content of their arguments, of which the last few used are kept.

    By content, because a list that is the same object as in the call before can have other values.
    """

    def __init__(self, max_results: int, max_bytes: int = MAX_CONTENT_BYTES) -> None:
        self._kept: KeptResults[T] = KeptResults(max_results, max_bytes)

    def get(self, compute: Callable[..., T], *arguments: Any) -> T:
        """Return ``compute(*arguments)``, or what it returned for arguments of the same content.

        `compute` gets copies of the arguments, so no kept result changes with a list of the
        caller's. Arguments that can't be pickled are passed as they are, and nothing is kept.
        """
        try:
            content = pickle.dumps(arguments)
        except Exception:  # a class of the user's may raise anything
            return compute(*arguments)
        # Not the content itself as the key, which would stay in memory.
        key = hashlib.sha256(content).digest()
        return self._kept.get(key, lambda: compute(*pickle.loads(content)), len(content))

    def __len__(self) -> int:
        return len(self._kept)


class KeptByObject(Generic[T]):
    """Results that were computed from an object, each kept until that object is gone.

    By its identity: objects that are equal may take long to compare.
    """

    def __init__(self) -> None:
        self._results: dict[tuple[Hashable, ...], T] = {}

    def get(self, source: object, compute: Callable[[], T], *key: Hashable) -> T:
        """Return the result for an object and a key; it is computed if it isn't kept."""
        full_key = id(source), *key
        if full_key not in self._results:
            self._results[full_key] = compute()
            # Before another object can have the same id.
            weakref.finalize(source, self._results.pop, full_key, None).atexit = False
        return self._results[full_key]

    def __len__(self) -> int:
        return len(self._results)
