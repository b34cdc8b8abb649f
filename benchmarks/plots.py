"""Draw the plots of `RESULTS.md`. Runs in an environment of its own, which has matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def draw(results: list[dict[str, Any]], folder: Path) -> None:
    """Draw the ratios of all cases, and each growth curve."""
    import matplotlib

    matplotlib.use("Agg")
    # The same numbers give the same file: no date, no random ids.
    matplotlib.rcParams["svg.hashsalt"] = "tf2spark"
    folder.mkdir(exist_ok=True)
    ratios = [ratio for result in results for ratio in result["ratios"]]
    if ratios:
        _ratios(ratios, folder)
    for growth in (growth for result in results for growth in result["growths"]):
        _growth(growth, folder)


def _ratios(ratios: list[dict[str, Any]], folder: Path) -> None:
    """Draw one bar per job and peer; the whisker spans the rounds."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.32 * len(ratios) + 1.2), layout="constrained")
    bars = range(len(ratios))
    times = [ratio["times"] for ratio in ratios]
    low = [max(ratio["times"] - ratio["low"], 0) for ratio in ratios]
    high = [max(ratio["high"] - ratio["times"], 0) for ratio in ratios]
    widths = [time - 1 for time in times]  # bars start at 1, where both are equally fast
    colors = [_color(ratio) for ratio in ratios]
    axes.barh(bars, widths, 0.65, 1, xerr=[low, high], color=colors, error_kw={"ecolor": "#555"})
    axes.set_ylim(-0.7, len(ratios) - 0.3)
    axes.set_xlim(min([0.5, *(ratio["low"] for ratio in ratios)]) / 1.2, max(times) * 3)
    axes.set_yticks(bars, [f"{ratio['job']}: {ratio['peer']}" for ratio in ratios], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    for bar, ratio in enumerate(ratios):
        end = max(ratio["high"], 1) * 1.1
        axes.text(end, bar, f"{ratio['times']:.1f}", va="center", fontsize=8)
    axes.set_xlabel("time relative to tf2spark (log scale; above 1, tf2spark is faster)")
    _save(figure, folder / "ratios.svg")


def _color(ratio: dict[str, Any]) -> str:
    """Return gray for our own variants, else a color for who is faster."""
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
    """Draw the JSON files of one folder into another folder."""
    files = sorted(Path(results).glob("*.json"))
    draw([json.loads(file.read_text()) for file in files], Path(plots))


if __name__ == "__main__":
    main(*sys.argv[1:])
