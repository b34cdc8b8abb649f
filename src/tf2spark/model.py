"""`SavedModel`: the public interface to a model; other modules do the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tf2spark.binding.advice.tables import check_has_tasks, check_recommend_tables, check_table
from tf2spark.binding.argument_types import path_text
from tf2spark.binding.calls.checks import check_column_call
from tf2spark.binding.feeds import FeedValue, Fetch
from tf2spark.binding.options import Read, Rows
from tf2spark.errors import addressed_to
from tf2spark.locations.keras_models import KerasModel, saved_model_of
from tf2spark.locations.tables import recommend_tables
from tf2spark.package.digests import digest_text
from tf2spark.plan.score import Mode
from tf2spark.recommend.arguments import TOLERANCE
from tf2spark.recommend.explanation.plan import RecommendPlan, explain
from tf2spark.recommend.job_folder import remove_job_folder
from tf2spark.recommend.table_checks import check_call
from tf2spark.runnable.compile import write_package
from tf2spark.runnable.model import RunnableModel
from tf2spark.runnable.recommend import prepare, ranking_request, recommend
from tf2spark.runnable.score import score
from tf2spark.runnable.udf import column_call
from tf2spark.saved_model.contract import Contract
from tf2spark.table_types import LocalTable, Table, TableT, audience_of

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile
    from pyspark.sql import Column, SparkSession


class SavedModel:
    """A trained model, ready to score tables.

    Reading it takes milliseconds and needs neither TensorFlow nor Spark; nothing in it runs before
    rows are scored. A model on HDFS or object storage is read through the active Spark session,
    with its settings and keys. A pickle has the model's path and digest, and none of its files.

    Args:
        path: A SavedModel, a package, or a base path with integer folders, as for TF Serving: on
            this machine, on Hadoop (``hdfs://``, ``s3a://``, ``oss://``), or MLflow (``models:/``).
        version: Which integer folder; the largest by default. ``"3"`` is the same as ``3``.
        tags: The MetaGraph's tags, ``"a,b"`` or ``["a", "b"]``; ``serve``, or the only ones.
        allow_ops: Ops that the user vouches for, beyond the allow-list.
        op_libraries: Libraries of custom ops that the user vouches for: their native code runs on
            the driver and in every worker. Each is a Python module that is installed there, such
            as ``"tensorflow_text"``, which isn't imported; or the path of a library (``.so``),
            which travels with the job.
        digest: The digest that the model must have, as `digest` and ``tf2spark inspect`` give it:
            ``"sha256:..."``, or the 64 hexadecimal digits alone.

    Raises:
        ModelNotFoundError: There is no SavedModel at `path`.
        ModelError: It can't be read, or has another digest; or there is no such op library.
        ContractError: An argument is of the wrong type, `digest` isn't a digest, or an op library
            is neither a module nor a path.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        version: int | str | None = None,
        tags: Sequence[str] | None = None,
        allow_ops: Collection[str] = (),
        digest: str | None = None,
        op_libraries: Collection[str | os.PathLike[str]] = (),
    ) -> None:
        self._runnable = RunnableModel(
            path,
            version=version,
            tags=tags,
            allow_ops=allow_ops,
            digest=digest,
            op_libraries=op_libraries,
        )

    @property
    def contract(self) -> Contract:
        """The model's inputs and outputs; prints as a table and renders in a notebook."""
        return self._runnable.contract

    @property
    def digest(self) -> str:
        """What identifies the model's bytes, wherever they lie: ``"sha256:..."``.

        It is computed over all files of the model, at the first call; a package's is in its
        manifest.

        Raises:
            ModelError: A file has changed since the model was read.
        """
        return digest_text(self._runnable.digest)

    def __repr__(self) -> str:
        return f"SavedModel({self.contract.path!r})"

    def _repr_html_(self) -> str:
        return self.contract._repr_html_()

    def score(
        self,
        table: TableT,
        *,
        feed: Mapping[str, FeedValue] | None = None,
        fetch: Fetch | None = None,
        signature: str | None = None,
        keep: Sequence[str] | None = None,
        batch_rows: int | None = None,
        mode: Mode = "failfast",
        error_column: str | None = None,
        reproducible: bool = False,
        model_column: str | None = None,
        read: Read = "auto",
        rows: Rows = "auto",
        id_columns: Sequence[str] | None = None,
        task_timeout: float | None = None,
        resources: ResourceProfile | None = None,
    ) -> TableT:
        """Return the table with the model's outputs as columns.

        A Spark DataFrame is scored lazily, on the cluster; a pandas DataFrame, a pyarrow Table or
        RecordBatch at once, in this process, by the same code.

        Args:
            table: The rows to score.
            feed: Input (or tensor ``x:0``) to a column, a list of columns, a number or bool,
                `literal`, `padded`, `assembled` or `example`; by default to the column of its name.
            fetch: New column to output (or tensor ``y:0``), or a list of outputs; by default all
                outputs of the signature that a column can hold, under their own names.
            signature: Which signature; ``serving_default``, or the only one, by default.
            keep: The columns to keep; all by default.
            batch_rows: The maximum number of rows in one run (4,096, fewer for large layers); 1 for
                a model without a batch dimension. Exact, if it is an output's first dimension.
            mode: What happens to rows that can't be scored: "failfast" stops the job,
                "permissive" gives them null outputs and a reason, "dropmalformed" leaves them out.
            error_column: The column where "permissive" writes the reason; ``_error`` by default.
            reproducible: Give every run the same number of rows (at most 192) and one thread, so
                that a row's bits don't depend on the rows around it, partitions or threads.
            model_column: A new column for the digest of the model that scored the row.
            read: Who reads the files of a Spark DataFrame: "spark"; "worker", which is faster but
                only for plain scans of local Parquet; or "auto", the worker where rows are equal.
            rows: Whether a row's outputs depend on the other rows of its batch, as with a softmax
                over the batch: "independent"; "batch", for a model meant to score rows together,
                all or none of a batch; or "auto", which finds out, and warns if they do.
            id_columns: What names a row in messages; by default ``id``, ``user_id`` and the like.
            task_timeout: How many seconds a run (of `batch_rows` rows) may take in a Spark task, or
                loading the model. Spark then tries the task again; no limit by default.
            resources: A `ResourceProfile` of Spark 4 for the tasks that score (CPUs, GPUs).

        Returns:
            A table of the same type.

        Warns:
            RowsDependWarning: Rows depend on each other, and `rows` doesn't say so.
            OutputsLeftOutWarning: No column can hold some outputs, and `fetch` isn't given.

        Raises:
            ContractError: Table, arguments and model don't fit; nothing has run.
            UnsafeModelError: The outputs depend on an op that isn't allowed.
            RowError: A row can't be scored in "failfast" mode (Spark: when the job runs).
            SetupError: PySpark or TensorFlow is missing.
        """
        check_table(table)
        check_has_tasks(table, resources)
        with addressed_to(audience := audience_of(table)):
            request, options = self._runnable.call(
                table, signature, feed, fetch,
                keep=keep, batch_rows=batch_rows, mode=mode, error_column=error_column,
                reproducible=reproducible, model_column=model_column, read=read, rows=rows,
                id_columns=id_columns, task_timeout=task_timeout, audience=audience,
            )  # fmt: skip
            return score(self._runnable, table, request, options, resources=resources)

    def recommend(
        self,
        users: TableT,
        items: Table,
        k: int = 10,
        *,
        user_id: str = "user_id",
        item_id: str = "item_id",
        feed: Mapping[str, FeedValue] | None = None,
        score: str | None = None,
        signature: str | None = None,
        exclude: str | None = None,
        candidates: str | None = None,
        keep: Sequence[str] | None = None,
        mode: Mode = "failfast",
        error_column: str | None = None,
        model_column: str | None = None,
        tolerance: float = TOLERANCE,
        task_timeout: float | None = None,
        resources: ResourceProfile | None = None,
    ) -> TableT:
        """Score every user against every item and return each user's best `k`, exactly.

        The graph is split: what depends on the user alone is computed once per user, what depends
        on the item alone once per item. `plan` prints how. A graph that can't be split runs whole,
        one user against all items per run.

        With Spark DataFrames the item side runs at once, on the cluster or, if that is quick, here;
        the user side is lazy. pandas and pyarrow tables are scored here by the same code.

        For the best users of each item, swap the roles: ``recommend(items, users,
        user_id="item_id", item_id="user_id")``. The rows of the first table are then called users
        here and in messages, and their columns are written ``user:NAME``.

        Args:
            users: One row per user: id and features. A user that occurs twice is answered twice.
            items: One row per item: id and features.
            k: The maximum number of items per user; there may be fewer.
            user_id: The users' id column.
            item_id: The items' id column, of integers or strings; without nulls or duplicates.
            feed: Input (or tensor ``x:0``) to what feeds it, as in `score`. A column of both tables
                is ``user:NAME`` or ``item:NAME``: ``{"ids": ["user:ids", "item:ids"]}``.
            score: The output to rank by, if there are several; ``"probs[1]"`` for one entry of it.
            signature: Which signature; ``serving_default``, or the only one, by default.
            exclude: A column of users: lists of item ids never to return.
            candidates: A column of users: lists of the only item ids to return; null for all.
            keep: Columns of users to keep, besides the id.
            mode: What happens to users that can't be scored, as in `score`. NaN is not a score.
            error_column: The column where "permissive" writes the reason; ``_error`` by default.
            model_column: A new column for the digest of the model and catalog used.
            tolerance: How far scores may differ from those of the whole graph, absolutely or
                relative to their size, on the users and items that are checked. If they differ
                more, the graph runs unsplit.
            task_timeout: As in `score`; a run is a block of users and items.
            resources: As in `score`, for users and items.

        Returns:
            A table of the type of `users`: its id, the kept columns, and ``recommendations``, a
            list of (item id, score), best first, ties in ascending order of item id.

        Raises:
            ContractError: Tables, arguments and model don't fit.
            UnsafeModelError: The output depends on an op that isn't allowed.
            RowError: An item can't be scored; or a user, in "failfast" mode.
            SetupError: PySpark or TensorFlow is missing.
        """
        check_recommend_tables(users, items, resources)
        with addressed_to(audience := audience_of(users)):
            request, arguments = check_call(
                (k, user_id, item_id, exclude, candidates, keep, mode, error_column, model_column,
                 tolerance, audience, task_timeout, resources),
                lambda: ranking_request(self._runnable, feed, score, signature),
                partial(recommend_tables, users, items),
            )  # fmt: skip
            return recommend(self._runnable, users, items, request, arguments, score, signature)

    def plan(
        self,
        users: Table,
        items: Table,
        k: int = 10,
        *,
        user_id: str = "user_id",
        item_id: str = "item_id",
        feed: Mapping[str, FeedValue] | None = None,
        score: str | None = None,
        signature: str | None = None,
        exclude: str | None = None,
        candidates: str | None = None,
        tolerance: float = TOLERANCE,
    ) -> RecommendPlan:
        """Return the plan of `recommend`, which prints what is computed how often, and why.

        Arguments and errors are those of `recommend`. This computes the item side.
        """
        check_recommend_tables(users, items)
        with addressed_to(audience_of(users)):
            request, arguments = check_call(
                (k, user_id, item_id, exclude, candidates, None, "failfast", None, None, tolerance),
                lambda: ranking_request(self._runnable, feed, score, signature),
                partial(recommend_tables, users, items),
            )
            prepared = prepare(self._runnable, users, items, request, arguments, score, signature)
            try:
                return explain(prepared)
            finally:
                remove_job_folder(prepared.folder)

    def compile(
        self,
        path: str | os.PathLike[str],
        *,
        signature: str | None = None,
        feed: Mapping[str, FeedValue] | None = None,
        fetch: Fetch | None = None,
        sample: LocalTable | None = None,
        tolerance: float | None = None,
        overwrite: bool = False,
    ) -> SavedModel:
        """Write the model as a package and return it: checked, complete and faster to open.

        Functions are inlined, variables become constants, tensors of 16 MiB and more become files
        that all workers of a host share. The result is compared with the original; a model that
        can't be compiled is packaged unchanged, and `contract.package` says why. Only compiling
        needs TensorFlow's Python package.

        Args:
            path: Where to write the package.
            signature: Which signature to compile; as in `score`.
            feed: Numbers and bools become part of the graph (``keep_prob``), a raw tensor ``x:0``
                becomes an input named after its column. Pass everything else to `score`.
            fetch: New name to output (or tensor ``y:0``); all outputs of the signature by default.
            sample: Rows (pandas, pyarrow) that both models are run on; by default the model's own
                warmup requests, or inputs generated from the contract if there are none.
            tolerance: How far numbers may differ, absolutely or relative to their size, whichever
                is more; 1e-5 by default.
            overwrite: Replace an existing package.

        Raises:
            ContractError: Arguments and model don't fit.
            ModelError: The compiled model gives other results, or the model is a package already.
            OutputError: The package can't be written.
            SetupError: TensorFlow is missing.
        """
        target = path_text(path, example="/models/ctr.tf2spark")
        with addressed_to("python" if sample is None else audience_of(sample)):
            digest = write_package(
                self._runnable, target, signature, feed, fetch,
                sample=sample, tolerance=tolerance, overwrite=overwrite,
            )  # fmt: skip
        return SavedModel(
            target,
            allow_ops=self._runnable.allow_ops,
            digest=digest,
            op_libraries=[library.path or library.name for library in self._runnable.op_libraries],
        )

    def udf(
        self,
        *,
        feed: Mapping[str, FeedValue] | None = None,
        fetch: Fetch | None = None,
        signature: str | None = None,
        batch_rows: int | None = None,
        mode: Mode = "failfast",
        error_column: str | None = None,
        rows: Rows = "auto",
        task_timeout: float | None = None,
    ) -> Callable[..., Column]:
        """Return a function of columns: ``df.select("id", model.udf()("features"))``.

        It takes the columns that feed the inputs, in the order of the inputs or by name:
        ``"user.age"`` is a field of a struct, and a column whose own name has a dot is written
        in backquotes, as in PySpark. One output gives a column of its type, several a struct. A
        column's type becomes known when the query runs, so a mismatch is found in the first
        batch. A column function returns a value for every row, so there is no "dropmalformed".

        Raises:
            ContractError: An argument names something that the model doesn't have.
            SetupError: PySpark is missing.
        """
        check = partial(
            check_column_call, batch_rows=batch_rows, mode=mode, error_column=error_column,
            rows=rows, task_timeout=task_timeout,
        )  # fmt: skip
        call = column_call(self._runnable, check, signature, feed, fetch)
        from tf2spark.spark.udf import make_udf

        return make_udf(*call)

    def register(
        self,
        spark: SparkSession,
        name: str,
        *,
        feed: Mapping[str, FeedValue] | None = None,
        fetch: Fetch | None = None,
        signature: str | None = None,
        batch_rows: int | None = None,
        mode: Mode = "failfast",
        error_column: str | None = None,
        rows: Rows = "auto",
        task_timeout: float | None = None,
    ) -> None:
        """Make the model a SQL function: ``SELECT name(features) FROM t``; see `udf`."""
        check = partial(
            check_column_call, batch_rows=batch_rows, mode=mode, error_column=error_column,
            rows=rows, task_timeout=task_timeout, registered=(spark, name),
        )  # fmt: skip
        call = column_call(self._runnable, check, signature, feed, fetch)
        from tf2spark.spark.udf import register

        register(spark, name, *call)


def compile_model(
    model: str | os.PathLike[str] | KerasModel,
    path: str | os.PathLike[str],
    *,
    allow_ops: Collection[str] = (),
    op_libraries: Collection[str | os.PathLike[str]] = (),
    signature: str | None = None,
    feed: Mapping[str, FeedValue] | None = None,
    fetch: Fetch | None = None,
    sample: LocalTable | None = None,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> SavedModel:
    """Write a Keras model, or a SavedModel, as a package and return it; see `SavedModel.compile`.

    A Keras model is exported first, in a temporary folder. Its file is loaded in Keras's safe mode:
    Python code in it (a Lambda layer) isn't run.

    Args:
        model: A Keras model in memory; or the path or URI of its ``.keras`` or ``.h5`` file, or of
            a SavedModel.
        path: Where to write the package.
        allow_ops: As for `SavedModel`.
        op_libraries: As for `SavedModel`.
        signature: As in `SavedModel.compile`; so are the arguments below.
        feed: What becomes part of the graph.
        fetch: Which outputs the package has.
        sample: Rows that both models are run on.
        tolerance: How far numbers may differ.
        overwrite: Replace an existing package.

    Raises:
        ContractError: Arguments and model don't fit.
        ModelError: There is no such model, Keras can't load or export it, or the compiled model
            gives other results.
        OutputError: The package can't be written.
        SetupError: TensorFlow or Keras is missing.
    """
    path_text(path, example="model.tf2spark")  # before a model is exported
    with saved_model_of(model) as (folder, source):
        opened = SavedModel(folder, allow_ops=allow_ops, op_libraries=op_libraries)
        if source is not None:
            opened._runnable.name_source(source)
        return opened.compile(
            path, signature=signature, feed=feed, fetch=fetch,
            sample=sample, tolerance=tolerance, overwrite=overwrite,
        )  # fmt: skip
