"""What a case of the zoo is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from attrs import Factory, field, frozen

Array = npt.NDArray[Any]
Feeds = dict[str, "Array | tuple[Array, Array, Array]"]


@frozen(eq=False, repr=False)
class Case:
    """One tiny SavedModel, a table for it, and how TensorFlow itself is fed from that table.

    Attributes:
        name: What `zoo.case` finds it by, and the id of its tests.
        make: Writes the SavedModel into a folder that isn't there yet.
        table: Makes so many rows of the input columns, the same at every call. The types are those
            that Spark has (no unsigned integers, no half).
        feeds: Turns a table into TensorFlow's own feeds, in plain NumPy: signature key or raw
            tensor name to an array; (indices, values, dense shape) for a ``coo_sparse`` key.
        feed: The `feed` argument of `SavedModel.score`; None where names match.
        fetch: Its `fetch` argument; None for all outputs of the signature.
        kwargs: Its other arguments: ``{"signature": ...}``.
        batches: Says which rows of a table run together, where that isn't all of them: row numbers
            by run. A number that comes again fills a run up, and its result is left out.
        refused: Says which rows can't be scored, as a mask; only in `REFUSING`.
        reason: What TensorFlow's own message says of such a row; "" where it never gets to see it.
        unsafe: The ops that the safety check must name; only in `UNSAFE`.
        runs_directly: TensorFlow can run it from its files alone.
        v2_refuses: `tf.saved_model.load` can't load it, the v1 loader can.
    """

    name: str
    make: Callable[[Path], None]
    table: Callable[[int], pa.Table]
    feeds: Callable[[pa.Table], Feeds]
    feed: dict[str, Any] | None = None
    fetch: dict[str, Any] | None = None
    kwargs: dict[str, Any] = field(default=Factory(dict))
    batches: Callable[[pa.Table], Sequence[Sequence[int]]] | None = None
    refused: Callable[[pa.Table], npt.NDArray[np.bool_]] | None = None
    reason: str = ""
    unsafe: tuple[str, ...] = ()
    runs_directly: bool = True
    v2_refuses: bool = False

    def __repr__(self) -> str:
        return f"Case({self.name})"
