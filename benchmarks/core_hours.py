"""The tables of docs/recommend.md that turn users, items and a model into core-hours.

They are written from the saved results whenever these are drawn, so that they can't drift.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.reports import markdown_table

PAGE = Path(__file__).parent.parent / "docs" / "recommend.md"
BEGIN, END = "<!-- core-hours, from the benchmarks -->\n", "<!-- end of core-hours -->\n"

_COST = "core-s per million pairs"
# The cases that measure a model's cost, and how the table calls the model.
_MODELS = {
    "recommend-deepfm": "DeepFM, 40 fields, layers of 256, 128 and 64, best 10",
    "recommend-wide-deep": "wide-and-deep, layers of 256 and 128, best 10",
    "recommend-towers": "two towers, 64 wide, best 100",
}
_SIZES = ((100_000, 5_000), (1_000_000, 5_000), (10_000_000, 100_000))


def write_page(results: list[dict[str, Any]], page: Path = PAGE) -> None:
    """Write the tables into the page, between the two comments."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}{tables(results)}{END}{after}")


def tables(results: list[dict[str, Any]]) -> str:
    """Return both tables: core-hours of three sizes, and what whole jobs have taken."""
    by_name = {result["name"]: result for result in results}
    costs = {name: costs_of(by_name[name]["text"])[0] for name in _MODELS}
    lines = [
        [title, f"{costs[name]:.3g}", *(_hours(costs[name], *size) for size in _SIZES)]
        for name, title in _MODELS.items()
    ]
    head = ["core-hours", _COST, *(f"{users:,} x {items:,}" for users, items in _SIZES)]
    parts = [
        markdown_table(head, lines),
        "Whole jobs as they were measured, beside what the table above says of their pairs:",
        markdown_table(
            ["", "core-hours by the table", "core-hours measured"], _measured(by_name, costs)
        ),
    ]
    if figures := by_name.get("recommend-partitions", {}).get("figures"):
        parts.append(
            f"In a run with {int(figures['partitions']):,} partitions, a task of one user took "
            f"{figures['user_cpu_ms']:.1f} ms of CPU time more than one that passes its rows on; "
            f"a task without users, {figures['empty_cpu_ms']:.1f} ms more. With "
            f"{int(figures['many_partitions']):,} partitions of one user, a task took "
            f"{figures['many_cpu_ms']:.1f} ms of CPU time in all."
        )
    return "\n" + "\n\n".join(parts) + "\n\n"


def costs_of(text: str) -> list[float]:
    """Return our core-seconds per million pairs of each of a case's tables."""
    costs, column = [], None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if _COST in cells:
            column = cells.index(_COST)
        elif column is not None and cells[0] == "tf2spark":
            costs.append(float(cells[column]))
    return costs


def _measured(by_name: Mapping[str, dict[str, Any]], costs: Mapping[str, float]) -> list[list[str]]:
    lines = []
    if figures := by_name.get("recommend-million", {}).get("figures"):
        for which in ("few_", ""):
            users, items = int(figures[f"{which}users"]), int(figures["items"])
            expected = _hours(costs["recommend-deepfm"], users, items)
            name = f"DeepFM, {users:,} x {items:,}"
            lines.append([name, expected, f"{figures[f'{which}core_seconds'] / 3600:.3g}"])
    text = by_name["recommend-scale"]["text"]
    sizes = re.findall(r"^### ([\d,]+) users x ([\d,]+) items$", text, re.MULTILINE)
    for (users_text, items_text), cost in zip(sizes, costs_of(text), strict=True):
        users, items = (int(number.replace(",", "")) for number in (users_text, items_text))
        name = f"two towers, {users:,} x {items:,}"
        expected = _hours(costs["recommend-towers"], users, items)
        lines.append([name, expected, _hours(cost, users, items)])
    return lines


def _hours(core_seconds_per_million: float, users: int, items: int) -> str:
    return f"{core_seconds_per_million * users * items / 1e6 / 3600:.3g}"
