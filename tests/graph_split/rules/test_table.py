"""Every op of the rule table, over the forms that its inputs can have, against TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import GraphInput, scored, weighted_pairs, weighted_sum
from cases.matrix_ops import MATRIX, TWO_MATRICES, MatrixCase
from cases.ops import BINARY, TEXT_RESULTS, UNARY, ElementwiseCase
from tf2spark.graph_split.rules.table import RULES

pytestmark = pytest.mark.slow


def test_every_op_of_the_table_has_a_case_here() -> None:
    """An op that nobody tested can't be in the table."""
    cases: list[Any] = [*UNARY, *BINARY, *MATRIX]
    assert sorted(RULES) == sorted({case.op for case in cases})


@pytest.mark.parametrize("case", UNARY, ids=str)
def test_an_op_on_one_value_gives_the_same_in_every_form(case: ElementwiseCase) -> None:
    """The forms are a side, parts, a sum, a product, a value per pair, and stacked rows."""

    def build(*fed: Any) -> Any:
        forms = case.forms(*fed)
        if case.op in TEXT_RESULTS:
            forms = {name: forms[name] for name in ("user", "item", "concat", "interleaved")}
        # No pair is computed from texts: these can be stacked only as rows of one.
        width = 1 if case.dtype == tf.string else 5
        stacked = case.call(tf.reshape(tf.concat(fed[2:], 1), [-1, width]))
        results = [case.call(value) for value in forms.values()]
        rows = tf.reshape(stacked, [-1, 10])
        return weighted_sum(*results, rows) + weighted_pairs(*results, seed=2)

    _assert_same_scores(case.op, build, case.inputs())


@pytest.mark.parametrize("case", BINARY, ids=str)
def test_an_op_on_two_values_gives_the_same_in_every_form(case: ElementwiseCase) -> None:
    """Forms meet each other, themselves, constants and one number per row."""

    def build(*fed: Any) -> Any:
        forms = list(case.forms(*fed).values())
        vector = tf.cast(tf.constant([1, 2, 1, 3, 2]), case.dtype)
        if case.op == "AddN":
            pairs = [(left, right) for left in forms for right in forms[::2]]
            return weighted_sum(*(case.call(left, right) for left, right in pairs))
        narrow = [vector, vector[None, :1], fed[0][:, :1], fed[1][:, :1]]
        results = [case.call(left, right) for left in forms for right in narrow]
        results += [case.call(left, right) for left in narrow for right in forms]
        for step in (0, 1, 3, 4):
            shifted = [*forms[step:], *forms[:step]]
            results += [case.call(*values) for values in zip(forms, shifted, strict=True)]
        stacked = tf.reshape(tf.concat(fed[2:], 1), [-1, 5])
        stacked_pairs = [(stacked, stacked), (stacked, vector), (vector, stacked)]
        results += [tf.reshape(case.call(*values), [-1, 10]) for values in stacked_pairs]
        return weighted_sum(*results)

    _assert_same_scores(case.op, build, case.inputs())


@pytest.mark.parametrize("case", MATRIX, ids=str)
def test_an_op_on_rows_of_matrices_gives_the_same_in_every_form(case: MatrixCase) -> None:
    """Its axes may be the one along which users and items are side by side, or others."""

    def build(*fed: Any) -> Any:
        results: list[Any] = []
        for value in case.forms(*fed):
            result = case.call(value)
            results += result if isinstance(result, list | tuple) else [result]
        return weighted_sum(*results) + weighted_pairs(*results, seed=2)

    _assert_same_scores(case.op, build, case.inputs())


@pytest.mark.parametrize("case", TWO_MATRICES, ids=str)
def test_an_op_on_two_matrices_gives_the_same_in_every_form(case: MatrixCase) -> None:
    """Forms meet themselves and each other."""

    def build(*fed: Any) -> Any:
        forms = case.forms(*fed)
        results = []
        for step in (0, 1, 2, 5):
            shifted = [*forms[step:], *forms[:step]]
            results += [case.call(*values) for values in zip(forms, shifted, strict=True)]
        return weighted_sum(*results)

    _assert_same_scores(case.op, build, case.inputs())


def _assert_same_scores(op: str, build: Callable[..., Any], inputs: Sequence[GraphInput]) -> None:
    result = scored(build, *inputs).check()
    assert op in {node.op for node in result.split.graph.node}
    assert len(np.unique(result.whole_scores)) > 1
