"""A model's graph taken apart, and what each side is then asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import evolve

from tf2spark.binding.feeds import Output
from tf2spark.binding.request import FedInput, FetchedOutput, Request
from tf2spark.graph_split.constant_folding import as_array
from tf2spark.graph_split.forms import Array, NotSplit, Side, SideName
from tf2spark.graph_split.splitter import SidePart, SplitGraph, SplitInput, split
from tf2spark.recommend.items import value_column
from tf2spark.recommend.pair_model import CatalogModel
from tf2spark.recommend.side_widths import SizedPart
from tf2spark.recommend.sides import SidedInput
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.tensorflow_c.mapped_files import mapped_tensor
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.model_session import opened


def taken_apart(
    model: CatalogModel,
    meta_graph: Any,
    inputs: list[SidedInput],
    parts: list[tuple[SizedPart, ...]],
    tree: Path,
) -> SplitGraph:
    """Take the graph of a MetaGraph apart, and write the result into it.

    Args:
        model: The model.
        meta_graph: Its MetaGraph, without control edges and with constants in place.
        inputs: The inputs that are left.
        parts: What the sides feed to each.
        tree: The folder that the MetaGraph lies in as it is now: its constants are read there.
    """
    session = opened(model.reference(), tree)
    weights = {one.tensor: one for one in model.weights}

    def load(name: str) -> Array:
        if name in weights:
            return as_array(mapped_tensor(weights[name], tree))
        (found,) = session.prepare([], [name])([])
        if not isinstance(found, Tensor):
            raise NotSplit(f'"{name}" is a constant of strings')
        return as_array(found)

    split_inputs = [
        SplitInput(
            one.fed.spec.tensors[0],
            one.fed.spec.dtype,
            tuple(SidePart(part.part.side, part.dims) for part in each),
        )
        for one, each in zip(inputs, parts, strict=True)
    ]
    score = model.score.tensors[0]
    try:
        return split(meta_graph.graph_def, split_inputs, score, model.column, load)
    finally:
        session.close()


def side_request(
    taken: SplitGraph,
    parts: list[tuple[SizedPart, ...]],
    side: SideName,
    outputs: tuple[FetchedOutput, ...],
) -> Request:
    """Return what one side feeds, as a request of its own."""
    fed = []
    for each, tensors in zip(parts, taken.feeds, strict=True):
        for part, tensor in zip(each, tensors, strict=True):
            if part.part.side == side:
                spec = evolve(part.spec, tensors=(tensor,))
                fed.append(FedInput(spec, part.part.feed, exact=part.exact))
    return Request(tuple(fed), outputs)


def computed_values(values: tuple[tuple[Side, str], ...]) -> tuple[FetchedOutput, ...]:
    """Return what is computed for every item, as columns."""
    return tuple(
        FetchedOutput(
            value_column(place),
            TensorSpec(value_column(place), value.dtype, (None, *value.dims), (value.tensor,)),
            Output(value_column(place)),
        )
        for place, (value, _) in enumerate(values)
    )
