"""A TensorFlow session over the C API: a SavedModel loaded, tensors fed, tensors fetched.

Everything above this module sees only the `Session` protocol.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from ctypes import c_char_p, c_void_p
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tf2spark.dtypes import STRING, DType, Shape
from tf2spark.errors import ModelError, ModelNotFoundError, RunError, SetupError
from tf2spark.tensorflow_c import graph, library
from tf2spark.tensorflow_c.graph import graph_tensor_info as graph_tensor_info
from tf2spark.tensorflow_c.library import TensorFlowFailure as TensorFlowFailure
from tf2spark.tensorflow_c.library import TFOutput, status
from tf2spark.tensorflow_c.session_config import session_options
from tf2spark.tensorflow_c.strings import joined
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.tensorflow_c.tensor_memory import (
    adopted_numbers,
    is_adopted,
    new_tensor,
    read_numbers,
)

Run = Callable[[Sequence[Tensor]], list[Tensor | Strings]]
"""One run: the tensors of the feeds, in their order, in; those of the fetches, in theirs, out."""


class Session(Protocol):
    """A loaded model, ready to be run."""

    def prepare(self, feeds: Sequence[str], fetches: Sequence[str]) -> Run:
        """Look tensors up by their names in the graph, once for many runs."""

    def close(self) -> None:
        """Release the model."""


class CApiSession:
    """A SavedModel loaded by TensorFlow's C API; made by `open_session`.

    It serves the process that made it only. Several threads may run it at once.
    """

    def __init__(self, path: str, graph_pointer: int, session_pointer: int) -> None:
        self._path = path
        self._graph = graph_pointer
        self._session: int | None = session_pointer
        # Tensors that every run is fed: where, and the TF_Tensor.
        self._always: list[tuple[TFOutput, int]] = []

    @property
    def path(self) -> str:
        """The folder that the model was loaded from."""
        return self._path

    def feed_always(self, name: str, tensor: Tensor) -> None:
        """Feed a tensor at every run that is prepared from now on.

        TensorFlow reads it where it lies. It stays alive as long as the session.

        Raises:
            ModelError: The graph has no tensor of that name.
        """
        self._usable()
        at = graph.output(self._graph, name)
        self._always.append((at, new_tensor(library.library(), tensor)))

    def tensor_info(self, name: str) -> tuple[DType, Shape]:
        """Return the dtype and the shape, as far as it is known, of a tensor of the graph.

        Raises:
            ModelError: The graph has no tensor of that name.
        """
        self._usable()
        return graph.info(self._graph, graph.output(self._graph, name))

    def prepare(self, feeds: Sequence[str], fetches: Sequence[str]) -> Run:
        """Look tensors up by their names in the graph, once for many runs.

        Args:
            feeds: Names of the tensors that every run gets: "node:0", or "node" for its output 0.
            fetches: Names of the tensors that every run returns.

        Returns:
            A function from one `Tensor` a feed to one `Tensor` or `Strings` a fetch. What it
            returns owns its memory. It raises `TensorFlowFailure` where TensorFlow refuses the
            values, and ModelError where the model as it was loaded can't be run at all.

        Raises:
            ModelError: The graph has no such tensor, or one whose values can't be fetched.
        """
        self._usable()
        inputs = [graph.output(self._graph, name) for name in feeds]
        outputs = [graph.output(self._graph, name) for name in fetches]
        dtypes = [graph.fetchable(*each) for each in zip(fetches, outputs, strict=True)]
        # TensorFlow refuses to fetch a tensor that is fed: such a one is read from the feed.
        places = {(each.oper, each.index): place for place, each in enumerate(inputs)}
        sources = [places.get((each.oper, each.index)) for each in outputs]
        asked = [each for each, source in zip(outputs, sources, strict=True) if source is None]
        execute = self._executor(inputs, asked)
        expected = [graph.dtype(each).code for each in inputs]

        def run(tensors: Sequence[Tensor]) -> list[Tensor | Strings]:
            if [tensor.dtype.code for tensor in tensors] != expected:
                raise _wrong_feeds(feeds, inputs, tensors)
            return execute(tensors, sources, dtypes)

        return run

    def _executor(
        self, inputs: list[TFOutput], outputs: list[TFOutput]
    ) -> Callable[..., list[Tensor | Strings]]:
        always = [pointer for _, pointer in self._always]
        lib, n_in, n_out = library.library(), len(inputs) + len(always), len(outputs)
        feeds = (TFOutput * n_in)(*inputs, *(at for at, _ in self._always))
        fetches = (TFOutput * n_out)(*outputs)
        feed_pointers, fetch_pointers = c_void_p * n_in, c_void_p * n_out
        n_own = len(inputs)

        def execute(
            tensors: Sequence[Tensor], sources: list[int | None], dtypes: list[DType]
        ) -> list[Tensor | Strings]:
            session, state = self._usable(), lib.TF_NewStatus()
            given: Any = feed_pointers()
            taken: Any = fetch_pointers()
            adopted: set[int] = set()
            try:
                for place, tensor in enumerate(tensors):
                    given[place] = new_tensor(lib, tensor)
                given[n_own:] = always
                if n_out:
                    lib.TF_SessionRun(
                        *(session, None, feeds, given, n_in, fetches, taken, n_out),
                        *(None, 0, None, state),
                    )
                    if lib.TF_GetCode(state):
                        self._fail(state)
                fetched = iter(taken)
                pointers = [next(fetched) if at is None else given[at] for at in sources]
                # A fetched tensor may be the very memory of a fed one, so it is copied here,
                # before the fed ones are let go.
                return [
                    self._fetched(pointer, dtype, adopted, own=at is None)
                    for pointer, dtype, at in zip(pointers, dtypes, sources, strict=True)
                ]
            finally:
                for pointer in (*taken, *given[:n_own]):
                    if pointer and pointer not in adopted:
                        lib.TF_DeleteTensor(pointer)
                lib.TF_DeleteStatus(state)

        return execute

    @staticmethod
    def _fetched(pointer: int, dtype: DType, adopted: set[int], *, own: bool) -> Tensor | Strings:
        """Read a tensor; `adopted` gets it where its memory is kept, as only that of `own` is."""
        lib = library.library()
        if dtype is STRING:
            return joined(pointer)
        if own and pointer not in adopted and is_adopted(lib, pointer):
            adopted.add(pointer)
            return adopted_numbers(lib, pointer, dtype)
        return read_numbers(lib, pointer, dtype)

    def close(self) -> None:
        """Release the model. No run may be under way, and none can follow."""
        pointer, self._session = self._session, None
        if pointer is None:
            return
        lib = library.library()
        with status() as state:
            lib.TF_CloseSession(pointer, state)
        with status() as state:
            lib.TF_DeleteSession(pointer, state)
        for _, tensor in self._always:
            lib.TF_DeleteTensor(tensor)
        lib.TF_DeleteGraph(self._graph)

    def _usable(self) -> int:
        _refuse_fork()
        if self._session is None:
            raise RunError(f"the session of {self._path} is closed")
        return self._session

    def _fail(self, state: int) -> None:
        try:
            library.check(library.library(), state)
        except TensorFlowFailure as failure:
            raise _unrestored(self._path, failure) or failure from None


def _wrong_feeds(
    names: Sequence[str], inputs: Sequence[TFOutput], tensors: Sequence[Tensor]
) -> RunError:
    expected = ", ".join(
        f"{name} {graph.dtype(at)}" for name, at in zip(names, inputs, strict=True)
    )
    got = ", ".join(str(tensor.dtype) for tensor in tensors)
    return RunError(f"a run must be fed {expected or 'nothing'}; got {got or 'nothing'}")


def open_session(path: str, tags: Sequence[str], *, threads: int) -> CApiSession:
    """Load a SavedModel from a local folder into a session of its own.

    The threads within ops are one pool a process, made by the first session with its `threads`;
    a later session with another number gets only its pool between ops in that size (seen with
    TensorFlow 2.21). The same holds where TensorFlow's Python has run anything before.

    Args:
        path: The folder that holds ``saved_model.pb``.
        tags: The tags of the MetaGraph to load, such as ["serve"].
        threads: CPUs that the session may use.

    Raises:
        ModelNotFoundError: There is no SavedModel in that folder.
        ModelError: TensorFlow can't load it.
        SetupError: TensorFlow is missing, or was started before this process was forked.
    """
    _refuse_fork()
    if not any((Path(path) / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise ModelNotFoundError(f"there is no saved_model.pb in {path}")
    lib = library.library()
    _mark_started()
    graph_pointer: int = lib.TF_NewGraph()
    try:
        session = _load(path, tags, threads, graph_pointer)
    except TensorFlowFailure as failure:
        lib.TF_DeleteGraph(graph_pointer)
        raise ModelError(_why_not_loaded(path, failure.message)) from None
    return CApiSession(path, graph_pointer, session)


def _load(path: str, tags: Sequence[str], threads: int, graph_pointer: int) -> int:
    names = (c_char_p * len(tags))(*(tag.encode() for tag in tags))
    with session_options(threads) as options, status() as state:
        session: int = library.library().TF_LoadSessionFromSavedModel(
            *(options, None, os.fsencode(path), names, len(tags), graph_pointer, None, state)
        )
    return session


def _why_not_loaded(path: str, message: str) -> str:
    why = f"TensorFlow {library.version()} can't load {path}: {message}"
    if "RestoreV2" in message:
        return f"{why}. The files under {path}/variables are damaged or incomplete"
    if message.startswith("Op type not registered"):
        return f"{why}. That op is a custom one, or of a newer TensorFlow"
    return why


_UNRESTORED = re.compile(
    r"Could not find variable (?P<a>.+?)\. This could mean"
    r"|Error while reading resource variable (?P<b>\S+) from Container"
    r"|Attempting to use uninitialized value (?P<c>\S+)"
)


def _unrestored(path: str, failure: TensorFlowFailure) -> ModelError | None:
    """Return the error of a model whose restore op leaves a variable without a value."""
    if failure.code not in (library.FAILED_PRECONDITION, library.NOT_FOUND):
        return None
    found = _UNRESTORED.search(failure.message)
    if found is None:
        return None
    what = f"variable {found['a'] or found['b'] or found['c']!r} of {path} has no value: "
    if not (Path(path) / "variables" / "variables.index").is_file():
        return ModelError(f"{what}the model comes without {path}/variables/variables.index")
    return ModelError(
        f"{what}the model's own restore op doesn't fill it, as in a Keras 3 model that was written "
        "by tf.saved_model.save (only tf.saved_model.load in Python can restore it; TF Serving "
        "can't serve it either). Export it again with model.export(path), or, for an object that "
        "holds Keras models, with keras.export.ExportArchive"
    )


# The process in which TensorFlow's threads run. A fork of it has the memory but not the threads,
# and waits for them for ever, with a session of its own as well: the pools are the process's.
_started_in: int | None = None


def _mark_started() -> None:
    global _started_in
    _started_in = os.getpid()


def _refuse_fork() -> None:
    if _started_in is not None and _started_in != os.getpid():
        raise SetupError(
            f"process {os.getpid()} was forked from process {_started_in} after TensorFlow had "
            "been started there; TensorFlow's threads don't survive a fork, and it would hang. "
            "Score in the process that started it, or start the new one by "
            "multiprocessing.get_context('spawn')"
        )


S = TypeVar("S", bound=Session)
_sessions: dict[str, Any] = {}
_sessions_lock = threading.Lock()


def cached_session(key: str, opener: Callable[[], S]) -> S:
    """Return this process's session for a key, opened at the first call.

    It lives as long as the process, so that a worker that is used for many tasks loads a model
    once.

    Args:
        key: What makes two sessions the same: the model's digest, tags and threads.
        opener: Opens the session, for instance by `open_session`.

    Raises:
        SetupError: TensorFlow was started before this process was forked.
    """
    _refuse_fork()
    with _sessions_lock:
        if key not in _sessions:
            _sessions[key] = opener()
        session: S = _sessions[key]
        return session
