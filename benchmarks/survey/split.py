"""Whether `recommend` splits a surveyed model, and whether its scores are TensorFlow's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from attrs import frozen

import tf2spark
from benchmarks.survey import tables

# Scores of a split graph are sums taken in another order.
_TOLERANCE = 1e-4


@frozen
class Outcome:
    """What became of a model.

    Attributes:
        name: Its source and name.
        why_whole: Why it runs whole; None where it is split.
        flops: Floating-point operations per pair of the whole graph, and those that are left of it;
            None where it isn't split.
        largest_difference: From TensorFlow's scores, relative to their size, over all pairs.
        failure: Why it couldn't be built or recommended with.
    """

    name: str
    why_whole: str | None = None
    flops: tuple[int, int] | None = None
    largest_difference: float | None = None
    failure: str | None = None

    @property
    def agrees(self) -> bool:
        return self.largest_difference is not None and self.largest_difference < _TOLERANCE


def outcomes(folder: Path) -> list[Outcome]:
    """Recommend with every model that `write` wrote to a folder."""
    failed = [
        Outcome(path.stem, failure=f"not built: {path.read_text()}")
        for path in folder.glob("*.failed")
    ]
    written = [path.parent for path in folder.glob("*/expected.npz")]
    return sorted([*failed, *map(_recommend, written)], key=lambda outcome: outcome.name)


def _recommend(path: Path) -> Outcome:
    expected = np.load(path / "expected.npz")
    output = sorted(expected)[0]
    arguments: dict[str, Any] = {
        "user_id": "row",
        "item_id": "item_row",
        "score": output if len(expected.files) > 1 else None,
    }
    model = tf2spark.SavedModel(str(path))
    users, items = tables.users(), tables.items()
    rows = (_table(users, "row"), _table(items, "item_row"))
    try:
        plan = model.plan(*rows, **arguments)
        scored = model.recommend(*rows, rows[1].num_rows, **arguments)
    except tf2spark.errors.Tf2SparkError as error:
        return Outcome(path.name, failure=f"{type(error).__name__}: {error}")
    scores = np.array(
        [
            [best["score"] for best in sorted(row, key=lambda best: best["item_row"])]
            for row in scored["recommendations"].to_pylist()
        ]
    )
    wanted = expected[output].reshape(scores.shape)
    difference = np.abs(scores - wanted).max() / max(1e-6, np.abs(wanted).max())
    sizes = plan.sizing
    flops = (sizes.flops_whole, sizes.flops_pair) if sizes else None
    return Outcome(path.name, plan.why_whole, flops, float(difference))


def _table(columns: tables.Columns, id_column: str) -> pa.Table:
    arrays = {name: pa.array(value.tolist()) for name, value in columns.items()}
    rows = len(next(iter(columns.values())))
    return pa.table({id_column: np.arange(rows), **arrays})
