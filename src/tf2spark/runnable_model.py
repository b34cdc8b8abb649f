"""A model that was read, and everything a call does with it: what `SavedModel` and the command
line share.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from attrs import evolve

from tf2spark.binding.argument_types import check_switch, check_tolerance
from tf2spark.binding.bind import bind, with_declared_ranks
from tf2spark.binding.calls.checks import check_call
from tf2spark.binding.calls.opening import check_opening
from tf2spark.binding.checked_runs import CheckedRuns
from tf2spark.binding.feeds import Constant, FeedValue, Fetch, normalize
from tf2spark.binding.kept_results import KeptByContent, KeptByObject, KeptResults
from tf2spark.binding.options import Options, not_reproducible
from tf2spark.binding.request import Request, make_request
from tf2spark.call_warnings import CallWarnings
from tf2spark.errors import Mistakes, ModelError, SetupError
from tf2spark.local.sample import check_sample, sample_to_arrow
from tf2spark.locations import (
    PickledByPath,
    compiler_module,
    fetch_to_this_machine,
    is_uri,
    library_on_this_machine,
    package_folder,
    read_model,
    recommend_tables,
    schema_of,
)
from tf2spark.package.manifest import Manifest
from tf2spark.package.op_libraries import find_libraries
from tf2spark.package.staging import staging_folder
from tf2spark.plan.score import Initialization, ModelRef, Plan
from tf2spark.recommend.arguments import RecommendArguments, choose_ranking_output
from tf2spark.recommend.compile_model import PairRequest, compile_pair_model
from tf2spark.recommend.job_folder import new_job_folder, remove_job_folder
from tf2spark.recommend.pair_model import PairModel
from tf2spark.recommend.prepare import Prepared, prepare
from tf2spark.recommend.table_checks import checked_sides
from tf2spark.row_dependence import RowFinding, find_dependence
from tf2spark.saved_model import op_check
from tf2spark.saved_model.contract import Contract
from tf2spark.saved_model.reachable_nodes import initialization
from tf2spark.table_types import LocalTable, Table, TableT, is_spark
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.worker.model_session import hold_files, session_of
from tf2spark.worker.op_libraries import load_op_libraries
from tf2spark.worker.task_start import available_cpus

if TYPE_CHECKING:
    import pyarrow as pa

# How many requests stay, with what was found out about them, for later calls that are alike.
_KEPT_REQUESTS = 32
# How many models that were compiled for `recommend` stay, for later calls with the same constants.
_KEPT_PAIR_MODELS = 4
# The largest model that the driver of a Spark job opens to see whether rows depend on each other.
_CHECKED_BYTES = 1 << 30


class RunnableModel(PickledByPath):
    """A model that was read, and the ops that the user vouches for.

    Attributes:
        loaded: The model as it was read.
        location: Where workers find it: a folder, or the URI of a package.
        custom_ops: Ops that may run if these libraries provide them.
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
        # A library that isn't there is said before a large model is read.
        libraries = functools.partial(find_libraries, op_libraries, library_on_this_machine)
        opening = check_opening(path, version, tags, allow_ops, digest, libraries)
        self.path, self.allow_ops = opening.path, opening.allow_ops
        self.op_libraries = opening.op_libraries
        self.loaded, self.location = read_model(
            opening.path, opening.version, opening.tags, opening.digest
        )
        # Which the named libraries have to provide; whoever loads them makes sure that they do.
        self.custom_ops: tuple[str, ...] = ()
        if self.op_libraries:
            unknown = op_check.unknown_ops(self.loaded.meta_graph)
            self.custom_ops = tuple(sorted(unknown.difference(self.allow_ops)))
        package = self.contract.package
        self._runs = CheckedRuns(
            self.loaded,
            (*self.allow_ops, *self.custom_ops),
            needed_libraries=package.op_libraries if package else (),
        )
        self._requests: KeptByContent[Request] = KeptByContent(_KEPT_REQUESTS)
        # By the id of the request, which is the same object in calls that are alike. Each result
        # keeps its request, so that no other can have the same id.
        self._plans: KeptResults[tuple[Request, Plan]] = KeptResults(_KEPT_REQUESTS)
        self._row_findings: KeptByObject[RowFinding] = KeptByObject()
        self._warnings = CallWarnings(self.contract.path)
        # However large their constants are: compiling again would take longer than anything else.
        self._pair_models: KeptByContent[PairModel] = KeptByContent(
            _KEPT_PAIR_MODELS, max_bytes=sys.maxsize
        )

    @property
    def contract(self) -> Contract:
        return self.loaded.contract

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 (hex) over the model's files.

        Raises:
            ModelError: A file has changed since the model was read.
        """
        return self.loaded.digest

    def name_source(self, name: str) -> None:
        """Say in the contract, and in a package's manifest, what the model was exported from."""
        self.loaded = evolve(self.loaded, contract=evolve(self.contract, path=name))

    def request(
        self,
        signature: str | None,
        feed: Mapping[str, FeedValue] | None,
        fetch: Fetch | None,
        batch_rows: int | None = None,
        *,
        any_rows: bool = False,
    ) -> Request:
        """Return what `make_request` returns for a call, and check the ops that it would run.

        Raises:
            ContractError: The arguments and the model don't fit.
            UnsafeModelError: The outputs depend on an op that isn't allowed.
        """
        if all(each is None for each in (signature, feed, fetch)) and not any_rows:
            signature, feed, fetch = self.loaded.logged_call
        # Options that are of the wrong type are refused along with other mistakes.
        rows = batch_rows if isinstance(batch_rows, int) else None
        arguments = signature, *normalize(feed, fetch), rows, any_rows
        return self._requests.get(self._make_request, *arguments)

    def _make_request(
        self,
        signature: str | None,
        feed: Mapping[str, FeedValue] | None,
        fetch: Fetch | None,
        batch_rows: int | None,
        any_rows: bool,
    ) -> Request:
        missing_library = self._load_op_libraries()
        try:
            request = make_request(
                self.contract,
                self._runs.graph,
                signature=signature,
                feed=feed,
                fetch=fetch,
                batch_rows=batch_rows,
                any_rows=any_rows,
            )
        except ModelError as error:
            raise missing_library or error from None
        self._runs.check_described(request)
        self._runs.check_request(request)
        return request

    def call(
        self,
        table: Table,
        signature: str | None,
        feed: Mapping[str, FeedValue] | None,
        fetch: Fetch | None,
        **given: Any,
    ) -> tuple[Request, Options]:
        """Return the request and the options of a call of `score`; see `check_call`."""
        asked = signature, feed, fetch
        find_schema = functools.partial(schema_of, table)
        return check_call(self.request, self.contract, asked, find_schema, given)

    def column_request(
        self,
        signature: str | None,
        feed: Mapping[str, FeedValue] | None,
        fetch: Fetch | None,
        options: Options,
    ) -> Request:
        """Return the request of a column function; arguments and errors are those of `request`."""
        request = self.request(signature, feed, fetch, options.batch_rows)
        return with_declared_ranks(request, options, self._runs.shapes)

    def _load_op_libraries(self) -> SetupError | None:
        """Load the op libraries into this process; return the error where they aren't on it.

        Then the workers have to have them, which check the ops of the model as well.

        Raises:
            ModelError: The libraries don't provide an op of the model.
        """
        libraries, ops = self.op_libraries, self.custom_ops
        try:
            load_op_libraries(ModelRef("", (), "", op_libraries=libraries, custom_ops=ops))
        except SetupError as error:
            return error
        return None

    def reference(self) -> ModelRef:
        """Return what a worker needs to open the model: its location, digest and files.

        Opening it runs its init op, so only for a model that a request or `reference_to_open` has
        checked.
        """
        package = self.contract.package
        return ModelRef(
            self.location,
            self.contract.tags,
            self.digest,
            files=self.loaded.entries,
            weights=package.weights if package else (),
            storage="package" if package else "folder",
            op_libraries=self.op_libraries,
            custom_ops=self.custom_ops,
            initialization=self._initialization,
        )

    @functools.cached_property
    def _initialization(self) -> Initialization:
        return initialization(self.loaded.meta_graph)

    def reference_to_open(self) -> ModelRef:
        """Return the reference of the model for workers that open it and run nothing else.

        Raises:
            UnsafeModelError: Importing the graph or loading the model reaches an op that isn't
                allowed.
        """
        self._runs.check_import()
        self._runs.check((), ())
        return self.reference()

    def reference_for(self, request: Request, *, threads: int = 1) -> ModelRef:
        """Return the reference of the model for workers that run one request.

        Raises:
            ModelError: It reads a variable that loading the model leaves without a value.
        """
        self._runs.check_restored(request)
        facts = self._runs.check_request(request)
        copied, size = facts.retains_strings, facts.row_bytes
        model = evolve(self.reference(), copy_strings=copied, row_bytes=size)
        return evolve(model, threads=threads, divides_ops=threads > 1 and facts.divides_ops)

    def score(self, table: TableT, request: Request, options: Options, **spark: Any) -> TableT:
        """Return the table with the outputs of a request as columns; see `SavedModel.score`."""
        scored: Any
        options = self.with_row_relation(request, options, on_spark=is_spark(table))
        if is_spark(table):
            from tf2spark.spark.late_binding.tables import score_any

            model = evolve(self.reference_for(request), limit_seconds=options.task_timeout)
            df: Any = table
            scored = score_any(df, request, options, model, self.bind, self._runs.shapes, **spark)
        else:
            from tf2spark.local.score import score_table

            model = fetch_to_this_machine(self.reference_for(request, threads=available_cpus()))
            scored = score_table(table, request, options, model, self.bind)
        return cast(TableT, scored)

    def bind(self, request: Request, schema: pa.Schema, options: Options, model: ModelRef) -> Plan:
        """Return what `bind` returns; the plans of the last few schemas are kept."""
        content = schema.serialize().to_pybytes()
        key = id(request), content, options, model.threads
        warn = functools.partial(self._warnings.warn_of_left_out, options=options)
        _, plan = self._plans.get(
            key,
            lambda: (request, bind(request, schema, options, model, self._runs.shapes, warn)),
            len(content),
        )
        return plan

    def with_row_relation(self, request: Request, options: Options, *, on_spark: bool) -> Options:
        """Return options that say whether rows depend on each other, as far as that is known.

        For a Spark job, the model runs here only if its graph has ops that may mix rows, and if it
        is on this machine and not large.

        Raises:
            ContractError: They do, and scores were to be reproducible.
        """
        if request.left_out:
            self._warnings.warn_of_left_out(request, options)
        if options.rows != "unknown":
            return options
        finding = self._row_finding(request, options.batch_rows, on_spark=on_spark)
        if finding.relation == "batch":
            if options.reproducible:
                raise not_reproducible(finding.through)
            self._warnings.warn_of_rows(finding.through, options)
        return evolve(options, rows=finding.relation)

    def _row_finding(
        self, request: Request, batch_rows: int | None, *, on_spark: bool
    ) -> RowFinding:
        key = batch_rows, on_spark
        look = functools.partial(self._look, request, *key)
        return self._row_findings.get(request, look, *key)

    def _look(self, request: Request, batch_rows: int | None, on_spark: bool) -> RowFinding:
        def open_here() -> CApiSession:
            here = fetch_to_this_machine(self.reference_for(request, threads=available_cpus()))
            return session_of(here)

        facts = self._runs.check_request(request)
        is_small = self.contract.graph_bytes + self.contract.variables_bytes <= _CHECKED_BYTES
        opens = not on_spark or (facts.mixing_ops and is_small and not is_uri(self.location))
        return find_dependence(request, facts, batch_rows, open_here if opens else None)

    def ranking_request(
        self, feed: Mapping[str, FeedValue] | None, score: str | None, signature: str | None
    ) -> Request:
        """Return the request of a call of `recommend`."""
        ranking = choose_ranking_output(self.contract, signature, score)
        return self.request(signature, feed, {"score": ranking.name})

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
        request = self.ranking_request(feed, score, signature)
        tables = recommend_tables(users, items, request, arguments)
        inputs = checked_sides(request, arguments, tables)
        tables = tables.begin_reading(inputs, arguments)  # while the model is compiled
        model = self._pair_model(request, score, signature)
        with new_job_folder(staging_folder()) as folder:
            return prepare(model, inputs, arguments, tables, folder)

    def _pair_model(self, request: Request, score: str | None, signature: str | None) -> PairModel:
        """Compile for `recommend`, once for equal requests; the last few are kept."""
        column = choose_ranking_output(self.contract, signature, score).column
        copy_strings = self._runs.check_request(request).retains_strings
        libraries = self.op_libraries, self.custom_ops
        constants = [fed for fed in request.inputs if isinstance(fed.feed, Constant)]
        return self._pair_models.get(
            lambda *_: compile_pair_model(
                fetch_to_this_machine(self.reference()),
                self.loaded,
                PairRequest(request, signature, column, copy_strings, *libraries),
                staging_folder(),
                compiler_module,
            ),
            signature,
            column,
            request.outputs,
            constants,
        )

    def recommend(
        self,
        users: TableT,
        items: Table,
        arguments: RecommendArguments,
        feed: Mapping[str, FeedValue] | None,
        score: str | None,
        signature: str | None,
    ) -> TableT:
        """Return the users with their recommendations; see `SavedModel.recommend`."""
        tables: tuple[Any, Any] = (users, items)
        request = self.ranking_request(feed, score, signature)
        ready = functools.partial(self.prepare, *tables, arguments, feed, score, signature)
        recommended: Any
        if is_spark(users):
            from tf2spark.spark.late_binding.recommendations import recommend_any

            compiled = functools.partial(self._pair_model, request, score, signature)
            recommended = recommend_any(*tables, request, arguments, ready, compiled)
        else:
            from tf2spark.local.recommend import recommend_table

            prepared = ready()
            try:
                recommended = recommend_table(users, prepared)
            finally:
                remove_job_folder(prepared.folder)
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
    ) -> str:
        """Write the model as a package and return its digest (hex); see `SavedModel.compile`."""
        if self.contract.package is not None:
            raise ModelError(f'"{self.contract.path}" is a package already')
        mistakes = Mistakes()
        with mistakes.collected():
            check_switch("overwrite", overwrite)
        with mistakes.collected():
            check_tolerance(0 if tolerance is None else tolerance)
        if missing_library := self._load_op_libraries():
            raise missing_library
        with mistakes.collected():
            request = self.request(signature, feed, fetch, any_rows=True)
        with mistakes.collected():
            check_sample(sample)
        mistakes.raise_all()
        compiler = compiler_module()
        options = compiler.CompileOptions(
            sample=sample_to_arrow(sample, request),
            overwrite=overwrite,
            op_libraries=tuple(library.name for library in self.op_libraries),
            custom_ops=self.custom_ops,
        )
        if tolerance is not None:
            options = evolve(options, tolerance=tolerance)
        with package_folder(target, overwrite=overwrite) as folder:
            held = hold_files(self.reference())
            try:
                manifest: Manifest = compiler.compile_to(
                    folder, held, self.loaded, request, signature, options
                )
            finally:
                held.release()
        return manifest.digest
