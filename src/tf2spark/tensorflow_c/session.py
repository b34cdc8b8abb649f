"""A TensorFlow session over the C API: tensors are fed and fetched; `open_session` makes one.

All other modules see only the `Session` protocol.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from ctypes import Array, c_void_p
from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from tf2spark.dtypes import STRING, DType, Shape
from tf2spark.errors import RunError
from tf2spark.plan.score import Initialization
from tf2spark.tensorflow_c import graph
from tf2spark.tensorflow_c.failure import TensorFlowFailure, model_fault
from tf2spark.tensorflow_c.library import TFOutput, check, status, tensorflow
from tf2spark.tensorflow_c.model_errors import not_loaded, uninitialized
from tf2spark.tensorflow_c.process import has_forked, refuse_fork
from tf2spark.tensorflow_c.run_limit import NoProgress, limited, not_opened
from tf2spark.tensorflow_c.string_reader import read_strings
from tf2spark.tensorflow_c.strings import string_scalar
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.tensorflow_c.tensor_memory import (
    adopted_numbers,
    is_adopted,
    new_tensor,
    read_numbers,
)

Run = Callable[[Sequence[Tensor]], list[Tensor | Strings]]
"""One run: takes a tensor per feed and returns a tensor per fetch, each in the order prepared."""


class Session(Protocol):
    """A loaded model, ready to be run."""

    def prepare(self, feeds: Sequence[str], fetches: Sequence[str]) -> Run:
        """Look tensors up by their names in the graph, once for many runs."""

    def close(self) -> None:
        """Release the model."""


_MAX_LOOKED_UP = 32


@frozen(eq=False)
class _LookedUp:
    """What `prepare` looks up in the graph.

    Attributes:
        inputs: The fed tensors.
        codes: The codes of their dtypes.
        feeds: The fed tensors, with those that are always fed, as TensorFlow takes them.
        fetches: The fetched tensors that aren't fed, as TensorFlow takes them.
        sources: Of each fetched tensor, the position of the feed that it is; None for the others.
        dtypes: The dtypes of all fetched tensors.
    """

    inputs: list[TFOutput]
    codes: list[int]
    feeds: Array[TFOutput]
    fetches: Array[TFOutput]
    sources: list[int | None]
    dtypes: list[DType]


class CApiSession:
    """A SavedModel loaded by TensorFlow's C API; made by `open_session`.

    It works only in the process that made it. Several threads may run it at once. It closes by
    itself when nothing refers to it any more; a function from `prepare` does.
    """

    def __init__(self, path: str, graph_pointer: int, session_pointer: int, name: str) -> None:
        self._path = path
        self._name = name
        self._graph = graph_pointer
        self._session: int | None = session_pointer
        # Tensors of the graph by name, looked up once, with what else `prepare` asks for; and the
        # last few pairs of feeds and fetches that it was called with.
        self._inputs: dict[str, tuple[TFOutput, int]] = {}
        self._fetches: dict[str, tuple[TFOutput, DType]] = {}
        self._looked_up: dict[tuple[tuple[str, ...], tuple[str, ...]], _LookedUp] = {}
        # Tensors that every run is fed, such as mapped weights: the input, and the TF_Tensor. The
        # session owns these and deletes them when it is closed.
        self._always_fed: list[tuple[TFOutput, int]] = []
        self._release = weakref.finalize(
            self, _release, session_pointer, graph_pointer, self._always_fed
        )
        # The process's end frees everything, and TensorFlow's threads may be gone by then.
        self._release.atexit = False

    @property
    def path(self) -> str:
        """The folder that the model was loaded from, or that has the same files."""
        return self._path

    def move(self, path: str) -> None:
        """Have `path` be another folder with the same files, as the first may be removed."""
        self._path = path

    def feed_always(self, name: str, tensor: Tensor) -> None:
        """Feed a tensor in every run that is prepared from now on.

        TensorFlow reads its memory in place. It stays alive as long as the session.

        Raises:
            ModelError: The graph has no tensor of that name.
        """
        self._open_pointer()
        output = graph.output(self._graph, name)
        self._always_fed.append((output, new_tensor(tensorflow(), tensor)))
        self._looked_up.clear()

    def initialize(self, initialization: Initialization) -> None:
        """Run the ops that fill tables and local variables where no init op does.

        Raises:
            ModelError: TensorFlow can't run them.
        """
        session, lib = self._open_pointer(), tensorflow()
        ops = [graph.operation(self._graph, name) for name in initialization.ops]
        tensors = [graph.output(self._graph, name) for name, _ in initialization.assets]
        paths = [os.fsencode(Path(self._path, "assets", file)) for _, file in initialization.assets]
        values = [new_tensor(lib, string_scalar(path)) for path in paths]

        def run() -> None:
            with status() as state:
                lib.TF_SessionRun(
                    *(session, None, (TFOutput * len(tensors))(*tensors)),
                    *((c_void_p * len(values))(*values), len(values), None, None, 0),
                    *((c_void_p * len(ops))(*ops), len(ops), None, state),
                )

        try:
            limited(run)
        except NoProgress as stuck:
            raise not_opened(self._name, stuck) from None
        except TensorFlowFailure as failure:
            raise not_loaded(self._name, failure) from None
        finally:
            for value in values:
                lib.TF_DeleteTensor(value)

    def tensor_info(self, name: str) -> tuple[DType, Shape]:
        """Return the dtype and the shape, as far as it is known, of a tensor of the graph.

        Raises:
            ModelError: The graph has no tensor of that name.
        """
        self._open_pointer()
        return graph.info(self._graph, graph.output(self._graph, name))

    def prepare(self, feeds: Sequence[str], fetches: Sequence[str]) -> Run:
        """Look tensors up by their names in the graph, once for many runs.

        Args:
            feeds: Names of the tensors that every run is given: "node:0", or "node" for output 0.
            fetches: Names of the tensors that every run returns.

        Returns:
            A function that takes one `Tensor` per feed and returns one `Tensor` or `Strings` per
            fetch. What it returns stays valid without the fed tensors; a large result may share
            their memory, if the graph passes an input on. It raises `TensorFlowFailure` if
            TensorFlow refuses the values, and ModelError if the model can't be run at all as it was
            loaded.

        Raises:
            ModelError: The graph has no such tensor, or one whose values can't be fetched.
        """
        self._open_pointer()
        key = tuple(feeds), tuple(fetches)
        known = self._looked_up.get(key)
        if known is None:
            if len(self._looked_up) >= _MAX_LOOKED_UP:
                self._looked_up.clear()
            known = self._looked_up[key] = self._look_up(*key)
        execute = self._executor(known)
        expected = known.codes

        def run(tensors: Sequence[Tensor]) -> list[Tensor | Strings]:
            if [tensor.dtype.code for tensor in tensors] != expected:
                raise _wrong_feeds(feeds, known.inputs, tensors)
            # TensorFlow would crash if a session were closed in which a run hangs.
            return limited(lambda: execute(tensors), if_stuck=self._release.detach)

        return run

    def _look_up(self, feeds: Sequence[str], fetches: Sequence[str]) -> _LookedUp:
        fed, fetched = (
            [self._input(name) for name in feeds],
            [self._fetch(name) for name in fetches],
        )
        # TensorFlow refuses to fetch a tensor that is fed, so such a fetch is read from its feed.
        positions = {(out.oper, out.index): position for position, (out, _) in enumerate(fed)}
        sources = [positions.get((out.oper, out.index)) for out, _ in fetched]
        inputs = [out for out, _ in fed]
        given = inputs + [out for out, _ in self._always_fed]
        computed = [
            out for (out, _), source in zip(fetched, sources, strict=True) if source is None
        ]
        return _LookedUp(
            inputs,
            [code for _, code in fed],
            (TFOutput * len(given))(*given),
            (TFOutput * len(computed))(*computed),
            sources,
            [dtype for _, dtype in fetched],
        )

    def _input(self, name: str) -> tuple[TFOutput, int]:
        """Return a tensor that is fed and the code of its dtype, looked up once per session."""
        if name not in self._inputs:
            output = graph.output(self._graph, name)
            self._inputs[name] = output, graph.dtype(output).code
        return self._inputs[name]

    def _fetch(self, name: str) -> tuple[TFOutput, DType]:
        """Return a tensor that is fetched and its dtype, looked up once per session."""
        if name not in self._fetches:
            output = graph.output(self._graph, name)
            self._fetches[name] = output, graph.fetchable(name, output)
        return self._fetches[name]

    def _executor(self, known: _LookedUp) -> Run:
        always_fed = [pointer for _, pointer in self._always_fed]
        feeds, fetches, sources, dtypes = known.feeds, known.fetches, known.sources, known.dtypes
        lib, n_in, n_out, n_own = tensorflow(), len(feeds), len(fetches), len(known.inputs)
        feed_pointers, fetch_pointers = c_void_p * n_in, c_void_p * n_out

        def execute(tensors: Sequence[Tensor]) -> list[Tensor | Strings]:
            session, state = self._open_pointer(), lib.TF_NewStatus()
            # New arrays for every run, so that threads can share a prepared one.
            fed: Any = feed_pointers()
            fetched: Any = fetch_pointers()
            adopted: set[int] = set()
            try:
                for position, tensor in enumerate(tensors):
                    fed[position] = new_tensor(lib, tensor)
                fed[n_own:] = always_fed
                if n_out:
                    lib.TF_SessionRun(
                        *(session, None, feeds, fed, n_in, fetches, fetched, n_out),
                        *(None, 0, None, state),
                    )
                    if lib.TF_GetCode(state):
                        self._raise_failure(state)
                computed = iter(fetched)
                pointers = [next(computed) if source is None else fed[source] for source in sources]
                # Before the fed tensors are deleted: a fetched one may be the very memory of a fed
                # one, which the caller is free to reuse after the run.
                return [
                    self._read(pointer, dtype, adopted, computed=source is None)
                    for pointer, dtype, source in zip(pointers, dtypes, sources, strict=True)
                ]
            finally:
                # Also if the run failed. Deleting only drops this side's reference: TensorFlow
                # calls the deallocator of a fed tensor when nothing in it refers to the memory.
                for pointer in (*fetched, *fed[:n_own]):
                    if pointer and pointer not in adopted:
                        lib.TF_DeleteTensor(pointer)
                lib.TF_DeleteStatus(state)

        return execute

    @staticmethod
    def _read(pointer: int, dtype: DType, adopted: set[int], *, computed: bool) -> Tensor | Strings:
        """Read a tensor; its pointer is added to `adopted` if its memory is kept.

        Only that of `computed` tensors is. One that is fed is deleted after the run.
        """
        lib = tensorflow()
        if dtype is STRING:
            return read_strings(pointer)
        if computed and is_adopted(lib, pointer):
            adopted.add(pointer)
            return adopted_numbers(lib, pointer, dtype)
        return read_numbers(lib, pointer, dtype)

    def close(self) -> None:
        """Release the model. No run may be in progress, and none can follow."""
        self._session = None
        self._release()

    def _open_pointer(self) -> int:
        refuse_fork()
        if self._session is None:
            raise RunError(f"the session of {self._name} is closed")
        return self._session

    def _raise_failure(self, state: int) -> None:
        try:
            check(tensorflow(), state)
        except TensorFlowFailure as failure:
            unrestored_variable = uninitialized(self._path, self._name, failure)
            raise (unrestored_variable or model_fault(failure) or failure) from None


def _release(session: int, graph_pointer: int, always_fed: list[tuple[TFOutput, int]]) -> None:
    """Close a session, and delete everything that belongs to it."""
    if has_forked():
        return  # its threads are gone, so closing would wait for them forever
    lib = tensorflow()
    with status() as state:
        lib.TF_CloseSession(session, state)
    with status() as state:
        lib.TF_DeleteSession(session, state)
    for _, tensor in always_fed:
        lib.TF_DeleteTensor(tensor)
    lib.TF_DeleteGraph(graph_pointer)


def _wrong_feeds(
    names: Sequence[str], inputs: Sequence[TFOutput], tensors: Sequence[Tensor]
) -> RunError:
    expected = ", ".join(
        f"{name} {graph.dtype(output)}" for name, output in zip(names, inputs, strict=True)
    )
    got = ", ".join(str(tensor.dtype) for tensor in tensors)
    return RunError(f"a run must be fed {expected or 'nothing'}; got {got or 'nothing'}")
