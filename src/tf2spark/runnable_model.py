"""A model that was read, and everything a call does with it: what `SavedModel` and the command
line share.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from attrs import evolve

from tf2spark.binding.feeds import Constant, FeedValue, Fetch
from tf2spark.binding.graph_lookup import graph_of
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request, make_request
from tf2spark.errors import ModelError, SetupError
from tf2spark.locations import fetch_to_this_machine, package_folder, read_model
from tf2spark.package.staging import staging_folder
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.arguments import RecommendArguments, choose_ranking_output
from tf2spark.recommend.compile_model import PairRequest, compile_pair_model
from tf2spark.recommend.pair_model import PairModel
from tf2spark.recommend.prepare import Prepared, prepare
from tf2spark.recommend.sides import assign_sides
from tf2spark.recommend.tables import Tables
from tf2spark.saved_model import op_check, reader
from tf2spark.saved_model.contract import Contract
from tf2spark.table_types import LocalTable, Table, TableT, is_spark

if TYPE_CHECKING:
    import pyarrow as pa


class RunnableModel:
    """A model that was read, and the ops that the user vouches for.

    Attributes:
        loaded: The model as it was read.
        location: Where workers find it: a folder, or the URI of a package.
        allow_ops: Ops that may run beyond the allow-list.
    """

    def __init__(
        self,
        path: str,
        *,
        version: int | None = None,
        tags: Sequence[str] | None = None,
        allow_ops: Collection[str] = (),
    ) -> None:
        self.loaded, self.location = read_model(path, version, tags)
        self.allow_ops = tuple(allow_ops)
        self._pair_models: dict[tuple[str | None, int | None, str, str], PairModel] = {}

    @property
    def contract(self) -> Contract:
        return self.loaded.contract

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 over the model's files."""
        package = self.contract.package
        return package.digest if package else reader.digest(self.location)

    def request(
        self,
        signature: str | None,
        feed: Mapping[str, FeedValue] | None,
        fetch: Fetch | None,
    ) -> Request:
        """Determine the inputs and outputs of a call, and check the ops that it would run.

        Raises:
            ContractError: The arguments and the model don't fit.
            UnsafeModelError: The outputs depend on an op that isn't allowed.
        """
        graph = graph_of(self.loaded)
        request = make_request(self.contract, graph, signature=signature, feed=feed, fetch=fetch)
        fetches, feeds = _tensors(request)
        meta_graph = self.loaded.meta_graph
        op_check.check(meta_graph, fetches=fetches, feeds=feeds, allow_ops=self.allow_ops)
        return request

    def reference(self) -> ModelRef:
        """Return what a worker needs to open the model: its location, digest and files."""
        package = self.contract.package
        return ModelRef(
            self.location,
            self.contract.tags,
            self.digest,
            files=package.files if package else (),
            weights=package.weights if package else (),
        )

    def reference_for(self, request: Request, *, threads: int = 1) -> ModelRef:
        """Return the reference of the model for workers that run one request."""
        return evolve(
            self.reference(), threads=threads, copy_strings=self._retains_strings(request)
        )

    def score(self, table: TableT, request: Request, options: Options) -> TableT:
        """Return the table with the outputs of a request as columns; see `SavedModel.score`."""
        scored: Any
        if is_spark(table):
            from tf2spark.spark.score import score_dataframe

            dataframe: Any = table
            scored = score_dataframe(dataframe, request, options, self.reference_for(request))
        else:
            from tf2spark.local.score import score_table

            model = fetch_to_this_machine(self.reference_for(request, threads=_cores()))
            scored = score_table(table, request, options, model)
        return cast(TableT, scored)

    def prepare(
        self,
        users: Table,
        items: Table,
        arguments: RecommendArguments,
        feed: Mapping[str, FeedValue] | None,
        score: str | None,
        signature: str | None,
    ) -> Prepared:
        """Return `recommend` ready to run, with the item side computed; see `explain`."""
        ranking = choose_ranking_output(self.contract, signature, score)
        request = self.request(signature, feed, {"score": ranking.name})
        tables = _tables(users, items)
        inputs = assign_sides(request, tables.schemas)
        model = self._pair_model(request, signature, ranking.column)
        return prepare(model, inputs, arguments, tables, staging_folder())

    def _pair_model(self, request: Request, signature: str | None, column: int | None) -> PairModel:
        """Compile for `recommend`, once for equal requests."""
        constants = [fed for fed in request.inputs if isinstance(fed.feed, Constant)]
        key = (signature, column, repr(request.outputs), repr(constants))
        if key not in self._pair_models:
            pair_request = PairRequest(request, signature, column, self._retains_strings(request))
            self._pair_models[key] = compile_pair_model(
                Path(fetch_to_this_machine(self.reference()).path),
                self.loaded,
                pair_request,
                staging_folder(),
                _compiler,
            )
        return self._pair_models[key]

    def recommend(self, users: TableT, prepared: Prepared) -> TableT:
        """Return the users with their recommendations; see `SavedModel.recommend`."""
        recommended: Any
        if is_spark(users):
            from tf2spark.spark.recommend import recommend_dataframe

            dataframe: Any = users
            recommended = recommend_dataframe(dataframe, prepared)
        else:
            from tf2spark.local.recommend import recommend_table

            recommended = recommend_table(users, prepared)
        return cast(TableT, recommended)

    def compile(
        self,
        target: str,
        signature: str | None,
        feed: Mapping[str, FeedValue] | None,
        fetch: Fetch | None,
        *,
        sample: LocalTable | None,
        tolerance: float | None,
        overwrite: bool,
    ) -> None:
        """Write the model as a package; see `SavedModel.compile`."""
        if self.contract.package is not None:
            raise ModelError(f'"{self.contract.path}" is a package already')
        request = self.request(signature, feed, fetch)
        compiler = _compiler()
        options = compiler.CompileOptions(sample=_as_arrow(sample), overwrite=overwrite)
        if tolerance is not None:
            options = evolve(options, tolerance=tolerance)
        with package_folder(target, overwrite=overwrite) as folder:
            compiler.compile_to(folder, self.location, self.loaded, request, signature, options)

    def _retains_strings(self, request: Request) -> bool:
        return op_check.retains_strings(self.loaded.meta_graph, *_tensors(request))


def _tensors(request: Request) -> tuple[list[str], list[str]]:
    """Return the names of the tensors that a request fetches, and of those that it always feeds."""
    fetches = [tensor for output in request.outputs for tensor in output.spec.tensors]
    # Nodes upstream of an optional input may run, so they are checked too.
    specs = [fed.spec for fed in request.inputs if not fed.optional]
    return fetches, [tensor for spec in specs for tensor in spec.tensors]


def _tables(users: Table, items: Table) -> Tables:
    if is_spark(users) or is_spark(items):
        from tf2spark.spark.recommend import SparkTables

        dataframes: Any = users, items
        return SparkTables(*dataframes)
    from tf2spark.local.recommend import LocalTables

    return LocalTables(users, items)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_arrow(sample: LocalTable | None) -> pa.Table | None:
    """Return a sample as a pyarrow Table."""
    if sample is None:
        return None
    import pyarrow as pa

    if isinstance(sample, pa.RecordBatch):
        return pa.Table.from_batches([sample])
    return sample if isinstance(sample, pa.Table) else pa.Table.from_pandas(sample)


def _compiler() -> Any:
    """Import the compiler, which needs TensorFlow's Python package.

    Raises:
        SetupError: It isn't installed.
    """
    try:
        from tf2spark.compile import compiler
    except ImportError as error:
        if not (error.name or "").startswith("tensorflow"):
            raise
        raise SetupError(
            f"TensorFlow can't be imported ({error}), and compiling needs its Python package",
            "pip install tensorflow-cpu (or tensorflow); scoring a package works without it",
        ) from None
    return compiler
