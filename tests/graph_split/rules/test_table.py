"""Every op of the rule table, over the forms that its inputs can have, against TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from cases.graphs import Fed, each_value, scored, weighted
from cases.matrix_ops import MET, MOVED, Moved
from cases.ops import ONE, TEXT_RESULTS, TWO, Apart
from tf2spark.graph_split.rules.table import RULES


def named(case: Any) -> str:
    parts = [case.op, case.dtype.name] if isinstance(case, Apart) else [case.op, case.what]
    return "-".join(parts)


def test_every_op_of_the_table_has_a_case_here() -> None:
    """An op that nobody tested can't be in the table."""
    tested = {case.op for case in (*ONE, *TWO, *MOVED)}
    assert sorted(RULES) == sorted(tested)


@pytest.mark.parametrize("case", ONE, ids=named)
def test_an_op_on_one_value_gives_the_same_in_every_form(case: Apart) -> None:
    """Whatever form its input has: of a side, side by side, a sum, a product, of the pairs."""

    def build(*fed: Any) -> Any:
        forms = case.forms(*fed)
        if case.op in TEXT_RESULTS:
            forms = {name: forms[name] for name in ("user", "item", "concat", "interleaved")}
        # No pair is computed from texts: they may be merged with the batch one by one only.
        merged = tf.reshape(tf.concat(fed[2:], 1), [-1, 1 if case.dtype == tf.string else 5])
        apart = [case.call(one) for one in forms.values()]
        again = tf.reshape(case.call(merged), [-1, 10])
        return weighted(*apart, again) + each_value(*apart, seed=2)

    _holds(case.op, build, case.inputs())


@pytest.mark.parametrize("case", TWO, ids=named)
def test_an_op_on_two_values_gives_the_same_in_every_form(case: Apart) -> None:
    """Forms meet each other, themselves, constants and one number a row."""

    def build(*fed: Any) -> Any:
        forms = list(case.forms(*fed).values())
        vector = tf.cast(tf.constant([1, 2, 1, 3, 2]), case.dtype)
        if case.op == "AddN":
            return weighted(*(case.call(one, other) for one in forms for other in forms[::2]))
        others = [vector, vector[None, :1], fed[0][:, :1], fed[1][:, :1]]
        found = [case.call(one, other) for one in forms for other in others]
        found += [case.call(other, one) for one in forms for other in others]
        for step in (0, 1, 3, 4):
            turned = [*forms[step:], *forms[:step]]
            found += [case.call(*each) for each in zip(forms, turned, strict=True)]
        merged = tf.reshape(tf.concat(fed[2:], 1), [-1, 5])
        again = [case.call(merged, merged), case.call(merged, vector), case.call(vector, merged)]
        return weighted(*found, *(tf.reshape(one, [-1, 10]) for one in again))

    _holds(case.op, build, case.inputs())


@pytest.mark.parametrize("case", MOVED, ids=named)
def test_an_op_on_rows_of_matrices_gives_the_same_in_every_form(case: Moved) -> None:
    """Its axes may be those along which users and items stand side by side, or others."""

    def build(*fed: Any) -> Any:
        found: list[Any] = []
        for one in case.forms(*fed):
            made = case.call(one)
            found += made if isinstance(made, list | tuple) else [made]
        return weighted(*found) + each_value(*found, seed=2)

    _holds(case.op, build, case.inputs())


@pytest.mark.parametrize(("op", "what", "call"), MET, ids=[f"{op}-{what}" for op, what, _ in MET])
def test_an_op_on_two_matrices_gives_the_same_in_every_form(
    op: str, what: str, call: Callable[..., Any]
) -> None:
    """Forms meet themselves and each other."""
    case = Moved(op, what, call)

    def build(*fed: Any) -> Any:
        forms = case.forms(*fed)
        turned = [[*forms[step:], *forms[:step]] for step in (0, 1, 2, 5)]
        return weighted(
            *(call(*each) for others in turned for each in zip(forms, others, strict=True))
        )

    _holds(op, build, case.inputs())


def _holds(op: str, build: Callable[..., Any], inputs: Sequence[Fed], **kwargs: Any) -> None:
    found = scored(build, *inputs, **kwargs).check()
    assert op in {node.op for node in found.split.graph.node}
    assert len(np.unique(found.want)) > 1
