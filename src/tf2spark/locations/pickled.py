"""Pickles of models: where a model is and what it must be, but none of its files."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable, Collection
from typing import Any

from attrs import frozen

from tf2spark import other_formats
from tf2spark.errors import ModelError, ModelNotFoundError, SetupError
from tf2spark.locations.paths import is_of_mlflow, is_uri, local_path, needs_spark
from tf2spark.package.op_libraries import OpLibrary
from tf2spark.saved_model.contract import Contract
from tf2spark.worker.task_start import current_task


@frozen
class PickledModel:
    """What a pickle of a model has: where the model is and what it must be, but none of its files.

    Attributes:
        path: An absolute path of this machine, or a URI; a base path if there is a `version`.
        version: The version folder.
        tags: The tags of its MetaGraph.
        digest: Its digest (hex).
        allow_ops: Ops that the user vouches for.
        op_libraries: Libraries of custom ops that the user vouches for.
    """

    path: str
    version: int | None
    tags: tuple[str, ...]
    digest: str
    allow_ops: tuple[str, ...]
    op_libraries: tuple[OpLibrary, ...]


class PickledByPath:
    """A model whose pickle is a `PickledModel`, so that Spark can send it to tasks in a closure.

    Attributes:
        path: The model as the user named it.
        location: Its folder, or its URI.
        allow_ops: Ops that may run beyond the allow-list.
        op_libraries: The libraries of custom ops that the user named.
    """

    path: str
    location: str
    allow_ops: Collection[str]
    op_libraries: tuple[OpLibrary, ...]

    @property
    def contract(self) -> Contract:
        """What is known about the model."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) over the model's files."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        version, tags = self.contract.version, self.contract.tags
        path = self.path
        if other_formats.is_mlflow_uri(path):
            path = self.contract.path  # with the version that an alias stood for
        elif not is_uri(path) and is_of_mlflow(path):
            path = os.path.abspath(local_path(path))
        elif not is_uri(path):
            # The folder that the path named when the model was opened.
            path = self.location if version is None else os.path.dirname(self.location)
        allowed = tuple(self.allow_ops)
        pickled = PickledModel(path, version, tags, self.digest, allowed, self.op_libraries)
        return _open_pickled, (type(self), pickled)

    def __deepcopy__(self, _: object) -> PickledByPath:
        return self  # nothing that a caller can change belongs to one model alone


@functools.lru_cache(maxsize=16)
def _open_pickled(model_class: Callable[..., PickledByPath], pickled: PickledModel) -> Any:
    """Open the model of a pickle; a process opens it once, however many tasks it runs.

    Raises:
        ModelNotFoundError: It isn't on this machine.
        ModelError: It has another digest, or an op library has other bytes.
        SetupError: It is on another file system, and there is no Spark session to read it through.
    """
    try:
        model = model_class(
            pickled.path,
            version=pickled.version,
            tags=pickled.tags,
            allow_ops=pickled.allow_ops,
            digest=pickled.digest,
            op_libraries=[library.path or library.name for library in pickled.op_libraries],
        )
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"{error.problem} on {socket.gethostname()}, and a pickled model has only the path "
            "and digest of its files",
            "put the model where all hosts find it under this path; SavedModel.score of a Spark "
            "DataFrame sends the files itself",
        ) from None
    except SetupError:
        if current_task() is None or not needs_spark(pickled.path):
            raise
        raise SetupError(
            f'the pickled model "{pickled.path}" can\'t be opened in a Spark task, which has no '
            "session to read it through",
            "put the model where all hosts find it under a local path; SavedModel.score of a "
            "Spark DataFrame has the executors fetch it",
        ) from None
    for expected, library in zip(pickled.op_libraries, model.op_libraries, strict=True):
        if library != expected:
            raise ModelError(
                f'the op library "{library.path}" on {socket.gethostname()} is not the one that '
                "the pickled model was opened with"
            )
    return model
