"""The model's layers under their own names, and how often a split graph computes each of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

from attrs import frozen

from tf2spark.graph_split.node_places import Place
from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.recommend.explanation.layer_names import layer_names
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.recommend.node_costs import (
    FREE,
    PRODUCTS,
    CostedGraph,
    inputs_first,
    known_sizes,
    whole_graph,
)

Computed = Literal["user", "item", "user_and_item", "added", "multiplied", "partly", "pair"]
"""How often a layer is computed."""
_LOOKUPS = frozenset(
    ["Gather", "GatherV2", "GatherNd", "ResourceGather", "LookupTableFindV2", "LookupTableFind",
     "SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN"]
)  # fmt: skip
_LOOPS = frozenset(["While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"])
_WORDS: dict[Computed, str] = {
    "user": "once per user",
    "item": "once per item",
    "user_and_item": "once per user and once per item",
    "added": "once per user and once per item, then added",
    "multiplied": "once per user and once per item, then multiplied",
    "partly": "in part once per user and once per item, the rest for every pair",
    "pair": "for every pair",
}


@frozen
class PlannedLayer:
    """A layer of the model, and how often it is computed.

    Attributes:
        name: Its name in the model: ``dense_1``; that of its op where the model gives it none.
        op: The op that does its work: a matrix product, a lookup or a loop.
        size_in: How many values go into each sum of its matrix product; None for other layers.
        size_out: How many values come out per row; None where that isn't known.
        computed: How often: once per "user", per "item", or both ("user_and_item"), whose results
            are "added" or "multiplied" for each pair; "partly", where pairs have a part of their
            own; or for each "pair".
        pair_ops: What else of it is computed for every pair: ``("Relu",)``.
        flops: Its operations per pair in the whole graph.
    """

    name: str
    op: str
    size_in: int | None
    size_out: int | None
    computed: Computed
    pair_ops: tuple[str, ...]
    flops: int

    @property
    def label(self) -> str:
        """Its name and size: ``dense_1 (640 -> 256)``."""
        return (
            self.name
            if self.size_in is None
            else f"{self.name} ({self.size_in} -> {self.size_out})"
        )

    def __str__(self) -> str:
        also = f"; {', '.join(self.pair_ops)} for every pair" if self.pair_ops else ""
        return f"layer {self.label}: {_WORDS[self.computed]}{also}"


def layers_of(split: SplitGraph, model: PairModel) -> tuple[PlannedLayer, ...]:
    """Return the layers of a graph that was split, from its inputs to the score.

    A layer multiplies matrices, looks values up or loops; what else there is belongs to one of
    them, or isn't listed.
    """
    graph = whole_graph(split, model)
    nodes = [
        node
        for node in inputs_first(graph.nodes)
        if node.name in split.places
        and node.op not in FREE
        and (graph.has_rows(node) or node.op in _LOOPS)
    ]
    names = layer_names({node.name: node for node in graph.nodes}, nodes)
    layers: dict[str, list[Any]] = {}
    for node in nodes:
        layers.setdefault(names.of(node.name), []).append(node)
    return tuple(
        _layer(name, of_layer, graph, split)
        for name, of_layer in layers.items()
        if any(map(_is_main, of_layer))
    )


def _layer(name: str, nodes: Sequence[Any], graph: CostedGraph, split: SplitGraph) -> PlannedLayer:
    main = [node for node in nodes if _is_main(node)]
    widest = max(main, key=graph.flops)
    shape = graph.pair_shape(widest)
    is_product = widest.op in PRODUCTS and shape is not None
    computed = _computed({split.places[node.name] for node in main})
    others = (node for node in nodes if node not in main and split.places[node.name] == "pair")
    return PlannedLayer(
        name,
        widest.op,
        graph.inner_size(widest) if is_product else None,
        None if shape is None else prod(known_sizes(shape)),
        computed,
        () if computed == "pair" else tuple(dict.fromkeys(node.op for node in others)),
        sum(map(graph.flops, nodes)),
    )


def _is_main(node: Any) -> bool:
    return node.op in PRODUCTS | _LOOKUPS | _LOOPS


def _computed(places: set[Place]) -> Computed:
    """Return how often a layer is computed whose main ops are computed in these places."""
    if (places <= {"user", "item", "beside"} and len(places) > 1) or places == {"beside"}:
        return "user_and_item"
    (place, *others) = places
    if others:
        return "partly" if places & {"pair", "partly"} else "added"
    assert place != "beside"
    return place
