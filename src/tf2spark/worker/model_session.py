"""The session of a model in this process: opened at the first batch, kept for every later task."""

from __future__ import annotations

from pathlib import Path

from tf2spark.package.folder import Locate, located_in
from tf2spark.package.host_cache import LIMIT_BYTES, cached_folder
from tf2spark.plan.score import ModelRef
from tf2spark.tensorflow_c.mapped_files import mapped_tensor
from tf2spark.tensorflow_c.process import cached_session
from tf2spark.tensorflow_c.session import CApiSession, open_session


def session_of(model: ModelRef, locate: Locate | None = None) -> CApiSession:
    """Return this process's session for a model, keyed by the content of its files.

    Args:
        model: Which one.
        locate: Where files that came with the job lie on this host.

    Raises:
        ModelError: The model can't be loaded.
        SetupError: TensorFlow is missing here, or the host's cache can't be used.
    """
    key = f"{model.digest} {','.join(model.tags)} {model.threads}"
    return cached_session(key, lambda: _open(model, locate))


def _open(model: ModelRef, locate: Locate | None) -> CApiSession:
    folder = Path(model.path)
    if model.files:
        locate = locate or located_in(folder)
        limit_bytes = LIMIT_BYTES if model.cache_bytes is None else model.cache_bytes
        folder = cached_folder(
            model.digest, model.files, locate, root=model.cache, limit_bytes=limit_bytes
        )
    return open_model(model, folder)


def open_model(model: ModelRef, folder: Path, *, weights: Path | None = None) -> CApiSession:
    """Open a session of one's own for a model that lies unpacked in a folder.

    Args:
        model: Its tags, threads and weights.
        folder: Where its ``saved_model.pb`` is.
        weights: Where its weights are, if elsewhere.
    """
    session = open_session(str(folder), model.tags, threads=model.threads)
    for weight in model.weights:
        session.feed_always(weight.tensor, mapped_tensor(weight, weights or folder))
    return session
