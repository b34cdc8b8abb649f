"""The Params of `SavedModelTransformer`: the arguments of `SavedModel` and of `score`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from pyspark.ml.param import Param, Params

from tf2spark.binding.feeds import Feed, FeedValue, Fetch, Output
from tf2spark.binding.options import Read, Rows
from tf2spark.binding.stored.call_json import (
    feeds_from_json,
    feeds_to_json,
    fetches_from_json,
    fetches_to_json,
)
from tf2spark.ml.param_values import (
    model_path,
    names,
    plain_scalar,
    save_choice,
)
from tf2spark.model import SavedModel
from tf2spark.plan.score import Mode

Self = TypeVar("Self", bound="SavedModelParams")
_DEFAULTS = {
    "mode": "failfast",
    "reproducible": False,
    "read_by": "auto",
    "rows": "auto",
    "save_model": "copy",
}


def _param(name: str, doc: str, convert: Callable[[Any], Any]) -> Param[Any]:
    return Param(Params._dummy(), name, doc, convert)


class SavedModelParams(Params):
    """Params of the same names as the arguments of `SavedModel` and of its `score`.

    Only `read` is called `read_by` here, since ``read()`` loads a stage.
    """

    model: Param[str] = _param(
        "model", "the SavedModel or package: a path, a URI or a SavedModel", model_path
    )
    version: Param[int | str | None] = _param(
        "version", "which version folder; the largest by default", plain_scalar
    )
    tags: Param[list[str] | None] = _param("tags", "the tags of the MetaGraph", names)
    digest: Param[str | None] = _param(
        "digest", 'the digest that the model must have, "sha256:..."', plain_scalar
    )
    allow_ops: Param[list[str] | None] = _param(
        "allow_ops", "ops that the user vouches for, beyond the allow-list", names
    )
    op_libraries: Param[list[str] | None] = _param(
        "op_libraries", "libraries of custom ops that the user vouches for", names
    )
    signature: Param[str | None] = _param(
        "signature", "which signature; serving_default, or the only one, by default", plain_scalar
    )
    feed: Param[dict[str, Any] | None] = _param(
        "feed",
        'what feeds each input: {"input": "column"}; columns of the inputs\' names by default',
        feeds_to_json,
    )
    fetch: Param[dict[str, Any] | None] = _param(
        "fetch",
        'which output is in which new column: {"column": "output"}; all outputs by default',
        fetches_to_json,
    )
    keep: Param[list[str] | None] = _param("keep", "the columns to keep; all by default", names)
    batch_rows: Param[int | None] = _param(
        "batch_rows", "the maximum number of rows in one run of the model", plain_scalar
    )
    mode: Param[Mode] = _param(
        "mode",
        'rows that can\'t be scored: "failfast", "permissive" or "dropmalformed"',
        plain_scalar,
    )
    error_column: Param[str | None] = _param(
        "error_column", 'where "permissive" writes the reason; _error by default', plain_scalar
    )
    reproducible: Param[bool] = _param(
        "reproducible",
        "whether a row's bits are the same whatever rows are around it",
        plain_scalar,
    )
    model_column: Param[str | None] = _param(
        "model_column", "a new column for the digest of the model", plain_scalar
    )
    read_by: Param[Read] = _param(
        "read_by", 'who reads the files: "auto", "spark" or "worker"', plain_scalar
    )
    rows: Param[Rows] = _param(
        "rows", 'whether rows depend on each other: "auto", "independent" or "batch"', plain_scalar
    )
    task_timeout: Param[float | None] = _param(
        "task_timeout", "the seconds that a run of the model may take in a task", plain_scalar
    )
    save_model: Param[str] = _param(
        "save_model",
        'what save() writes: "copy", the model too, or "reference", its path and digest',
        save_choice,
    )

    def __init__(self) -> None:
        super().__init__()
        optional = {param.name: None for param in self.params if param.name != "model"}
        self._setDefault(**{**optional, **_DEFAULTS})

    def explainParam(self, param: str | Param[Any]) -> str:
        """Return a Param's name, doc and values; feeds and outputs as messages write them."""
        resolved: Param[Any] = self._resolveParam(param)
        value = self._paramMap.get(resolved)
        if value is None or resolved.name not in ("feed", "fetch"):
            return super().explainParam(param)
        read = feeds_from_json if resolved.name == "feed" else fetches_from_json
        pairs = ", ".join(f"{name}: {written}" for name, written in (read(value) or {}).items())
        return f"{resolved.name}: {resolved.doc} (default: None, current: {{{pairs}}})"

    def setModel(self: Self, value: str | os.PathLike[str] | SavedModel) -> Self:
        """Set `model`."""
        return self._set(model=value)

    def getModel(self) -> str:
        """Return `model`."""
        return self.getOrDefault(self.model)

    def setVersion(self: Self, value: int | str | None) -> Self:
        """Set `version`."""
        return self._set(version=value)

    def getVersion(self) -> int | str | None:
        """Return `version`."""
        return self.getOrDefault(self.version)

    def setTags(self: Self, value: Sequence[str] | None) -> Self:
        """Set `tags`."""
        return self._set(tags=value)

    def getTags(self) -> list[str] | None:
        """Return `tags`."""
        return self.getOrDefault(self.tags)

    def setDigest(self: Self, value: str | None) -> Self:
        """Set `digest`."""
        return self._set(digest=value)

    def getDigest(self) -> str | None:
        """Return `digest`."""
        return self.getOrDefault(self.digest)

    def setAllowOps(self: Self, value: Collection[str] | None) -> Self:
        """Set `allow_ops`."""
        return self._set(allow_ops=value)

    def getAllowOps(self) -> list[str] | None:
        """Return `allow_ops`."""
        return self.getOrDefault(self.allow_ops)

    def setOpLibraries(self: Self, value: Collection[str | os.PathLike[str]] | None) -> Self:
        """Set `op_libraries`."""
        return self._set(op_libraries=value)

    def getOpLibraries(self) -> list[str] | None:
        """Return `op_libraries`."""
        return self.getOrDefault(self.op_libraries)

    def setSignature(self: Self, value: str | None) -> Self:
        """Set `signature`."""
        return self._set(signature=value)

    def getSignature(self) -> str | None:
        """Return `signature`."""
        return self.getOrDefault(self.signature)

    def setFeed(self: Self, value: Mapping[str, FeedValue] | None) -> Self:
        """Set `feed`."""
        return self._set(feed=value)

    def getFeed(self) -> dict[str, Feed] | None:
        """Return `feed`."""
        return feeds_from_json(self.getOrDefault(self.feed))

    def setFetch(self: Self, value: Fetch | None) -> Self:
        """Set `fetch`."""
        return self._set(fetch=value)

    def getFetch(self) -> dict[str, Output] | None:
        """Return `fetch`."""
        return fetches_from_json(self.getOrDefault(self.fetch))

    def setKeep(self: Self, value: Sequence[str] | None) -> Self:
        """Set `keep`."""
        return self._set(keep=value)

    def getKeep(self) -> list[str] | None:
        """Return `keep`."""
        return self.getOrDefault(self.keep)

    def setBatchRows(self: Self, value: int | None) -> Self:
        """Set `batch_rows`."""
        return self._set(batch_rows=value)

    def getBatchRows(self) -> int | None:
        """Return `batch_rows`."""
        return self.getOrDefault(self.batch_rows)

    def setMode(self: Self, value: Mode) -> Self:
        """Set `mode`."""
        return self._set(mode=value)

    def getMode(self) -> Mode:
        """Return `mode`."""
        return self.getOrDefault(self.mode)

    def setErrorColumn(self: Self, value: str | None) -> Self:
        """Set `error_column`."""
        return self._set(error_column=value)

    def getErrorColumn(self) -> str | None:
        """Return `error_column`."""
        return self.getOrDefault(self.error_column)

    def setReproducible(self: Self, value: bool) -> Self:
        """Set `reproducible`."""
        return self._set(reproducible=value)

    def getReproducible(self) -> bool:
        """Return `reproducible`."""
        return self.getOrDefault(self.reproducible)

    def setModelColumn(self: Self, value: str | None) -> Self:
        """Set `model_column`."""
        return self._set(model_column=value)

    def getModelColumn(self) -> str | None:
        """Return `model_column`."""
        return self.getOrDefault(self.model_column)

    def setReadBy(self: Self, value: Read) -> Self:
        """Set `read_by`."""
        return self._set(read_by=value)

    def getReadBy(self) -> Read:
        """Return `read_by`."""
        return self.getOrDefault(self.read_by)

    def setRows(self: Self, value: Rows) -> Self:
        """Set `rows`."""
        return self._set(rows=value)

    def getRows(self) -> Rows:
        """Return `rows`."""
        return self.getOrDefault(self.rows)

    def setSaveModel(self: Self, value: str) -> Self:
        """Set `save_model`."""
        return self._set(save_model=value)

    def getSaveModel(self) -> str:
        """Return `save_model`."""
        return self.getOrDefault(self.save_model)

    def setTaskTimeout(self: Self, value: float | None) -> Self:
        """Set `task_timeout`."""
        return self._set(task_timeout=value)

    def getTaskTimeout(self) -> float | None:
        """Return `task_timeout`."""
        return self.getOrDefault(self.task_timeout)
