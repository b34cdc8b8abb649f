"""A tensor on its way into or out of a session: a dtype, a shape and bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tf2spark.dtypes import DType


@frozen(eq=False)
class Tensor:
    """A tensor that is fed, or a numeric one that was fetched.

    `data` is C-contiguous. It holds the values of numbers; of strings that are fed it holds one
    view per value (`strings.VIEW`), and `owner` keeps the bytes alive that the views point to.
    """

    dtype: DType
    shape: tuple[int, ...]
    data: npt.NDArray[np.generic]
    owner: object = None


@frozen(eq=False)
class Strings:
    """A string tensor that was fetched: value i is ``data[offsets[i]:offsets[i + 1]]``.

    `offsets` is int64 [n + 1] and starts at 0, `data` is uint8; n is the product of `shape`.
    """

    shape: tuple[int, ...]
    offsets: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]
