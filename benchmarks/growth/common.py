"""What the cases of growth have in common: one measurement at each place, a table, and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.harness import Bench, Contender, alternate, end
from benchmarks.reports import Growth, Report, markdown_table
from benchmarks.timed import Timed

Found = list[tuple[float, Mapping[str, Timed]]]


def grow(
    bench: Bench,
    report: Report,
    xs: Sequence[int],
    contenders: Callable[[int], Sequence[Contender]],
) -> Found:
    """Time the contenders of each place in turns; contenders of small places that drop out later
    are missing there."""
    found: Found = []
    for x in xs:
        chosen = contenders(x)
        try:
            found.append((x, alternate(bench, chosen, report)))
        finally:
            end(chosen)
    return found


def tell(
    report: Report,
    name: str,
    x: str,
    found: Found,
    rows: Callable[[int], int],
    *,
    unit: str = "million rows",
    seconds: bool = True,
) -> None:
    """Add a table and a plot of the time for each million rows (or pairs), by the clock."""
    names = list(found[0][1])
    head = [x, *(f"{one}: {what}" for one in names for what in (f"s a {unit}", "core-s", "MB"))]
    lines = [[f"{at:,g}", *_cells(timed, names, rows(int(at)))] for at, timed in found]
    report.add(markdown_table(head, lines))
    always = [one for one in names if all(one in timed for _, timed in found)]
    places = tuple(at for at, _ in found)
    times = {
        one: tuple(_each(timed[one], rows(int(at)), seconds) for at, timed in found)
        for one in always
    }
    what = f"seconds a {unit}" if seconds else f"core-seconds a {unit}"
    report.growths.append(Growth(name, x, what, places, times))


def tell_memory(report: Report, name: str, x: str, found: Found) -> None:
    """Add a plot of the most private memory of a worker."""
    names = [one for one, timed in found[0][1].items() if timed.peak_bytes]
    always = [one for one in names if all(one in timed for _, timed in found)]
    lines = {one: tuple(timed[one].peak_bytes / 1e6 for _, timed in found) for one in always}
    places = tuple(at for at, _ in found)
    report.growths.append(Growth(name, x, "peak private MB of a worker", places, lines))


def _cells(timed: Mapping[str, Timed], names: Sequence[str], rows: int) -> list[str]:
    cells = []
    for name in names:
        if name not in timed:
            cells += ["-", "-", "-"]
            continue
        one = timed[name]
        each = [f"{_each(one, rows, by_clock):.4g}" for by_clock in (True, False)]
        cells += [*each, one.peak]
    return cells


def _each(one: Timed, rows: int, by_clock: bool) -> float:
    return (one.median if by_clock else one.cores) / rows * 1e6
