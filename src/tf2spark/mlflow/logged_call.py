"""What `predict` asks of a logged model, and the model as it is logged for that."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tf2spark.binding.feeds import Constant, Feed, Output
from tf2spark.binding.normalize import normalize
from tf2spark.binding.request import Request
from tf2spark.binding.stored.call_json import feeds_to_json, fetches_to_json
from tf2spark.errors import ContractError, shortened
from tf2spark.locations.keras_models import saved_model_of
from tf2spark.model import SavedModel
from tf2spark.package.staging import staging_folder

if TYPE_CHECKING:
    from tf2spark.binding.feeds import FeedValue, Fetch
    from tf2spark.locations.keras_models import KerasModel


@frozen
class LoggedCall:
    """What `predict` asks of the model: arguments of `SavedModel.score`."""

    signature: str | None
    feed: Mapping[str, Feed] | None
    fetch: Mapping[str, Output] | None
    batch_rows: int | None

    def request_of(self, model: SavedModel) -> Request:
        """Return the request to a model; raise `ContractError` if they don't fit."""
        return model._runnable.request(self.signature, self.feed, self.fetch, self.batch_rows)

    def to_json(self) -> dict[str, Any]:
        """Return the call as the file MLmodel has it."""
        return {
            "signature": self.signature,
            "feed": feeds_to_json(self.feed),
            "fetch": fetches_to_json(self.fetch),
            "batch_rows": self.batch_rows,
        }

    @property
    def names_tensors(self) -> bool:
        """Whether it feeds or fetches raw tensors, which a compiled graph no longer has."""
        outputs = (output.name for output in (self.fetch or {}).values())
        return any(":" in name for name in (*(self.feed or {}), *outputs))

    @property
    def constants(self) -> dict[str, Feed]:
        """The feeds that become part of a compiled graph."""
        feeds = (self.feed or {}).items()
        return {name: feed for name, feed in feeds if isinstance(feed, Constant)}


def logged_call(
    signature: str | None,
    feed: Mapping[str, FeedValue] | None,
    fetch: Fetch | None,
    batch_rows: int | None,
) -> LoggedCall:
    """Check the arguments of a call that need no model.

    Raises:
        ContractError: One is wrong.
    """
    if signature is not None and not isinstance(signature, str):
        raise ContractError(
            f"signature is the name of a signature of the SavedModel, not {shortened(signature)}",
            "pass a signature of MLflow as mlflow_signature=",
        )
    return LoggedCall(signature, *normalize(feed, fetch), batch_rows)


@contextmanager
def ready_to_log(
    model: str | os.PathLike[str] | SavedModel | KerasModel, call: LoggedCall, *, compile: bool
) -> Iterator[tuple[SavedModel, LoggedCall]]:
    """Yield the model as it is logged: opened, checked for the call, and compiled if it can be.

    And the call: a model that comes from MLflow keeps that which it was logged with.
    """
    with ExitStack() as stack:
        if isinstance(model, SavedModel):
            opened = model
        else:
            path, source = stack.enter_context(saved_model_of(model))
            opened = SavedModel(path)
            if source is not None:
                opened._runnable.name_source(source)
        if all(each is None for each in (call.signature, call.feed, call.fetch)):
            call = LoggedCall(*opened._runnable.loaded.logged_call, call.batch_rows)
        call.request_of(opened)
        if any(library.path for library in opened._runnable.op_libraries):
            raise ContractError(
                "op libraries that are files can't be logged with a model",
                "install them as a Python module, and name that",
            )
        if compile and opened.contract.package is None and not call.names_tensors:
            folder = stack.enter_context(TemporaryDirectory(dir=staging_folder()))
            opened = opened.compile(
                Path(folder) / "model.tf2spark",
                signature=call.signature,
                feed=call.constants or None,
            )
        yield opened, call
