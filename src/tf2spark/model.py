"""`SavedModel`: the public face of a model, over the modules that do the work."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tf2spark.binding.feeds import Constant
from tf2spark.binding.graph_lookup import graph_of
from tf2spark.binding.options import Options, make_options
from tf2spark.binding.request import Request, make_request
from tf2spark.errors import ModelError, SetupError
from tf2spark.locations import need_pyspark, on_this_machine, read, written
from tf2spark.package.staging import staging_folder
from tf2spark.plan.score import ModelRef
from tf2spark.recommend.arguments import TOLERANCE, Asked, make_asked, ranked
from tf2spark.recommend.compile_model import catalog_model
from tf2spark.recommend.explain import RecommendPlan, explained
from tf2spark.recommend.pair_model import CatalogModel
from tf2spark.recommend.prepare import Prepared, prepare
from tf2spark.recommend.sides import sided
from tf2spark.recommend.tables import Tables
from tf2spark.saved_model import op_check, reader
from tf2spark.saved_model.contract import Contract

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession


class SavedModel:
    """A trained model, ready to score tables.

    Reading it takes milliseconds and neither TensorFlow nor Spark; nothing of it is run before
    rows are scored. What lies on HDFS or object storage is read through the active Spark session,
    with its settings and keys.

    Args:
        path: A SavedModel folder or a package, or a base path of integer folders as TF Serving has
            it: on this machine, or a URI that Hadoop knows (``hdfs://``, ``s3a://``, ``oss://``).
        version: Which integer folder; the largest by default.
        tags: The tags of the MetaGraph; ``serve``, or the only one, by default.
        allow_ops: Ops that the user vouches for, beyond the allow-list.

    Raises:
        ModelNotFoundError: There is no SavedModel at `path`.
        ModelError: It can't be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        version: int | None = None,
        tags: Sequence[str] | None = None,
        allow_ops: Collection[str] = (),
    ) -> None:
        self._loaded, self._place = read(os.fspath(path), version, tags)
        self._allow_ops = tuple(allow_ops)
        self._catalog_models: dict[Any, CatalogModel] = {}

    @property
    def contract(self) -> Contract:
        """What the model takes and gives; prints as a table and renders in a notebook."""
        return self._loaded.contract

    def __repr__(self) -> str:
        return f"SavedModel({self.contract.path!r})"

    def score(
        self,
        table: Any,
        *,
        feed: Mapping[str, Any] | None = None,
        fetch: Any = None,
        signature: str | None = None,
        keep: Sequence[str] | None = None,
        batch_rows: int | None = None,
        mode: str = "failfast",
        error_column: str | None = None,
        reproducible: bool = False,
        model_column: str | None = None,
        read: str = "auto",
    ) -> Any:
        """Return the table with the model's outputs as columns.

        A Spark DataFrame is scored lazily, on the cluster; a pandas DataFrame, a pyarrow Table or
        RecordBatch at once, in this process, by the same code.

        Args:
            table: The rows to score.
            feed: Input (or tensor ``x:0``) to a column, a list of columns, a number or bool,
                `literal`, `padded` or `assembled`. Inputs not named here take the column of their
                own name.
            fetch: New column to output (or tensor ``y:0``), or a list of outputs; by default all
                outputs of the signature under their own names.
            signature: Which signature; ``serving_default``, or the only one, by default.
            keep: The columns that stay; all by default.
            batch_rows: The most rows of one run of the model.
            mode: What happens to rows that can't be scored: "failfast" stops the job,
                "permissive" gives them null outputs and a reason, "dropmalformed" leaves them out.
            error_column: Where "permissive" writes the reason; ``_error`` by default.
            reproducible: Give every run the same number of rows, so that a row's bits don't
                depend on the rows around it.
            model_column: A new column for the digest of the model that scored the row.
            read: Who opens the files of a Spark DataFrame: "spark"; "worker", which is faster and
                for plain scans of local Parquet files; or "auto", the worker where the rows are
                known to come out the same. Nothing else changes with it.

        Returns:
            A table of the kind that came in.

        Raises:
            ContractError: Table, arguments and model don't fit; nothing has run.
            UnsafeModelError: The outputs depend on an op that isn't allowed.
            RowError: A row can't be scored in "failfast" mode (Spark: when the job runs).
            SetupError: PySpark or TensorFlow is missing.
        """
        options = make_options(
            keep=keep,
            batch_rows=batch_rows,
            mode=mode,
            error_column=error_column,
            reproducible=reproducible,
            model_column=model_column,
            read=read,
        )
        request = self._request(signature, feed, fetch)
        if _is_spark(table):
            from tf2spark.spark.score import score_dataframe

            return score_dataframe(table, request, options, self._reference(request))
        from tf2spark.local.score import score_table

        reference = self._reference(request, threads=_cores())
        return score_table(table, request, options, on_this_machine(reference))

    def recommend(
        self,
        users: Any,
        items: Any,
        k: int = 10,
        *,
        user_id: str = "user_id",
        item_id: str = "item_id",
        feed: Mapping[str, Any] | None = None,
        score: str | None = None,
        signature: str | None = None,
        exclude: str | None = None,
        candidates: str | None = None,
        keep: Sequence[str] | None = None,
        mode: str = "failfast",
        error_column: str | None = None,
        model_column: str | None = None,
        tolerance: float = TOLERANCE,
    ) -> Any:
        """Score every user against every item and return each user's best `k`, exactly.

        The graph is taken apart, so that what depends on the user alone is computed once a user,
        and what depends on the item alone once an item; `plan` prints how. A graph that can't be
        taken apart runs whole, one user against all items a run.

        With Spark DataFrames the items' part runs at once, on the cluster, the users' part lazily;
        pandas and pyarrow tables are scored in this process by the same code. For the best users
        of each item, exchange the two tables.

        Args:
            users: One row a user: id and features. A user that comes twice is answered twice.
            items: One row an item: id and features.
            k: At most so many items a user; fewer where there aren't more.
            user_id: The users' id column.
            item_id: The items' id column, of integers or strings; no null, none twice.
            feed: Input (or tensor ``x:0``) to what feeds it, as in `score`. A column that both
                tables have is written ``user:NAME`` or ``item:NAME``; a list may mix both
                sides: ``{"ids": ["user:ids", "item:ids"]}``.
            score: The output that ranks, where there are several; ``"probs[1]"`` for one entry of
                its rows.
            signature: Which signature; ``serving_default``, or the only one, by default.
            exclude: A column of users: lists of item ids never to return.
            candidates: A column of users: lists of the only item ids to return; null is no list.
            keep: Columns of users that stay, beside the id.
            mode: What happens to users that can't be scored, as in `score`. A NaN is no score.
            error_column: Where "permissive" writes the reason; ``_error`` by default.
            model_column: A new column for the digest of the model and catalog that scored.
            tolerance: How far scores may be from those of the whole graph, absolutely or relative
                to their size, on the users and items that are checked; else it runs whole.

        Returns:
            A table of the kind of `users`: its id, the kept columns, and ``recommendations``, a
            list of (item id, score), best first, equal scores by rising item id.

        Raises:
            ContractError: Tables, arguments and model don't fit.
            UnsafeModelError: The output depends on an op that isn't allowed.
            RowError: An item can't be scored; or a user, in "failfast" mode.
            SetupError: PySpark or TensorFlow is missing.
        """
        asked = make_asked(
            k, user_id, item_id, exclude, candidates, keep, mode, error_column, model_column,
            tolerance,
        )  # fmt: skip
        prepared = self.prepared(users, items, asked, feed, score, signature)
        if _is_spark(users):
            from tf2spark.spark.recommend import recommend_dataframe

            return recommend_dataframe(users, prepared)
        from tf2spark.local.recommend import recommend_table

        return recommend_table(users, prepared)

    def plan(
        self,
        users: Any,
        items: Any,
        k: int = 10,
        *,
        user_id: str = "user_id",
        item_id: str = "item_id",
        feed: Mapping[str, Any] | None = None,
        score: str | None = None,
        signature: str | None = None,
        exclude: str | None = None,
        candidates: str | None = None,
        tolerance: float = TOLERANCE,
    ) -> RecommendPlan:
        """Return how `recommend` would go about it: prints what is computed how often, and why.

        Arguments and errors are those of `recommend`; the items' part is computed for it.
        """
        asked = make_asked(
            k, user_id, item_id, exclude, candidates, None, "failfast", None, None, tolerance
        )
        return explained(self.prepared(users, items, asked, feed, score, signature))

    def prepared(
        self,
        users: Any,
        items: Any,
        asked: Asked,
        feed: Mapping[str, Any] | None,
        score: str | None,
        signature: str | None,
    ) -> Prepared:
        """Return `recommend` ready to run, the catalog's part computed; see `explained`."""
        rank = ranked(self.contract, signature, score)
        fetch = {"score": rank.output}
        request = self._request(signature, feed, fetch)
        if _is_spark(users) or _is_spark(items):
            from tf2spark.spark.recommend import SparkTables

            tables: Tables = SparkTables(users, items)
        else:
            from tf2spark.local.recommend import LocalTables

            tables = LocalTables(users, items)
        inputs = sided(request, tables.schemas)
        model = self._catalog_model(request, signature, rank.column)
        return prepare(model, inputs, asked, tables, staging_folder())

    def _catalog_model(
        self, request: Request, signature: str | None, column: int | None
    ) -> CatalogModel:
        """Compile for `recommend`, once for equal requests."""
        constants = [one for one in request.inputs if isinstance(one.feed, Constant)]
        key = (signature, column, repr(request.outputs), repr(constants))
        if key not in self._catalog_models:
            place = on_this_machine(self.reference()).path
            self._catalog_models[key] = catalog_model(
                place,
                self._loaded,
                request,
                signature,
                column,
                staging_folder(),
                _compiler,
                op_check.retains_strings(self._loaded.meta_graph, *_tensors(request)),
            )
        return self._catalog_models[key]

    def compile(
        self,
        path: str | os.PathLike[str],
        *,
        signature: str | None = None,
        feed: Mapping[str, Any] | None = None,
        fetch: Any = None,
        sample: Any = None,
        tolerance: float | None = None,
        overwrite: bool = False,
    ) -> SavedModel:
        """Write the model as a package, and return that: checked, complete and faster to open.

        Functions are inlined, variables become constants, tensors of 16 MiB and more become files
        that all workers of a host share. The result is held against the original; a model that
        can't be compiled is packed as it is, and `contract.package` says why. This is the one
        thing that needs TensorFlow's Python package.

        Args:
            path: Where the package goes.
            signature: Which signature is compiled; as in `score`.
            feed: Numbers and bools become part of the graph (``keep_prob``), a raw tensor
                ``x:0`` becomes an input named as its column. All else is given when scoring.
            fetch: New output to output (or tensor ``y:0``); all of the signature by default.
            sample: Rows (pandas, pyarrow) that both models are run on; the model's own warmup
                requests, or inputs made from the contract, where there are none.
            tolerance: How far numbers may be apart, absolutely or relative to their size,
                whichever is more; 1e-5 by default.
            overwrite: Replace a package that is there.

        Raises:
            ContractError: Arguments and model don't fit.
            ModelError: The compiled model gives other results, or the model is a package already.
            OutputError: The package can't be written.
            SetupError: TensorFlow is missing.
        """
        if self.contract.package is not None:
            raise ModelError(f'"{self.contract.path}" is a package already')
        request = self._request(signature, feed, fetch)
        compiler = _compiler()
        options = compiler.CompileOptions(sample=_as_arrow(sample), overwrite=overwrite)
        if tolerance is not None:
            options = evolve(options, tolerance=tolerance)
        target = os.fspath(path)
        with written(target, overwrite=overwrite) as folder:
            compiler.compile_to(folder, self._place, self._loaded, request, signature, options)
        return SavedModel(target, allow_ops=self._allow_ops)

    def udf(
        self,
        *,
        feed: Mapping[str, Any] | None = None,
        fetch: Any = None,
        signature: str | None = None,
        batch_rows: int | None = None,
        mode: str = "failfast",
        error_column: str | None = None,
    ) -> Callable[..., Column]:
        """Return a function of columns: ``df.select("id", model.udf()("features"))``.

        It takes the columns that feed the inputs, in the order of the inputs or by name. One
        output gives a column of its type, several a struct. A column's type becomes known when
        the query runs, so a mismatch is found in the first batch. "dropmalformed" can't be had
        here: a column function returns a value for every row.

        Raises:
            ContractError: An argument names something that the model hasn't.
            SetupError: PySpark is missing.
        """
        request, options = self._column_job(signature, feed, fetch, batch_rows, mode, error_column)
        need_pyspark()
        from tf2spark.spark.udf import make_udf

        return make_udf(request, options, self._reference(request))

    def register(
        self,
        spark: SparkSession,
        name: str,
        *,
        feed: Mapping[str, Any] | None = None,
        fetch: Any = None,
        signature: str | None = None,
        batch_rows: int | None = None,
        mode: str = "failfast",
        error_column: str | None = None,
    ) -> None:
        """Make the model a SQL function: ``SELECT name(features) FROM t``; see `udf`."""
        request, options = self._column_job(signature, feed, fetch, batch_rows, mode, error_column)
        need_pyspark()
        from tf2spark.spark.udf import register

        register(spark, name, request, options, self._reference(request))

    def _column_job(
        self,
        signature: str | None,
        feed: Mapping[str, Any] | None,
        fetch: Any,
        batch_rows: int | None,
        mode: str,
        error_column: str | None,
    ) -> tuple[Request, Options]:
        options = make_options(
            keep=(), batch_rows=batch_rows, mode=mode, error_column=error_column, columnwise=True
        )
        return self._request(signature, feed, fetch), options

    def _request(
        self, signature: str | None, feed: Mapping[str, Any] | None, fetch: Any
    ) -> Request:
        graph = graph_of(self._loaded)
        request = make_request(self.contract, graph, signature=signature, feed=feed, fetch=fetch)
        meta_graph, fetches, feeds = self._loaded.meta_graph, *_tensors(request)
        op_check.check(meta_graph, fetches=fetches, feeds=feeds, allow_ops=self._allow_ops)
        return request

    def _reference(self, request: Request, *, threads: int = 1) -> ModelRef:
        copies = op_check.retains_strings(self._loaded.meta_graph, *_tensors(request))
        return evolve(self.reference(), threads=threads, copy_strings=copies)

    def reference(self) -> ModelRef:
        """Return what a worker is told of the model: where it is, its digest and its files."""
        package = self.contract.package
        return ModelRef(
            self._place,
            self.contract.tags,
            self._digest,
            files=package.files if package else (),
            weights=package.weights if package else (),
        )

    @functools.cached_property
    def _digest(self) -> str:
        package = self.contract.package
        return package.digest if package else reader.digest(self._place)


def _tensors(request: Request) -> tuple[list[str], list[str]]:
    fetches = [tensor for one in request.outputs for tensor in one.spec.tensors]
    # What lies above an input that may stay unfed can run, and is checked too.
    inputs = [one.spec for one in request.inputs if not one.optional]
    feeds = [tensor for spec in inputs for tensor in spec.tensors]
    return fetches, feeds


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_spark(table: Any) -> bool:
    # By name, so that a pandas user never pays for importing Spark.
    return any(kind.__module__.startswith("pyspark.sql") for kind in type(table).__mro__)


def _as_arrow(sample: Any) -> Any:
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
            f"TensorFlow can't be imported ({error}), and compiling needs its Python package: pip "
            "install tensorflow-cpu (or tensorflow). Scoring a package doesn't"
        ) from None
    return compiler
