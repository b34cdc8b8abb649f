"""The class of the zoo's cases."""

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
        name: Its name for `cases.models.case`, and the id of its tests.
        make: Writes the SavedModel to a folder that doesn't exist yet.
        table: Returns a number of rows of the input columns, the same at every call. The types are
            those that Spark has (no unsigned integers, no half).
        feeds: Turns a table into TensorFlow's own feeds, in plain NumPy: an array by signature key
            or raw tensor name; (indices, values, dense shape) for a ``coo_sparse`` key.
        feed: The `feed` argument of `SavedModel.score`; None where names match.
        fetch: Its `fetch` argument; None for all outputs of the signature.
        kwargs: Its other arguments: ``{"signature": ...}``.
        batches: Returns the row numbers of each run, where a table's rows don't all run together. A
            repeated number pads a run, and its result is dropped.
        refused: Returns a mask of the rows that can't be scored; only in `REFUSING`.
        reason: What TensorFlow's message says about such a row; "" if TensorFlow never gets it.
        unsafe: The ops that the check of ops must refuse; only in `UNSAFE`.
        runs_directly: Whether TensorFlow can run the model from its files alone.
        v2_refuses: Whether `tf.saved_model.load` can't load it, while the v1 loader can.
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
