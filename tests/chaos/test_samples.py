"""The soak's judgement of what grows."""

from __future__ import annotations

from chaos.samples import Sample, growing, slopes


def samples(values: list[float], name: str = "worker MiB") -> list[Sample]:
    return [{"seconds": 60.0 * minute, name: value} for minute, value in enumerate(values)]


def test_a_leak_is_seen() -> None:
    """A worker of 400 MiB that grows by 2 MiB a minute."""
    assert growing(samples([400 + 2.0 * minute for minute in range(40)])) == ["worker MiB"]


def test_what_settles_does_not_grow() -> None:
    """Caches fill at first, and a value goes up and down."""
    filling = [200.0 + 10 * minute for minute in range(20)]
    assert growing(samples(filling + [400.0, 404.0] * 10)) == []


def test_a_descriptor_a_minute_is_seen() -> None:
    """Also where a process has few of them."""
    assert growing(samples([30.0 + minute for minute in range(40)], "driver descriptors")) != []


def test_each_value_has_its_slope() -> None:
    """By the hour."""
    (line,) = slopes(samples([100.0 + minute for minute in range(10)]))
    assert line == "worker MiB: first 100.0, middle 105.0, last 109.0, slope +60.00 an hour"
