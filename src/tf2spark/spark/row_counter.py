"""Count a table's rows while its job runs, without a second pass."""

from __future__ import annotations

from attrs import frozen
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from tf2spark.spark.score import column as quoted_column


@frozen
class RowCounter:
    """A table whose rows are counted during its one action.

    Attributes:
        table: The table to use in place of the counted one.
    """

    table: DataFrame
    _observation: Observation

    @classmethod
    def of(cls, table: DataFrame, column: str | None = None) -> RowCounter:
        """Count the rows of `table`, and those where `column` is not null."""
        counts = [F.count(F.lit(1)).alias("rows")]
        if column is not None:
            counts.append(F.count(quoted_column(column)).alias("not_null"))
        observation = Observation()
        return cls(table.observe(observation, *counts), observation)

    def rows(self) -> int:
        """Return the number of rows; waits until the action has ended."""
        return int(self._observation.get["rows"])

    def not_null(self) -> int:
        """Return the number of rows where the column is not null; waits as `rows` does."""
        return int(self._observation.get["not_null"])
