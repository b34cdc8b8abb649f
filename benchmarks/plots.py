"""Draw the plots of `RESULTS.md`. Run in an environment of its own, which has matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def draw(found: list[dict[str, Any]], folder: Path) -> None:
    """Draw the ratios of all cases, and each growth."""
    import matplotlib

    matplotlib.use("Agg")
    # The same picture from the same numbers: no date, no random ids.
    matplotlib.rcParams["svg.hashsalt"] = "tf2spark"
    folder.mkdir(exist_ok=True)
    ratios = [each for one in found for each in one["ratios"]]
    if ratios:
        _ratios(ratios, folder)
    for growth in (each for one in found for each in one["growths"]):
        _growth(growth, folder)


def _ratios(ratios: list[dict[str, Any]], folder: Path) -> None:
    """One bar a peer and job; the whisker spans the rounds."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.32 * len(ratios) + 1.2), layout="constrained")
    places = range(len(ratios))
    times = [one["times"] for one in ratios]
    low = [max(one["times"] - one["low"], 0) for one in ratios]
    high = [max(one["high"] - one["times"], 0) for one in ratios]
    widths, error = [one - 1 for one in times], {"ecolor": "#555"}
    colours = [_colour(one) for one in ratios]
    axes.barh(places, widths, 0.65, 1, xerr=[low, high], color=colours, error_kw=error)
    axes.set_ylim(-0.7, len(ratios) - 0.3)
    axes.set_xlim(min([0.5, *(one["low"] for one in ratios)]) / 1.2, max(times) * 3)
    axes.set_yticks(places, [f"{one['job']}: {one['peer']}" for one in ratios], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    for place, one in enumerate(ratios):
        axes.text(max(one["high"], 1) * 1.1, place, f"{one['times']:.1f}", va="center", fontsize=8)
    axes.set_xlabel("times as long as tf2spark (log scale; above 1 we are faster)")
    _save(figure, folder / "ratios.svg")


def _colour(ratio: dict[str, Any]) -> str:
    """Grey for another way of our own, else by who is faster."""
    if ratio["peer"].startswith("tf2spark"):
        return "#999999"
    return "#2a78b8" if ratio["times"] >= 1 else "#c8553d"


def _growth(growth: dict[str, Any], folder: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name, values in growth["lines"].items():
        axes.plot(growth["xs"], values, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(growth["x"])
    axes.set_ylabel(growth["y"])
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, folder / f"{growth['name']}.svg")


def _save(figure: Any, file: Path) -> None:
    from matplotlib import pyplot as plt

    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def main(results: str, plots: str) -> None:
    """Draw from the JSON files of one folder into another."""
    files = sorted(Path(results).glob("*.json"))
    draw([json.loads(file.read_text()) for file in files], Path(plots))


if __name__ == "__main__":
    main(*sys.argv[1:])
