"""The session of a model in this process: opened at the first batch, kept for every later task."""

from __future__ import annotations

from tf2spark.plan import ModelRef
from tf2spark.runtime.session import CApiSession, cached_session, open_session


def session_of(model: ModelRef) -> CApiSession:
    """Return this process's session for a model, keyed by the content of its files.

    Raises:
        ModelError: The model can't be loaded.
        SetupError: TensorFlow is missing here.
    """
    key = f"{model.digest} {','.join(model.tags)} {model.threads}"
    return cached_session(key, lambda: open_session(model.path, model.tags, threads=model.threads))
