"""Whether rows are at fault for failed runs, or the model.

TensorFlow says which kernel failed, but rarely whether other values would have passed. So rows are
blamed only if others pass. That is known as soon as one run of the job has passed. Until then, and
after a few rows have failed on their own, generated values are run in the place of a failed row's:

- They pass: the rows are at fault.
- They fail with the same message: the model is, and the job ends. That proves nothing for a failed
  assertion, or for a string that can't be decoded: no generated one is an image or an Example. Then
  the rows are at fault.
- They fail with another message, so values matter: the rows are at fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.constants import constant_tensor
from tf2spark.conversion.from_arrow import with_copied_strings
from tf2spark.dtypes import STRING
from tf2spark.errors import ModelError
from tf2spark.plan.score import InputPlan
from tf2spark.tensorflow_c.failure import TensorFlowFailure, model_fault
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.refused_inputs import RefusedInputs

_FAILED_ROWS = 8
"""How many rows fail on their own, and none passes, before generated values are run."""
_ASSERTION = re.compile("assertion failed")
# How kernels refuse the content of a string (``decode_image_op.cc``, ``string_to_number_op.cc``,
# ``example_proto_fast_parsing.cc`` and so on).
_NOT_DECODED = re.compile(
    "decod|pars|convert|format|invalid|corrupt|inflate|truncated|jpeg|png|gif|bmp|unicode|utf|base64"
    "|record|assertion failed",
    re.IGNORECASE,
)

RunRows = Callable[[pa.RecordBatch], list[pa.Array]]
RunGenerated = Callable[[pa.RecordBatch, int], object]
"""Runs a batch's shapes with all values replaced by a number; raises what a run raises."""


class ModelFaults:
    """Finds the model at fault where no row can pass.

    Args:
        run: Runs rows.
        run_generated: Runs generated values; None if that can't be done.
        refused_inputs: Says for which input a row is refused.
        takes_strings: Whether strings are fed.
    """

    def __init__(
        self,
        run: RunRows,
        run_generated: RunGenerated | None,
        refused_inputs: RefusedInputs,
        *,
        takes_strings: bool,
    ) -> None:
        self._run = run
        self._run_generated = run_generated
        self._takes_strings = takes_strings
        self._refused_inputs = refused_inputs
        self._values_matter = False
        self._failed_rows = 0
        self._last: tuple[pa.RecordBatch, TensorFlowFailure] | None = None
        self._failed: dict[int, tuple[pa.RecordBatch, TensorFlowFailure]] = {}
        self._passed: pa.RecordBatch | None = None

    def run(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """Run rows, and remember that some passed."""
        columns = self._run(batch)
        self._values_matter = True
        self._passed = batch
        return columns

    def row_failed(self, number: int, row: pa.RecordBatch, failure: TensorFlowFailure) -> None:
        """Note that a batch of one row failed, which has this number among the rows of its run.

        Raises:
            ModelError: The model is at fault.
        """
        self._last = self._failed[number] = row, failure
        self._failed_rows += 1
        if self._failed_rows >= _FAILED_ROWS:
            self.decide()

    def decide(self) -> None:
        """Decide who is at fault for the rows that have failed, where that isn't known.

        Raises:
            ModelError: The model is.
        """
        if self._last is None or self._values_matter:
            return
        row, failure = self._last
        if self._fails_with_any_values(row, failure):
            raise model_fault(failure) or ModelError(
                f"the model can't run, whatever its inputs are: {failure.message}"
            )
        self._values_matter = True

    def reasons(self) -> dict[int, str]:
        """Return why the rows that have failed since the last call were refused, by number."""
        failed, self._failed = self._failed, {}
        return {
            number: self._refused_inputs.reason(row, failure, self._passed)
            for number, (row, failure) in failed.items()
        }

    def _fails_with_any_values(self, row: pa.RecordBatch, failure: TensorFlowFailure) -> bool:
        about_values = _NOT_DECODED if self._takes_strings else _ASSERTION
        if failure.cause == "values" and about_values.search(failure.message):
            return False
        if self._run_generated is None:
            return failure.cause != "values"
        for value in (0, 1):
            try:
                self._run_generated(row, value)
            except TensorFlowFailure as other:
                if other.message != failure.message:
                    return False
            else:
                return False
        return True


def generated_values(
    inputs: Sequence[InputPlan], tensors: Sequence[Tensor], value: int
) -> list[Tensor]:
    """Return tensors of the same dtypes and shapes with one value everywhere.

    Constants stay, and so does what says where values lie (indices, row splits).
    """
    filled: list[Tensor] = []
    for spec in inputs:
        own = tensors[len(filled) : len(filled) + len(spec.tensors)]
        changed = {"constant": None, "sparse": 1}.get(spec.form, 0)
        filled += [
            _filled(tensor, value) if position == changed else tensor
            for position, tensor in enumerate(own)
        ]
    return filled


def _filled(tensor: Tensor, value: int) -> Tensor:
    if tensor.dtype is STRING:
        texts = np.full(tensor.shape, str(value).encode(), object)
        return with_copied_strings(constant_tensor(STRING, texts))
    return evolve(tensor, data=np.full_like(tensor.data, value))
