"""Inputs that are fed a constant become constants of the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tf2spark.binding.constants import plan_constant
from tf2spark.binding.feeds import Constant
from tf2spark.graph_split.forms import NotSplit
from tf2spark.recommend.sides import SidedInput
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.saved_model.graph.node_attributes import write_constant
from tf2spark.saved_model.graph.upstream import node_name


def write_fed_constants(graph: Any, inputs: Iterable[SidedInput]) -> list[SidedInput]:
    """Write constants whose whole shape is known into a ``GraphDef``; return the other inputs.

    A constant for an input with a batch dimension isn't written: the users' side is fed it, one
    value per row.

    Raises:
        NotSplit: The graph can't hold the constant.
    """
    remaining = []
    for sided_input in inputs:
        spec, feed = sided_input.fed.spec, sided_input.fed.feed
        has_known_shape = spec.kind == "dense" and (spec.shape is None or None not in spec.shape)
        if isinstance(feed, Constant) and has_known_shape:
            _write(graph, spec, feed)
        else:
            remaining.append(sided_input)
    return remaining


def _write(graph: Any, spec: TensorSpec, feed: Constant) -> None:
    plan = plan_constant(spec, feed)
    if spec.dtype.numpy is None or plan.form != "constant":
        raise NotSplit(f'input "{spec.name}" is fed the constant {feed}')
    shape = [size or 1 for size in spec.shape or ()]
    value = np.asarray(plan.value, spec.dtype.numpy).reshape(shape)
    node = next(node for node in graph.node if node.name == node_name(spec.tensors[0]))
    node.op = "Const"
    node.attr.clear()
    write_constant(node, value, spec.dtype)
