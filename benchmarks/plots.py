"""Draw the growth curves of `RESULTS.md`, in an environment of its own that has matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def draw(results: list[dict[str, Any]], folder: Path) -> None:
    """Draw each growth curve."""
    import matplotlib

    matplotlib.use("Agg")
    # The same numbers give the same file: no date, no random ids.
    matplotlib.rcParams["svg.hashsalt"] = "tf2spark"
    folder.mkdir(exist_ok=True)
    for growth in (growth for result in results for growth in result["growths"]):
        _growth(growth, folder)


def _growth(growth: dict[str, Any], folder: Path) -> None:
    from matplotlib import pyplot as plt

    # As wide as a phone, so that its text is read there without zooming.
    figure, axes = plt.subplots(figsize=(4.2, 3.4), layout="constrained")
    axes.set_title(_title(growth), fontsize=11)
    for name, values in growth["lines"].items():
        axes.plot(growth["xs"], values, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(growth["x"])
    axes.set_ylabel(growth["y"])
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, folder / f"{growth['name']}.svg")


def _title(growth: dict[str, Any]) -> str:
    """Return what is measured over what, and of which table if there are several."""
    table = growth["name"].rpartition("-")[2]
    what = growth["y"][0].upper() + growth["y"][1:]
    return f"{what}\nby {growth['x']}{f' ({table})' if table in ('dense', 'strings') else ''}"


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
