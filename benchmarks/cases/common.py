"""What the cases that score rows have in common."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.harness import Timed, ratio

US, PEER = "tf2spark", "predict_batch_udf"
READ = "only reading"
FLOOR, COLUMN_FLOOR = "nothing, by mapInArrow", "nothing, by arrow_udf"


def bound(found: Mapping[str, Timed]) -> str:
    """Say what our CPU time consists of, and how far we lie over the floors."""
    us, read = found[US].cores, found[READ].cores
    floors = [one for one in (FLOOR, COLUMN_FLOOR) if one in found]
    lower = min(floors, key=lambda name: found[name].cores)
    carried = found[lower].cores - read
    ours = us - read - carried
    over, spread = ratio(found[US], found[FLOOR])
    return (
        f"Of our {us:.1f} core-seconds, Spark's reading takes {read / us:.0%}, carrying the rows "
        f"to Python and back {carried / us:.0%} (what {lower} takes beyond reading), and "
        f"{ours / us:.0%} are ours and TensorFlow's. Over the mapInArrow that does nothing: "
        f"{over:.2f} x{spread}."
    )
