"""`SavedModelTransformer`: `SavedModel.score` as a stage of a Spark ML pipeline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark import keyword_only
from pyspark.ml import Transformer
from pyspark.ml.param import Param
from pyspark.ml.util import MLReadable, MLWritable
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from tf2spark.binding.calls.checks import check_call
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.errors import ContractError, addressed_to
from tf2spark.ml.params import SavedModelParams
from tf2spark.ml.persistence import StageReader, StageWriter
from tf2spark.model import SavedModel
from tf2spark.runnable.model import RunnableModel
from tf2spark.runnable.score import score
from tf2spark.spark.score import scored_schema
from tf2spark.spark.types import arrow_schema

if TYPE_CHECKING:
    import os

    from pyspark.ml._typing import ParamMap

    from tf2spark.binding.feeds import FeedValue, Fetch
    from tf2spark.binding.options import Read, Rows
    from tf2spark.plan.score import Mode

# What decides which model is opened, and how.
_MODEL_PARAMS = ("model", "version", "tags", "digest", "allow_ops", "op_libraries")


class SavedModelTransformer(
    Transformer, SavedModelParams, MLReadable["SavedModelTransformer"], MLWritable
):
    """Adds a SavedModel's outputs to a table, as a stage of a Spark ML pipeline.

    ``SavedModelTransformer(model="models/price", fetch={"price": "output_0"})``. The keywords are
    the arguments of `SavedModel` and of its `score`, and each is a Param: `explainParams` describes
    them, ``setFeed`` sets one, a ParamMap overrides them.

    ``save()`` writes the model with the stage. With ``save_model="reference"`` it writes only the
    model's path and digest: whoever loads the stage must be able to read the model there, and a
    model with another digest is refused.

    Args:
        model: The model: a path, a URI or a `SavedModel`, whose own arguments and digest are
            taken over.
        version: As for `SavedModel`; so are `tags`, `digest`, `allow_ops` and `op_libraries`.
        tags: The tags of the MetaGraph.
        digest: The digest that the model must have.
        allow_ops: Ops that the user vouches for.
        op_libraries: Libraries of custom ops that the user vouches for.
        signature: As in `SavedModel.score`; so are the arguments below, except the last.
        feed: Input to what feeds it.
        fetch: New column to output.
        keep: The columns to keep.
        batch_rows: The maximum number of rows in one run.
        mode: What happens to rows that can't be scored.
        error_column: Where "permissive" writes the reason.
        reproducible: Whether a row's bits are the same whatever rows are around it.
        model_column: A new column for the digest of the model.
        read_by: Who reads the files: `read` of `score`.
        rows: Whether rows depend on each other.
        task_timeout: How many seconds a run may take in a Spark task.
        save_model: "copy" saves the model with the stage, "reference" its path and digest.

    Raises:
        ContractError: An argument is wrong; `transformSchema` and `transform` raise what
            `SavedModel` and `score` do.
    """

    _opened: tuple[tuple[Any, ...], RunnableModel] | None = None

    @keyword_only
    def __init__(
        self,
        *,
        model: str | os.PathLike[str] | SavedModel | None = None,
        version: int | str | None = None,
        tags: Sequence[str] | None = None,
        digest: str | None = None,
        allow_ops: Collection[str] | None = None,
        op_libraries: Collection[str | os.PathLike[str]] | None = None,
        signature: str | None = None,
        feed: Mapping[str, FeedValue] | None = None,
        fetch: Fetch | None = None,
        keep: Sequence[str] | None = None,
        batch_rows: int | None = None,
        mode: Mode = "failfast",
        error_column: str | None = None,
        reproducible: bool = False,
        model_column: str | None = None,
        read_by: Read = "auto",
        rows: Rows = "auto",
        task_timeout: float | None = None,
        save_model: str = "copy",
    ) -> None:
        super().__init__()
        given: dict[str, Any] = self._input_kwargs  # type: ignore[attr-defined]
        self.setParams(**given)

    def setParams(self, **params: Any) -> SavedModelTransformer:
        """Set Params by their names, which are the keywords of the class."""
        model = params.pop("model", None)
        self._set(**params)
        return self if model is None else self.setModel(model)

    def setModel(self, value: str | os.PathLike[str] | SavedModel) -> SavedModelTransformer:
        """Set `model`; a `SavedModel` also sets what it was opened with, and its digest."""
        self._set(model=value)
        if isinstance(value, SavedModel):
            opened = value._runnable
            self._set(
                version=None,
                tags=opened.contract.tags,
                digest=value.digest,
                allow_ops=opened.allow_ops,
                op_libraries=[library.path or library.name for library in opened.op_libraries],
            )
        return self

    def transformSchema(self, schema: StructType) -> StructType:
        """Return the columns that `transform` gives a table; raise if table and model don't fit.

        Raises:
            ContractError: They don't, or an argument is wrong.
        """
        with addressed_to("python"):
            model, request, options = self._call(schema)
            return scored_schema(schema, request, options, model.reference_for(request), model.bind)

    def write(self) -> StageWriter:
        """Return what saves the stage, and its model unless `save_model` is "reference"."""
        return StageWriter(self, self.opened())

    @classmethod
    def read(cls) -> StageReader:
        """Return what loads a stage."""
        return StageReader(cls)

    def opened(self) -> RunnableModel:
        """Return the model, read anew where a Param that names it has changed.

        Raises:
            ContractError: No model is set.
            ModelError: It can't be read, or has another digest.
        """
        if not self.isDefined(self.getParam("model")):
            raise ContractError(
                "the stage has no model",
                'write SavedModelTransformer(model="PATH"), or setModel("PATH")',
            )
        key = self._model_key()
        if self._opened is None or self._opened[0] != key:
            arguments = {name: self._value(name) for name in _MODEL_PARAMS}
            path = arguments.pop("model")
            for name in ("allow_ops", "op_libraries"):
                arguments[name] = arguments[name] or ()
            self._opened = key, RunnableModel(path, **arguments)
        return self._opened[1]

    def keep_opened(self, model: RunnableModel) -> None:
        """Use a model that was read already for what the Params name now."""
        self._opened = self._model_key(), model

    def _model_key(self) -> tuple[Any, ...]:
        return tuple(repr(self._value(name)) for name in _MODEL_PARAMS)

    def _value(self, name: str) -> Any:
        param: Param[Any] = self.getParam(name)
        return self.getOrDefault(param)

    def _call(self, schema: StructType) -> tuple[RunnableModel, Request, Options]:
        """Check all Params; return the model, and what `score` asks of it."""
        model = self.opened()
        names = ("keep", "batch_rows", "mode", "error_column", "reproducible", "model_column")
        given = {name: self._value(name) for name in (*names, "rows", "task_timeout")}
        request, options = check_call(
            model.request,
            model.contract,
            (self.getSignature(), self.getFeed(), self.getFetch()),
            lambda _: arrow_schema(schema),
            {**given, "read": self.getReadBy(), "audience": "python"},
        )
        return model, request, options

    def _transform(self, dataset: DataFrame) -> DataFrame:
        with addressed_to("python"):
            model, request, options = self._call(dataset.schema)
            return score(model, dataset, request, options)

    def copy(self, extra: ParamMap | None = None) -> SavedModelTransformer:
        """Return a copy with other Params; it shares the model that was read."""
        copied = super().copy(extra)
        copied._opened = self._opened
        return copied

    def __getstate__(self) -> dict[str, Any]:
        # A model that was read holds files and sessions of this process.
        return {**self.__dict__, "_opened": None}


# The name by which Spark finds the class when it loads a stage, wherever the class moves.
SavedModelTransformer.__module__ = "tf2spark.ml"
