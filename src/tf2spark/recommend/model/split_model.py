"""Splits a model's graph, and says what each side of the split graph computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import evolve

from tf2spark.binding.feeds import Output
from tf2spark.binding.request import FedInput, FetchedOutput, Request
from tf2spark.conversion.rows import Array
from tf2spark.graph_split.constant_folding import to_array
from tf2spark.graph_split.forms import SIDES, NotSplit, Side, SideName
from tf2spark.graph_split.splitter import SidePart, SplitGraph, SplitInput, split_graph
from tf2spark.plan.score import RowRelation
from tf2spark.recommend.catalog.items import value_column
from tf2spark.recommend.company.side_probe import SideProbe
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.recommend.side_widths import Sample, SizedFeed
from tf2spark.recommend.sides import Schemas, SidedInput
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.tensorflow_c.mapped_files import mapped_tensor
from tf2spark.tensorflow_c.session import CApiSession
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker.model_session import open_model

SizedInputs = Sequence[tuple[SizedFeed, ...]]
"""What the sides feed to each input."""


def split_model(
    model: PairModel,
    meta_graph: Any,
    inputs: Sequence[SidedInput],
    sized_inputs: SizedInputs,
    schemas: Schemas,
    sample: Sample,
    tree: Path,
) -> SplitGraph:
    """Split the graph of a MetaGraph, and write the result into it.

    Args:
        model: The model.
        meta_graph: Its MetaGraph, without control edges and with fed constants in place.
        inputs: The inputs that columns feed.
        sized_inputs: What the sides feed to each of these inputs.
        schemas: The columns of both sides.
        sample: Returns rows of a side.
        tree: The folder that has the MetaGraph as it is now; constants are read from there.

    Raises:
        NotRowWise: The graph isn't known to treat rows independently.
        NotSplit: It treats rows independently, but can't be split.
    """
    split_inputs = [
        SplitInput(
            sided_input.fed.spec.tensors[0],
            sided_input.fed.spec.dtype,
            tuple(SidePart(feed.side, feed.dims) for feed in feeds),
            () if sided_input.fed.spec.kind == "dense" else sided_input.fed.spec.tensors,
        )
        for sided_input, feeds in zip(inputs, sized_inputs, strict=True)
    ]
    with closing(open_model(model.reference(), tree, optimizes=False)) as session:
        load = _constant_loader(model, session, tree)
        score = model.score.tensors[0]
        probe = SideProbe(
            session,
            model.reference(),
            _whole_requests(split_inputs, sized_inputs),
            schemas,
            sample,
        )
        split = split_graph(
            meta_graph.graph_def, split_inputs, score, model.column, load, probe.row_dims
        )
        return evolve(split, relations=_relations(split, probe))


def _whole_requests(
    inputs: Sequence[SplitInput], sized_inputs: SizedInputs
) -> dict[SideName, Request]:
    """Return what each side feeds to the whole graph: the inputs that it feeds alone."""
    fed: dict[SideName, list[FedInput]] = {side: [] for side in SIDES}
    for split_input, feeds in zip(inputs, sized_inputs, strict=True):
        if len(feeds) == 1:
            fed[feeds[0].side].append(_fed_input(feeds[0], split_input.tensors))
    return {side: Request(tuple(inputs), ()) for side, inputs in fed.items()}


def _relations(split: SplitGraph, probe: SideProbe) -> dict[SideName, RowRelation]:
    """Find out whether rows of a side depend on each other where no rule says that they don't."""
    unproven = split.unproven
    return {
        side: probe.relation(side, [rows.tensor for rows in unproven if rows.side == side])
        for side in SIDES
        if any(rows.side == side for rows in unproven)
    }


def _constant_loader(model: PairModel, session: CApiSession, tree: Path) -> Callable[[str], Array]:
    """Return the function that reads the value of a constant tensor or a mapped weight."""
    weights = {weight.tensor: weight for weight in model.weights}

    def load(name: str) -> Array:
        if name in weights:
            return to_array(mapped_tensor(weights[name], tree))
        (tensor,) = session.prepare([], [name])([])
        if not isinstance(tensor, Tensor):
            raise NotSplit(f'"{name}" is a constant of strings')
        return to_array(tensor)

    return load


def side_request(
    split_graph: SplitGraph,
    sized_inputs: SizedInputs,
    side: SideName,
    outputs: tuple[FetchedOutput, ...] = (),
) -> Request:
    """Return what one side feeds to the split graph, as a separate request."""
    fed = [
        _fed_input(feed, tensors)
        for feeds, fed_tensors in zip(sized_inputs, split_graph.feeds, strict=True)
        for feed, tensors in zip(feeds, fed_tensors, strict=True)
        if feed.side == side
    ]
    return Request(tuple(fed), outputs)


def _fed_input(feed: SizedFeed, tensors: tuple[str, ...]) -> FedInput:
    return FedInput(evolve(feed.spec, tensors=tensors), feed.source.feed, exact=feed.exact)


def item_value_outputs(values: Sequence[tuple[Side, str]]) -> tuple[FetchedOutput, ...]:
    """Return the values that are computed once per item as outputs, each one column."""
    return tuple(
        FetchedOutput(
            value_column(number),
            TensorSpec(value_column(number), value.dtype, (None, *value.dims), (value.tensor,)),
            Output(value_column(number)),
        )
        for number, (value, _) in enumerate(values)
    )
