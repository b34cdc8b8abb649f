"""A SavedModel on this machine becomes a session, or an error that says why it can't be loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ctypes import c_char_p
from pathlib import Path
from typing import Any

from tf2spark.errors import ModelNotFoundError
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.library import status, tensorflow
from tf2spark.tensorflow_c.model_errors import not_loaded
from tf2spark.tensorflow_c.process import mark_started, refuse_fork
from tf2spark.tensorflow_c.quiet_stderr import quiet
from tf2spark.tensorflow_c.run_limit import NoProgress, limited, not_opened
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.session_config import session_options
from tf2spark.tensorflow_c.strings import check_layout


def open_session(
    path: str,
    tags: Sequence[str],
    *,
    threads: int,
    divides_ops: bool = False,
    optimizes: bool = True,
    name: str | None = None,
) -> CApiSession:
    """Load a SavedModel from a local folder into a session of its own.

    Its threads, within ops and between them, are its own (see `library._load`), unless
    TensorFlow's Python package has run something before: then all sessions share one pool within
    ops, of the size that the first one asked for.

    Args:
        path: The folder that holds ``saved_model.pb``.
        tags: The tags of the MetaGraph to load, such as ["serve"].
        threads: CPUs that the session may use.
        divides_ops: Each op uses several of them, so that fewer ops run at once.
        optimizes: TensorFlow optimizes the graph for each pair of feeds and fetches.
        name: How messages name the model, if not by the folder: by the path that its user gave.

    Raises:
        ModelNotFoundError: There is no SavedModel in that folder.
        ModelError: TensorFlow can't load it.
        SetupError: TensorFlow is missing, too old or incompatible, or was started before this
            process was forked.
    """
    refuse_fork()
    if not any((Path(path) / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise ModelNotFoundError(f"there is no saved_model.pb in {path}")
    lib = tensorflow()
    mark_started()
    check_layout()
    graph_pointer: int = lib.TF_NewGraph()
    try:
        session = limited(lambda: _load(path, tags, graph_pointer, threads, divides_ops, optimizes))
    except NoProgress as stuck:
        raise not_opened(name or path, stuck) from None
    except TensorFlowFailure as failure:
        lib.TF_DeleteGraph(graph_pointer)
        raise not_loaded(name or path, failure) from None
    return CApiSession(path, graph_pointer, session, name or path)


def _load(path: str, tags: Sequence[str], graph_pointer: int, *options_of: Any) -> int:
    names = (c_char_p * len(tags))(*(tag.encode() for tag in tags))
    with session_options(*options_of) as options, status() as state, quiet():
        session: int = tensorflow().TF_LoadSessionFromSavedModel(
            *(options, None, os.fsencode(path), names, len(tags), graph_pointer, None, state)
        )
    return session
