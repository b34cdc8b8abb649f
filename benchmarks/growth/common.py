"""What the cases of growth have in common: one measurement at each place, a table, and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.harness import Bench, Contender, alternate, end
from benchmarks.reports import Growth, Report, markdown_table
from benchmarks.timed import Timed

Found = list[tuple[float, Mapping[str, Timed]]]


def said(bench: Bench) -> str:
    """Say how often each of them runs."""
    return f"{bench.runs} runs of each after a warm-up, in turns, at each place"


def grow(
    bench: Bench,
    report: Report,
    xs: Sequence[int],
    contenders: Callable[[int], Sequence[Contender]],
) -> Found:
    """Time the contenders of each place in turns; without peers where the run is a small one."""
    found: Found = []
    for x in xs:
        chosen = [one for one in contenders(x) if one.peer is None or bench.scale == "full"]
        try:
            found.append((x, alternate(bench, chosen, report)))
        finally:
            end(chosen)
    return found


def tell(report: Report, name: str, x: str, found: Found, rows: Callable[[int], int]) -> None:
    """Add a table, and a plot of the time for each million rows by the clock."""
    names = list(found[0][1])
    columns = ("s a million rows", "core-s", "MB")
    head = [x, *(f"{one}: {what}" for one in names for what in columns)]
    lines = [[f"{at:,g}", *_cells(timed, names, rows(int(at)))] for at, timed in found]
    report.add(markdown_table(head, lines))
    places = tuple(at for at, _ in found)
    times = {
        one: tuple(timed[one].median / rows(int(at)) * 1e6 for at, timed in found) for one in names
    }
    report.growths.append(Growth(name, x, "seconds a million rows", places, times))


def tell_memory(report: Report, name: str, x: str, found: Found) -> None:
    """Add a plot of the most private memory of a worker."""
    names = [one for one, timed in found[0][1].items() if timed.peak_bytes]
    lines = {one: tuple(timed[one].peak_bytes / 1e6 for _, timed in found) for one in names}
    places = tuple(at for at, _ in found)
    report.growths.append(Growth(name, x, "peak private MB of a worker", places, lines))


def _cells(timed: Mapping[str, Timed], names: Sequence[str], rows: int) -> list[str]:
    cells = []
    for one in (timed[name] for name in names):
        each = [f"{seconds / rows * 1e6:.4g}" for seconds in (one.median, one.cores)]
        cells += [*each, one.peak]
    return cells
