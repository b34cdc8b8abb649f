"""The runs of one model: ops are checked, and the graph is walked, once per set of tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from attrs import frozen

from tf2spark.binding.graph.graph_lookup import check_described, graph_of, inferred_shapes
from tf2spark.binding.graph.variables import unrestored_variables
from tf2spark.binding.kept_results import KeptByObject, KeptResults
from tf2spark.binding.request import Graph, Request
from tf2spark.dtypes import DType, Shape
from tf2spark.errors import unrestored
from tf2spark.saved_model.graph.graph_rows import largest_row_bytes, row_mixing_ops
from tf2spark.saved_model.graph.reachable_nodes import user_run, walk
from tf2spark.saved_model.op_notes import divides_ops, keeps_state
from tf2spark.saved_model.reader import LoadedModel
from tf2spark.saved_model.safety import op_check

_KEPT_RUNS = 64


@frozen
class RunFacts:
    """What the graph says of a run.

    Attributes:
        retains_strings: Strings must be fed as copies; see `op_check.retains_strings`.
        keeps_state: It can change the results of later runs.
        mixing_ops: The nodes through which rows may depend on each other.
        row_bytes: The bytes of a row in its largest tensor; see `largest_row_bytes`.
        divides_ops: Each of its ops uses several threads; see `op_notes.divides_ops`.
    """

    retains_strings: bool
    keeps_state: bool
    mixing_ops: tuple[str, ...]
    row_bytes: int
    divides_ops: bool


class CheckedRuns:
    """The runs of a model that was read. Its graph doesn't change, so nothing is checked twice.

    Attributes:
        allow_ops: Ops that the user vouches for, also by naming the libraries that have them.
        needed_libraries: The op libraries that a message names; see `op_check.check_runs`.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        allow_ops: Collection[str],
        *,
        needed_libraries: Sequence[str] = (),
    ) -> None:
        self.allow_ops = tuple(allow_ops)
        self.needed_libraries = tuple(needed_libraries)
        self._loaded = loaded
        self._kept: KeptResults[RunFacts] = KeptResults(_KEPT_RUNS)
        self._requests: KeptByObject[RunFacts] = KeptByObject()
        self._unrestored: KeptByObject[tuple[str, ...]] = KeptByObject()

    @cached_property
    def graph(self) -> Graph:
        """The look-ups of tensors, which import the graph.

        Raises:
            UnsafeModelError: The import would run an op that isn't allowed.
        """
        self.check_import()
        return graph_of(self._loaded)

    def shapes(
        self, fed: Mapping[str, tuple[DType, Shape]], names: Collection[str]
    ) -> Mapping[str, Shape]:
        """Return the shapes of tensors; see `inferred_shapes`, which imports the graph.

        Raises:
            UnsafeModelError: The import would run an op that isn't allowed.
        """
        self.check_import()
        return inferred_shapes(self._loaded.meta_graph.graph_def, fed, names)

    def check_import(self) -> None:
        """Check that importing the graph runs only allowed ops.

        Raises:
            UnsafeModelError: It would run others.
        """
        op_check.check_import(
            self._loaded.meta_graph,
            allow_ops=self.allow_ops,
            needed_libraries=self.needed_libraries,
        )

    def check_described(self, request: Request) -> None:
        """Check that signatures describe the tensors of a request as they are in the graph.

        Raises:
            ContractError: They don't.
        """
        check_described(self._loaded, request)

    def check_restored(self, request: Request) -> None:
        """Check that loading the model gives a value to the variables that a request reads.

        Raises:
            ModelError: It leaves some without one.
        """
        names = self._unrestored.get(request, lambda: self._unrestored_by(request))
        if names:
            has_objects = self._loaded.meta_graph.HasField("object_graph_def")
            raise unrestored(self._loaded.contract.path, names, has_objects=has_objects)

    def _unrestored_by(self, request: Request) -> tuple[str, ...]:
        fetches = tuple(name for output in request.outputs for name in output.spec.tensors)
        # What is upstream of an optional input doesn't run where that is fed.
        feeds = tuple(name for fed in request.inputs for name in fed.spec.tensors)
        return unrestored_variables(self._loaded.meta_graph, fetches, feeds)

    def check_request(self, request: Request) -> RunFacts:
        """Check the ops that a request would run; see `check`."""
        return self._requests.get(request, lambda: self._check_request(request))

    def _check_request(self, request: Request) -> RunFacts:
        fetches = [tensor for output in request.outputs for tensor in output.spec.tensors]
        # Nodes upstream of an optional input may run, so they are checked too.
        specs = [fed.spec for fed in request.inputs if not fed.optional]
        return self.check(fetches, [tensor for spec in specs for tensor in spec.tensors])

    def check(self, fetches: Sequence[str], feeds: Sequence[str]) -> RunFacts:
        """Check that fetching some tensors, with others fed, runs only allowed ops.

        Raises:
            UnsafeModelError: It would run others.
            ModelError: It would read an asset file that is missing.
        """
        key = tuple(fetches), tuple(feeds)
        return self._kept.get(key, lambda: self._check(*key))

    def _check(self, fetches: tuple[str, ...], feeds: tuple[str, ...]) -> RunFacts:
        meta_graph = self._loaded.meta_graph
        op_check.check_runs(
            meta_graph,
            fetches,
            feeds,
            allow_ops=self.allow_ops,
            needed_libraries=self.needed_libraries,
        )
        run = user_run(meta_graph, fetches, feeds)
        self._loaded.check_assets([run])
        walked = list(walk(meta_graph, [run]))
        return RunFacts(
            op_check.walk_retains_strings(walked),
            keeps_state(walked),
            row_mixing_ops(meta_graph.graph_def, walked),
            largest_row_bytes(walked),
            divides_ops(walked),
        )
