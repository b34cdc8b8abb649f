"""The plan of a recommending job as a person reads it."""

from __future__ import annotations

from attrs import frozen

from tf2spark.graph_split.splitter import SplitGraph
from tf2spark.recommend.block_sizes import Sizing
from tf2spark.recommend.prepare import Prepared
from tf2spark.recommend.verify import Verified


@frozen
class RecommendPlan:
    """What `recommend` computes a user, an item and a pair, and what that takes; prints well.

    Attributes:
        text: All of it, as printed.
        why_whole: Why the graph isn't taken apart; None where it is.
        items: How many items there are.
        digest: Of the model and the catalog, as ``model_column`` has it.
        sizing: Work and memory a pair, and the blocks; None where the whole graph runs.
        verified: How far scores were from those of the whole graph; None where nothing was held
            against it.
    """

    text: str
    why_whole: str | None
    items: int
    digest: str
    sizing: Sizing | None
    verified: Verified | None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def explained(prepared: Prepared) -> RecommendPlan:
    """Describe a plan."""
    lines = _whole(prepared) if prepared.why_whole else _split(prepared)
    return RecommendPlan(
        "\n".join(lines),
        prepared.why_whole,
        prepared.plan.items,
        prepared.plan.users.model.digest,
        prepared.sizing,
        prepared.verified,
    )


def _whole(prepared: Prepared) -> list[str]:
    items = prepared.plan.items
    return [
        f"The whole graph runs, one user against all {items:,} items a run.",
        f"It isn't taken apart: {prepared.why_whole}.",
    ]


def _split(prepared: Prepared) -> list[str]:
    sizing, taken, items = prepared.sizing, prepared.split, prepared.plan.items
    assert sizing is not None
    assert taken is not None
    lines = ["The graph is taken apart.", ""]
    lines += _work(sizing)
    if sizing.left_ops:
        lines.append(f"out of the pair loop: {', '.join(sizing.left_ops)}")
    lines += ["", *_layers(taken)]
    lines += [f"a pair: {one}" for one in sizing.pair_ops]
    lines += [
        "",
        f"a user keeps {sizing.bytes_user:,} bytes, an item {sizing.bytes_item:,}, "
        f"{items:,} items {_size(sizing.bytes_item * items)} (once a host)",
        f"blocks of {sizing.block_users:,} users x {sizing.block_items:,} items take "
        f"{_size(sizing.block_users * sizing.block_items * sizing.bytes_pair)} at the most",
    ]
    if prepared.plan.fallback is not None:
        lines.append("users whose rows are of other sizes than the first ones' run whole")
    found = prepared.verified
    if found is None:
        lines.append("not checked against the whole graph: no user and item of the samples score")
    else:
        lines.append(
            f"checked against the whole graph on {found.pairs:,} pairs: largest difference "
            f"{found.difference:.1e} (tolerance {found.tolerance:g})"
        )
    return lines


def _work(sizing: Sizing) -> list[str]:
    factor = sizing.flops_whole / max(1, sizing.flops_pair)
    return [
        f"a pair: {sizing.flops_whole:,} operations in the whole graph, {sizing.flops_pair:,} "
        f"here ({factor:.1f} times fewer), {sizing.bytes_pair:,} bytes of values",
    ]


def _layers(taken: SplitGraph) -> list[str]:
    """List what crosses from the sides to the pairs, and what the pairs compute."""
    lines = []
    for what, values in (("user", taken.users), ("item", taken.items)):
        for value, _ in values:
            shape = ", ".join(map(str, value.dims)) or "1"
            lines.append(f"once {'a' if what == 'user' else 'an'} {what}: {value.dtype} [{shape}]")
    return lines


def _size(size_bytes: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size_bytes < 1024 or unit == "GiB":
            return f"{size_bytes:,.0f} {unit}"
        size_bytes /= 1024
    raise AssertionError
