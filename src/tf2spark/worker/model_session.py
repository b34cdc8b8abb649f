"""The session of a model in this process: opened by the first task, kept for all later ones."""

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
        model: The model.
        locate: Returns where a file that came with the job lies on this host.

    Raises:
        ModelError: The model can't be loaded.
        SetupError: TensorFlow is missing on this host, or the host's cache can't be used.
    """
    # By content and not by path: a model that is replaced at its path gets a session of its own.
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
    """Open a new session for a model that lies unpacked in a folder; the caller closes it.

    Args:
        model: Its tags, threads and weights.
        folder: The folder of its ``saved_model.pb``.
        weights: The folder of its weights, if another.
    """
    session = open_session(str(folder), model.tags, threads=model.threads)
    try:
        for weight in model.weights:
            session.feed_always(weight.tensor, mapped_tensor(weight, weights or folder))
    except BaseException:
        # Spark retries a task in the same worker: a session left open would stay there each time.
        session.close()
        raise
    return session
