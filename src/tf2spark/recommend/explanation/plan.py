"""The plan of a `recommend` job, for people and programs."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence

from attrs import asdict, frozen

from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.recommend.block_sizes import BlockSizes
from tf2spark.recommend.explanation.drawing import drawing
from tf2spark.recommend.explanation.layers import PlannedLayer, layers_of
from tf2spark.recommend.explanation.pair_cost import PairCost, measure_cost
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.verify import SplitCheck
from tf2spark.saved_model.contract_text import html_table, notebook_html
from tf2spark.shown_text import Lines


@frozen
class PlannedInput:
    """An input of the model, and the columns that feed it.

    Attributes:
        name: Its name in the signature.
        feed: What feeds it, each column with its side: ``user:age, item:price``.
    """

    name: str
    feed: str


@frozen
class RecommendPlan:
    """What `recommend` computes per user, per item and per pair, and what that costs; prints well.

    Attributes:
        text: All of it, as printed.
        why_whole: Why the graph isn't split; None where it is.
        items: The number of items.
        digest: The SHA-256 of the model and its catalog, as in ``model_column``.
        sizing: Work and memory per pair, and the blocks; None where the whole graph runs.
        verified: How far scores were from those of the whole graph; None where nothing was
            compared.
        inputs: The inputs that columns feed.
        layers: The model's layers under their own names, and how often each is computed; empty
            where the whole graph runs.
        cost: What pairs take on this machine; None where that wasn't measured.
    """

    text: str
    why_whole: str | None
    items: int
    digest: str
    sizing: BlockSizes | None
    verified: SplitCheck | None
    inputs: tuple[PlannedInput, ...] = ()
    layers: tuple[PlannedLayer, ...] = ()
    cost: PairCost | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def to_json(self) -> str:
        """Return the plan as a JSON object, whose keys are the attributes."""
        return json.dumps(asdict(self), indent=2)

    def _repr_html_(self) -> str:
        first, *others = (block.split("\n") for block in self.text.split("\n\n"))
        heading = "".join(f"<p>{html.escape(line)}</p>" for line in first)
        picture = drawing(self.layers) if self.layers else ""
        tables = (html_table(None, list(map(_label_and_text, lines))) for lines in others)
        return notebook_html("\n".join([heading, picture, *tables]))


def _label_and_text(line: str) -> Sequence[str]:
    """Split a line of a plan after its label: "per pair: MatMul"; a sentence has none."""
    return line.split(": ", 1)


def explain(prepared: Prepared, *, measured: bool = True) -> RecommendPlan:
    """Describe a prepared job.

    Args:
        prepared: The job.
        measured: Say what pairs take, too, which takes some seconds to measure.
    """
    split = prepared.split
    cost = measure_cost(prepared) if measured else None
    inputs = tuple(
        PlannedInput(sided.fed.spec.name, str(sided.fed.feed)) for sided in prepared.job.inputs
    )
    layers = () if split is None else layers_of(split, prepared.job.model)
    return RecommendPlan(
        Lines.of(_lines(prepared, inputs, layers, cost)),
        prepared.why_whole,
        prepared.plan.items,
        prepared.plan.users.model.digest,
        prepared.block_sizes,
        prepared.check,
        inputs,
        layers,
        cost,
    )


def _lines(
    prepared: Prepared,
    inputs: Sequence[PlannedInput],
    layers: Sequence[PlannedLayer],
    cost: PairCost | None,
) -> Iterator[str]:
    items, split, sizes = prepared.plan.items, prepared.split, prepared.block_sizes
    if split is None or sizes is None:
        yield f"The whole graph runs, one user against all {items:,} items at a time."
        yield f"It isn't split: {prepared.why_whole}."
        yield from _cost(cost, items)
        return
    yield "The graph is split."
    yield ""
    for planned in inputs:
        yield f"input {planned.name}: {planned.feed}"
    yield from map(str, layers)
    yield ""
    yield from _savings(sizes)
    yield from _cost(cost, items)
    yield ""
    yield from _values(split, sizes)
    yield ""
    yield from _memory(sizes, items)
    if prepared.scored_share is not None:
        yield (
            f"about {prepared.scored_share:.0%} of the pairs are scored: items come by the norms "
            "of their vectors, and those too small for a user's best are skipped"
        )
    yield from _company(split)
    if prepared.plan.fallback is not None:
        yield "users whose rows differ in size from the first users' are scored by the whole graph"
    yield _check(prepared.check)


def _cost(cost: PairCost | None, items: int) -> Iterator[str]:
    if cost is None:
        return
    yield (
        f"a million pairs: {_seconds(cost.core_seconds_per_million_pairs)} of one core, measured "
        f"here with {cost.measured_pairs:,} pairs of the first users, ranking included"
    )
    if cost.seconds is not None and cost.users is not None:
        cores = "one core" if cost.cores == 1 else f"{cost.cores} cores"
        yield (
            f"all pairs: about {_seconds(cost.seconds)} for {cost.users:,} users x {items:,} items "
            f"on {cores}"
        )


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _savings(sizes: BlockSizes) -> Iterator[str]:
    factor = sizes.flops_whole / max(1, sizes.flops_pair)
    yield (
        f"per pair: {sizes.flops_pair:,} operations instead of {sizes.flops_whole:,} in the whole "
        f"graph ({factor:.1f} times fewer), {sizes.bytes_pair:,} bytes of values"
    )
    if sizes.left_ops:
        yield f"out of the pair loop: {', '.join(sizes.left_ops)}"


def _values(split: SplitGraph, sizes: BlockSizes) -> Iterator[str]:
    """List what the pair graph takes from each side, and what it computes."""
    for side, values in (("user", split.users), ("item", split.items)):
        for value, _ in values:
            shape = ", ".join(map(str, value.dims)) or "1"
            yield f"once per {side}: {value.dtype} [{shape}]"
    for ops in sizes.pair_ops:
        yield f"per pair: {ops}"


def _company(split: SplitGraph) -> Iterator[str]:
    """Say how values are computed that rows of the same side may change."""
    match split.relation("user"):
        case "batch":
            yield (
                "users change each other's values: each runs alone, or with users whose lists and "
                "texts are equally long"
            )
        case "unknown":
            yield (
                "users aren't known to leave each other's values alone: workers compare some of "
                "every run with the same users run alone"
            )
    if split.relation("item") != "independent":
        yield (
            "items aren't known to leave each other's values alone: they are computed as in one "
            "run of the whole catalog"
        )


def _memory(sizes: BlockSizes, items: int) -> Iterator[str]:
    catalog = _size_text(sizes.bytes_item * items)
    block = _size_text(sizes.block_users * sizes.block_items * sizes.bytes_pair)
    yield (
        f"a user takes {sizes.bytes_user:,} bytes, an item {sizes.bytes_item:,}; "
        f"{items:,} items take {catalog} (once per host)"
    )
    yield (
        f"a block of {sizes.block_users:,} users x {sizes.block_items:,} items takes at most "
        f"{block}"
    )


def _check(check: SplitCheck | None) -> str:
    if check is None:
        return "not checked against the whole graph: no sampled user and item can be scored"
    return (
        f"checked against the whole graph on {check.pairs:,} pairs: largest difference "
        f"{check.difference:.1e} (tolerance {check.tolerance:g})"
    )


def _size_text(size_bytes: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:,.0f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:,.0f} GiB"
