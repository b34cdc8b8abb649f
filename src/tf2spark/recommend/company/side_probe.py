"""Runs rows of one side through the graph, to see what becomes of them where no rule says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import Factory, define

from tf2spark.binding.bind import bind_inputs
from tf2spark.binding.options import Options
from tf2spark.binding.request import Request
from tf2spark.conversion.arrow_buffers import take_rows
from tf2spark.conversion.rows import Ints, RowsRefused, RowsTooLarge, RowsUneven
from tf2spark.dtypes import Dims
from tf2spark.graph_split.forms import NotRowWise, SideName
from tf2spark.graph_split.graph_builder import PREFIX
from tf2spark.plan.score import ModelRef, RowRelation
from tf2spark.recommend.sides import Schemas
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.tensor import Strings, Tensor
from tf2spark.worker.row_probe import PROBED_ROWS, runs_differ, same_values
from tf2spark.worker.run_conversion import Conversion, conversion_of

_FAILURES = (RowsRefused, RowsUneven, RowsTooLarge, TensorFlowFailure)
_SHAPED_ROWS = 8
_ALONE_ROWS = 16


@define
class SideProbe:
    """Runs sample rows of the sides.

    Attributes:
        session: The whole graph.
        model: Its reference.
        requests: What each side feeds to it.
        schemas: The columns of both sides.
        sample: Returns rows of a side.
    """

    session: CApiSession
    model: ModelRef
    requests: Mapping[SideName, Request]
    schemas: Schemas
    sample: Callable[[SideName], pa.Table]
    _conversions: dict[SideName, Conversion] = Factory(dict)

    def row_dims(self, side: SideName, tensor: str) -> Dims | None:
        """Return the dimensions of a tensor's rows; None for one that isn't in the whole graph.

        Raises:
            NotRowWise: It doesn't have a row for each row of the side, or no row can be run.
        """
        if tensor.startswith(PREFIX):
            return None
        shapes = {rows: self._shapes(side, tensor, rows) for rows in (1, 2, 3)}
        for rows, of_runs in shapes.items():
            if any(not shape or shape[0] != rows for shape in of_runs):
                raise NotRowWise(f'"{tensor}" doesn\'t have a row for each {side}')
        all_dims = {shape[1:] for of_runs in shapes.values() for shape in of_runs}
        if not all_dims:
            raise NotRowWise(
                f'none of the first {side}s shows whether "{tensor}" has a row for each'
            )
        return tuple(
            sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*all_dims, strict=True)
        )

    def _shapes(self, side: SideName, tensor: str, rows: int) -> list[Dims]:
        """Return the shapes of a tensor in runs of this many rows."""
        shapes: list[Dims] = []
        for first in range(min(self.sample(side).num_rows, _SHAPED_ROWS)):
            # A single row may stand for several.
            numbers = (first + np.arange(rows)) % self.sample(side).num_rows
            try:
                (value,) = self._run(side, [tensor], numbers)
            except _FAILURES:
                continue
            shapes.append(value.shape)
        return shapes

    def relation(self, side: SideName, tensors: Sequence[str]) -> RowRelation:
        """Return whether the rows of some tensors of a side depend on each other.

        "batch" says that they do, "unknown" that nothing shows that they do.
        """
        tensors = [tensor for tensor in tensors if not tensor.startswith(PREFIX)]
        if not tensors:
            return "unknown"
        runnable = self._runnable_rows(side, tensors)
        if not len(runnable):
            return "unknown"

        def run(numbers: Ints) -> list[list[Any]]:
            values = self._run(side, tensors, runnable[numbers])
            return [value.data.tolist() for value in values if isinstance(value, Tensor)]

        try:
            depend = runs_differ(run, len(runnable), max_rows=2 * len(runnable))
            depend = depend or not self._same_alone(side, tensors, runnable)
        except _FAILURES:
            return "batch"
        return "batch" if depend else "unknown"

    def _same_alone(self, side: SideName, tensors: Sequence[str], rows: Ints) -> bool:
        together = self._run(side, tensors, rows)
        return all(
            isinstance(value, Tensor)
            and isinstance(single, Tensor)
            and same_values(value.data[position], single.data[0])
            for position, row in enumerate(rows[:_ALONE_ROWS])
            for value, single in zip(
                together, self._run(side, tensors, np.array([row])), strict=True
            )
        )

    def _runnable_rows(self, side: SideName, tensors: Sequence[str]) -> Ints:
        rows = np.arange(min(self.sample(side).num_rows, PROBED_ROWS))
        try:
            self._run(side, tensors, rows)
        except _FAILURES:
            return np.array([row for row in rows if self._runs_alone(side, tensors, row)], np.int64)
        return rows

    def _runs_alone(self, side: SideName, tensors: Sequence[str], row: int) -> bool:
        try:
            self._run(side, tensors, np.array([row]))
        except _FAILURES:
            return False
        return True

    def _run(
        self, side: SideName, tensors: Sequence[str], numbers: Ints
    ) -> Sequence[Tensor | Strings]:
        (batch,) = self.sample(side).combine_chunks().to_batches()
        conversion = self._conversion(side)
        feeds = conversion.feed(take_rows(batch, numbers))
        return self.session.prepare(conversion.fed, tensors)(feeds)

    def _conversion(self, side: SideName) -> Conversion:
        if side not in self._conversions:
            options = Options(keep=())
            plan = bind_inputs(self.requests[side], self.schemas[side], options, self.model)
            self._conversions[side] = conversion_of(plan)
        return self._conversions[side]
