"""Numbers as text, and the ticks of an axis."""

from __future__ import annotations

import math

_SMALLEST_STEP = 1e-300
_MINUS, _NONE = "\N{MINUS SIGN}", "\N{EN DASH}"


def number_text(value: float, digits: int = 4) -> str:
    """Write a number with a few significant digits: ``0.1235``, ``12,350``, ``1.2e-09``."""
    if math.isnan(value):
        return _NONE
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    if value == round(value) and abs(value) < 1e7:
        text = f"{round(value):,}"
    elif 1e-4 <= abs(value) < 1e7:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:.{digits - 1}g}" if value else "0"
    return text.replace("-", _MINUS) if "e" not in text else text


def percent_text(part: float, whole: float) -> str:
    """Write a part of a whole: ``12.3 %``."""
    if not whole:
        return _NONE
    percent = 100 * part / whole
    return "< 0.1 %" if 0 < percent < 0.1 else f"{percent:.1f} %"


def duration_text(seconds: float) -> str:
    """Write a duration: ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers from `low` to `high`."""
    rough = (high - low) / count
    if not rough > _SMALLEST_STEP:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_labels(values: list[float]) -> list[str]:
    """Write ticks with as many digits as tell them apart."""
    for digits in range(2, 12):
        labels = [number_text(value, digits) for value in values]
        exact = [
            math.isclose(
                float(text.replace(",", "").replace(_MINUS, "-")),
                value,
                rel_tol=1e-9,
                abs_tol=1e-12 * max(map(abs, values)),
            )
            for text, value in zip(labels, values, strict=True)
        ]
        if all(exact):
            return labels
    return labels
