"""How deep the functions of a graph call each other, and how large TensorFlow makes the graph.

TensorFlow copies the body of a function to each place that calls it, and does so by recursion. A
function that calls itself, or a long chain of functions, overflows its stack and ends the process;
a short chain in which each function calls the next one twice fills the memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TypeAlias

from tf2spark.errors import ModelError
from tf2spark.saved_model.graph.function_library import FunctionLibrary, function_names
from tf2spark.saved_model.protos import GraphMessage, NodeMessage

MAX_CALL_DEPTH = 100
MAX_INLINED_NODES = 20_000_000

# A function by name, or all functions that implement one API: TensorFlow may run any of them.
_Key: TypeAlias = "str | bytes"


def check_calls(graph: GraphMessage) -> None:
    """Check that TensorFlow can inline the functions of a graph.

    Raises:
        ModelError: A function calls itself, directly or through others; calls are nested too
            deep; or the graph is too large with all functions inlined.
    """
    library = FunctionLibrary(graph)
    if not library.functions:
        return
    measured = _Measures(library)
    total = measured.size_of(graph.node)
    if total > MAX_INLINED_NODES:
        raise ModelError(
            f"the graph has more than {MAX_INLINED_NODES:,} nodes if each call is replaced by the "
            "body of its function, as TensorFlow does; at most that many are allowed"
        )


class _Measures:
    """The depth and the size of every function, with all calls inside of it inlined."""

    def __init__(self, library: FunctionLibrary) -> None:
        self._library = library
        self._sizes: dict[_Key, int] = {}
        self._depths: dict[_Key, int] = {}
        self._callees: dict[_Key, Counter[_Key]] = {}
        for name in library.functions:
            self._measure(name)

    def size_of(self, nodes: Collection[NodeMessage]) -> int:
        """Return how many nodes a list of nodes becomes."""
        callees = self._count_callees(nodes)
        for callee in callees:
            self._measure(callee)
        return len(nodes) + self._inlined(callees)

    def _inlined(self, callees: Mapping[_Key, int]) -> int:
        total = sum(self._sizes[callee] * count for callee, count in callees.items())
        return min(total, MAX_INLINED_NODES + 1)

    def _measure(self, root: _Key) -> None:
        """Measure a function and all that it calls, in the order of a depth-first search."""
        open_calls: dict[_Key, Iterator[_Key]] = {}
        pending = [root]
        while pending:
            key = pending[-1]
            if key in self._sizes:
                pending.pop()
                continue
            if key not in open_calls:
                open_calls[key] = iter(self._callees_of(key))
            unmeasured = (callee for callee in open_calls[key] if callee not in self._sizes)
            callee = next(unmeasured, None)
            if callee is None:
                pending.pop()
                del open_calls[key]
                self._finish(key)
            elif callee in open_calls:
                raise ModelError(
                    f'the function "{_shown(callee)}" calls itself, directly or through others, '
                    "which TensorFlow can't run"
                )
            else:
                pending.append(callee)

    def _finish(self, key: _Key) -> None:
        callees = self._callees_of(key)
        deepest = max((self._depths[callee] for callee in callees), default=0)
        if isinstance(key, bytes):
            self._depths[key] = deepest
            self._sizes[key] = max((self._sizes[callee] for callee in callees), default=0)
            return
        if deepest >= MAX_CALL_DEPTH:
            raise ModelError(
                f"the model's functions call each other more than {MAX_CALL_DEPTH} deep (the last "
                f'of them is "{key}"), which can overflow TensorFlow\'s stack'
            )
        self._depths[key] = deepest + 1
        self._sizes[key] = len(self._library.functions[key].node_def) + self._inlined(callees)

    def _callees_of(self, key: _Key) -> Counter[_Key]:
        if key not in self._callees:
            if isinstance(key, bytes):
                self._callees[key] = Counter(self._library.implementing(key))
            else:
                self._callees[key] = self._count_callees(self._library.functions[key].node_def)
        return self._callees[key]

    def _count_callees(self, nodes: Collection[NodeMessage]) -> Counter[_Key]:
        functions, callees = self._library.functions, Counter[_Key]()
        for node in nodes:
            for name in function_names(node):
                if name not in functions:
                    continue
                api = self._library.api_of(name)
                callees[name if api is None else api] += 1
                gradient = self._library.gradient_of(name)
                if gradient is not None:
                    callees[gradient] += 0  # it runs only where a gradient is asked for
        return callees


def _shown(key: _Key) -> str:
    return key if isinstance(key, str) else key.decode("utf-8", "replace")
