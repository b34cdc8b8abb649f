"""The rows of a job by partition, day or hour, few enough to draw."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from tf2spark.report.plots import Point
from tf2spark.worker.statistics.task import Group

_MAX_TIMES = 120
_MAX_NAMES = 20


@frozen
class Groups:
    """Groups in the order in which they are drawn.

    Attributes:
        by: What groups the rows: "hour", "day", "month", "year", or the column's name.
        in_time: They are points in time.
        named: Each group and its name.
        left_out: How many groups aren't among them.
    """

    by: str
    in_time: bool
    named: list[tuple[str, Group]]
    left_out: int = 0

    def points(self, position: int) -> list[Point]:
        """Return the distribution of an output in each group that has any."""
        points = []
        for name, group in self.named:
            sketch = group.numbers.get(position)
            if sketch is not None and sketch.count:
                low, middle, high = map(sketch.quantile, (0.1, 0.5, 0.9))
                points.append(Point(name, low, middle, high, sketch.count))
        return points


def groups_to_draw(groups: Mapping[Any, Group], column: str) -> Groups:
    """Return groups in order: times coarse enough, of names the largest."""
    groups = {_as_day(key): group for key, group in groups.items()}
    times = {key: group for key, group in groups.items() if isinstance(key, datetime.date)}
    others = len(groups) - len(times)
    if times and others <= 1:  # null, at most
        by, coarse = _coarsened(times)
        return Groups(by, True, [(_time_text(key), coarse[key]) for key in sorted(coarse)], others)
    largest = sorted(groups.items(), key=lambda item: -item[1].rows)[:_MAX_NAMES]
    named = [("null" if key is None else str(key), key, group) for key, group in largest]
    named.sort(key=lambda each: (each[1] is None, _number(each[1]), each[0]))
    pairs = [(name, group) for name, _, group in named]
    return Groups(column, False, pairs, len(groups) - len(pairs))


def _as_day(key: Any) -> Any:
    """Return the day that a text like "2026-11-28" means; everything else as it is."""
    try:
        return datetime.date.fromisoformat(key) if isinstance(key, str) else key
    except ValueError:
        return key


def _number(key: Any) -> float:
    return float(key) if isinstance(key, int | float) else 0.0


def _coarsened(
    times: Mapping[datetime.date, Group],
) -> tuple[str, dict[datetime.date, Group]]:
    has_hours = any(isinstance(key, datetime.datetime) for key in times)
    steps: list[tuple[str, Callable[[datetime.date], datetime.date]]] = [
        ("hour", lambda key: key),
        ("day", lambda key: datetime.date(key.year, key.month, key.day)),
        ("month", lambda key: datetime.date(key.year, key.month, 1)),
        ("year", lambda key: datetime.date(key.year, 1, 1)),
    ]
    by, merged = "", dict(times)
    for by, coarsen in steps if has_hours else steps[1:]:  # noqa: B007 - the last one counts
        merged = {}
        for key, group in times.items():
            merged.setdefault(coarsen(key), Group()).merge(group)
        if len(merged) <= _MAX_TIMES:
            break
    return by, merged


def _time_text(moment: datetime.date) -> str:
    """Write a day, or a time to the minute."""
    if isinstance(moment, datetime.datetime):
        return moment.strftime("%Y-%m-%d %H:%M")
    return moment.isoformat()
