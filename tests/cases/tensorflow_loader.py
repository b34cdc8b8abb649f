"""TensorFlow's own loader, for tests that compare what it reads with what we read."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.library import TFBuffer, status, tensorflow
from tf2spark.tensorflow_c.process import mark_started


def load_meta_graph(folder: Path, tags: Sequence[str] = ("serve",)) -> bytes | None:
    """Load a SavedModel and return the MetaGraph as TensorFlow's C++ has read it.

    Returns:
        The serialized message, or None where TensorFlow can't load the model.
    """
    lib = tensorflow()
    mark_started()
    options, graph = lib.TF_NewSessionOptions(), lib.TF_NewGraph()
    names = (ctypes.c_char_p * len(tags))(*(tag.encode() for tag in tags))
    meta_graph = TFBuffer()
    try:
        with status() as state:
            session = lib.TF_LoadSessionFromSavedModel(
                *(options, None, str(folder).encode(), names, len(tags)),
                *(graph, ctypes.byref(meta_graph), state),
            )
        content = ctypes.string_at(meta_graph.data, meta_graph.length)
        for close in (lib.TF_CloseSession, lib.TF_DeleteSession):
            with status() as state:
                close(session, state)
    except TensorFlowFailure:
        return None
    finally:
        lib.TF_DeleteSessionOptions(options)
        lib.TF_DeleteGraph(graph)
    return content
