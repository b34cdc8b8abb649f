"""What the cases that score rows have in common."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.harness import Timed, ratio

US, PEER = "tf2spark", "predict_batch_udf"
READ = "only reading"
FLOOR, COLUMN_FLOOR = "nothing, by mapInArrow", "nothing, by arrow_udf"


def bound(found: Mapping[str, Timed]) -> str:
    """Say what our time consists of, and how far it lies over the floors."""
    us, read = found[US].median, found[READ].median
    lower = min(
        (one for one in (FLOOR, COLUMN_FLOOR) if one in found), key=lambda n: found[n].median
    )
    carried = found[lower].median - read
    ours = us - read - carried
    over, spread = ratio(found[US], found[FLOOR])
    return (
        f"Our {us:.2f} s: {read / us:.0%} Spark reading the columns, {carried / us:.0%} carrying "
        f"them to Python and back (what {lower} takes over reading), {ours / us:.0%} ours "
        f"and TensorFlow's. Over the mapInArrow that does nothing: {over:.2f} x{spread}."
    )
