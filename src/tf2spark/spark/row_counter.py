"""Count a table's rows while its job runs, without a second pass.

The counts are Spark's own observed metrics (`DataFrame.observe`), so that whoever listens to the
session's queries receives them too.
"""

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
    def of(
        cls, table: DataFrame, name: str, *, model: str, refused: str | None = None
    ) -> RowCounter:
        """Count the rows of a table, as the metrics ``rows``, ``refused`` and ``model``.

        Args:
            table: The table.
            name: The name of the observation.
            model: The digest of the model, which is passed on to listeners.
            refused: The column that has the reason why a row wasn't scored; None if all were.
        """
        without_result = F.lit(0) if refused is None else F.count(quoted_column(refused))
        observation = Observation(name)
        observed = table.observe(
            observation,
            F.count(F.lit(1)).alias("rows"),
            without_result.alias("refused"),
            F.lit(model).alias("model"),
        )
        return cls(observed, observation)

    def rows(self) -> int:
        """Return the number of rows; waits until the action has ended."""
        return int(self._observation.get["rows"])

    def refused(self) -> int:
        """Return the number of rows that weren't scored; waits as `rows` does."""
        return int(self._observation.get["refused"])
