"""A model that was read: its contract, the requests of calls, and how workers open it."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tf2spark.binding.bind import bind
from tf2spark.binding.calls.checks import check_call
from tf2spark.binding.calls.opening import check_opening
from tf2spark.binding.feeds import FeedValue, Fetch
from tf2spark.binding.graph.checked_runs import CheckedRuns
from tf2spark.binding.kept_results import KeptByContent, KeptByObject, KeptResults
from tf2spark.binding.make_request import make_request
from tf2spark.binding.normalize import normalize
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.call_warnings import CallWarnings
from tf2spark.errors import ModelError, SetupError
from tf2spark.locations.fetch import library_on_this_machine
from tf2spark.locations.pickled import PickledByPath
from tf2spark.locations.read import read_model
from tf2spark.locations.tables import schema_of
from tf2spark.package.op_libraries import find_libraries
from tf2spark.plan.score import Initialization, ModelRef, Plan
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.row_dependence import RowFinding
from tf2spark.saved_model.contract import Contract
from tf2spark.saved_model.graph.loader_runs import initialization
from tf2spark.saved_model.safety import op_check
from tf2spark.table_types import Table
from tf2spark.worker.op_libraries import load_op_libraries

if TYPE_CHECKING:
    import pyarrow as pa

# How many requests stay, with what was found out about them, for later calls that are alike.
_KEPT_REQUESTS = 32
# How many models that were compiled for `recommend` stay, for later calls with the same constants.
_KEPT_PAIR_MODELS = 4


class RunnableModel(PickledByPath):
    """A model that was read, and the ops that the user vouches for.

    Attributes:
        loaded: The model as it was read.
        location: Where workers find it: a folder, or the URI of a package.
        custom_ops: Ops that may run if these libraries provide them.
        runs: Its runs, whose ops are checked.
        row_findings: What was found out about requests: whether rows depend on each other.
        pair_models: The models that were compiled for `recommend`.
        warnings: What calls were warned of.
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
        self.runs = CheckedRuns(
            self.loaded,
            (*self.allow_ops, *self.custom_ops),
            needed_libraries=package.op_libraries if package else (),
        )
        self._requests: KeptByContent[Request] = KeptByContent(_KEPT_REQUESTS)
        # By the id of the request, which is the same object in calls that are alike. Each result
        # keeps its request, so that no other can have the same id.
        self._plans: KeptResults[tuple[Request, Plan]] = KeptResults(_KEPT_REQUESTS)
        self.row_findings: KeptByObject[RowFinding] = KeptByObject()
        self.warnings = CallWarnings(self.contract.path)
        # However large their constants are: compiling again would take longer than anything else.
        self.pair_models: KeptByContent[PairModel] = KeptByContent(
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
                self.runs.graph,
                signature=signature,
                feed=feed,
                fetch=fetch,
                batch_rows=batch_rows,
                any_rows=any_rows,
            )
        except ModelError as error:
            raise missing_library or error from None
        self.runs.check_described(request)
        self.runs.check_request(request)
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

    def need_op_libraries(self) -> None:
        """Load the op libraries into this process.

        Raises:
            SetupError: They aren't on it.
            ModelError: They don't provide an op of the model.
        """
        if missing_library := self._load_op_libraries():
            raise missing_library

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
        self.runs.check_import()
        self.runs.check((), ())
        return self.reference()

    def reference_for(self, request: Request, *, threads: int = 1) -> ModelRef:
        """Return the reference of the model for workers that run one request.

        Raises:
            ModelError: It reads a variable that loading the model leaves without a value.
        """
        self.runs.check_restored(request)
        facts = self.runs.check_request(request)
        copied, size = facts.retains_strings, facts.row_bytes
        model = evolve(self.reference(), copy_strings=copied, row_bytes=size)
        return evolve(model, threads=threads, divides_ops=threads > 1 and facts.divides_ops)

    def bind(self, request: Request, schema: pa.Schema, options: Options, model: ModelRef) -> Plan:
        """Return what `bind` returns; the plans of the last few schemas are kept."""
        content = schema.serialize().to_pybytes()
        key = id(request), content, options, model.threads
        warn = functools.partial(self.warnings.warn_of_left_out, options=options)
        _, plan = self._plans.get(
            key,
            lambda: (request, bind(request, schema, options, model, self.runs.shapes, warn)),
            len(content),
        )
        return plan
