"""What depends on one side only, by ops that no rule describes: loops, ragged rows, custom ops.

Nothing has to be known of such ops as long as they read no value of the other side. A tensor that
does meet the other side must turn out to have a row for each of its side's, which is found out by
running it on rows of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import Factory, define

from tf2spark.dtypes import Dims
from tf2spark.graph_split.forms import NotRowWise, OneSided, Side, SideName
from tf2spark.graph_split.op_call import TensorInfo

RowDims = Callable[[SideName, str], Dims | None]
"""Returns the dimensions of a tensor's rows, as they are for rows of the call; None for a copy that
the original graph doesn't have. It raises `NotRowWise` for a tensor that isn't known to have a row
for each of the side's."""


def nothing_is_run(side: SideName, tensor: str) -> Dims | None:
    """Refuse all tensors: the `RowDims` where no row can be run."""
    raise NotRowWise(f'"{tensor}" isn\'t known to have a row for each {side}')


@define
class OneSidedRows:
    """Turns one-sided tensors into rows of their side.

    Attributes:
        row_dims: See `RowDims`.
        rows_of: The rows that were made, by tensor: nothing proves that they are independent.
    """

    row_dims: RowDims
    rows_of: dict[str, Side] = Factory(dict)

    def rows(self, value: OneSided, infos: Mapping[str, TensorInfo]) -> Side:
        """Return a one-sided tensor as rows.

        Raises:
            NotRowWise: It doesn't have a row for each of its side's, or that can't be found out.
        """
        if value.tensor not in self.rows_of:
            dims = self.row_dims(value.side, value.tensor)
            if dims is None:
                dims = _inferred_dims(value, infos)
            self.rows_of[value.tensor] = Side(value.side, value.tensor, value.dtype, dims)
        return self.rows_of[value.tensor]


def _inferred_dims(value: OneSided, infos: Mapping[str, TensorInfo]) -> Dims:
    shape = infos[value.tensor][1] if value.tensor in infos else None
    if not shape or shape[0] is not None:
        raise NotRowWise(f'"{value.tensor}" isn\'t known to have a row for each {value.side}')
    return shape[1:]
