"""The plan of a `recommend` job as text for people."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from attrs import frozen

from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.recommend.block_sizes import BlockSizes
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.verify import SplitCheck
from tf2spark.saved_model.contract_text import html_table, notebook_html
from tf2spark.shown_text import Lines


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
    """

    text: str
    why_whole: str | None
    items: int
    digest: str
    sizing: BlockSizes | None
    verified: SplitCheck | None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        first, *others = (block.split("\n") for block in self.text.split("\n\n"))
        heading = "".join(f"<p>{html.escape(line)}</p>" for line in first)
        tables = (html_table(None, list(map(_label_and_text, lines))) for lines in others)
        return notebook_html("\n".join([heading, *tables]))


def _label_and_text(line: str) -> Sequence[str]:
    """Split a line of a plan after its label: "per pair: MatMul"; a sentence has none."""
    return line.split(": ", 1)


def explain(prepared: Prepared) -> RecommendPlan:
    """Describe a prepared job."""
    return RecommendPlan(
        Lines.of(_lines(prepared)),
        prepared.why_whole,
        prepared.plan.items,
        prepared.plan.users.model.digest,
        prepared.block_sizes,
        prepared.check,
    )


def _lines(prepared: Prepared) -> Iterator[str]:
    items, split, sizes = prepared.plan.items, prepared.split, prepared.block_sizes
    if split is None or sizes is None:
        yield f"The whole graph runs, one user against all {items:,} items at a time."
        yield f"It isn't split: {prepared.why_whole}."
        return
    yield "The graph is split."
    yield ""
    yield from _savings(sizes)
    yield ""
    yield from _layers(split, sizes)
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


def _savings(sizes: BlockSizes) -> Iterator[str]:
    factor = sizes.flops_whole / max(1, sizes.flops_pair)
    yield (
        f"per pair: {sizes.flops_pair:,} operations instead of {sizes.flops_whole:,} in the whole "
        f"graph ({factor:.1f} times fewer), {sizes.bytes_pair:,} bytes of values"
    )
    if sizes.left_ops:
        yield f"out of the pair loop: {', '.join(sizes.left_ops)}"


def _layers(split: SplitGraph, sizes: BlockSizes) -> Iterator[str]:
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
