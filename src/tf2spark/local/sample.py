"""The sample of rows that `compile` verifies a package with."""

from __future__ import annotations

import pyarrow as pa

from tf2spark.binding.request import Request
from tf2spark.binding.table_advice import check_table
from tf2spark.local.pandas_columns import table_to_arrow
from tf2spark.table_types import LocalTable


def sample_to_arrow(sample: LocalTable | None, request: Request) -> pa.Table | None:
    """Return a sample as a pyarrow Table, with the columns that a request reads.

    Raises:
        ContractError: It is no table of this process.
    """
    if sample is None:
        return None
    check_table(sample, "sample must be", local=True)
    return table_to_arrow(sample, request.paths)
