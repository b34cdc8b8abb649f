"""The sample of rows that `compile` verifies a package with."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.advice.tables import check_table
from tf2spark.binding.request import Request
from tf2spark.local.pandas_columns import table_to_arrow
from tf2spark.table_types import LocalTable


def check_sample(sample: LocalTable | None) -> None:
    """Check that a sample is a table of this process, if there is one.

    Raises:
        ContractError: It isn't.
    """
    if sample is not None:
        check_table(sample, "sample must be", local=True)


def sample_to_arrow(sample: LocalTable | None, request: Request) -> pa.Table | None:
    """Return a sample that was checked as a pyarrow Table, with the columns that a request reads.

    Raises:
        ContractError: It has no such columns, or they have no types of Arrow.
    """
    if sample is None:
        return None
    return table_to_arrow(sample, request.paths)
