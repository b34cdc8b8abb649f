"""Inputs that are fed a constant, as constants of the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tf2spark.binding.constants import plan_constant
from tf2spark.binding.feeds import Constant
from tf2spark.graph_split.forms import NotSplit
from tf2spark.graph_split.node_attributes import write_constant
from tf2spark.recommend.sides import SidedInput
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.upstream import node_name


def with_constants(graph: Any, inputs: Iterable[SidedInput]) -> list[SidedInput]:
    """Write constants of a whole shape into a ``GraphDef``; return the inputs that are left.

    What has a value a row stays: it is fed on the users' side.

    Raises:
        NotSplit: It is a constant that the graph can't be given.
    """
    left = []
    for one in inputs:
        spec, feed = one.fed.spec, one.fed.feed
        whole = spec.kind == "dense" and (spec.shape is None or None not in spec.shape)
        if isinstance(feed, Constant) and whole:
            _write(graph, spec, feed)
        else:
            left.append(one)
    return left


def _write(graph: Any, spec: TensorSpec, feed: Constant) -> None:
    plan = plan_constant(spec, feed)
    if spec.dtype.numpy is None or plan.form != "constant":
        raise NotSplit(f'input "{spec.name}" is fed the constant {feed}')
    value = np.asarray(plan.value, spec.dtype.numpy).reshape(
        [size or 1 for size in spec.shape or ()]
    )
    node = next(node for node in graph.node if node.name == node_name(spec.tensors[0]))
    node.op = "Const"
    node.attr.clear()
    write_constant(node, value, spec.dtype)
