"""One call of `recommend`, as the steps that prepare it see it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from attrs import frozen

from tf2spark.graph_split.forms import SideName
from tf2spark.recommend.arguments import RecommendArguments
from tf2spark.recommend.model.pair_model import PairModel
from tf2spark.recommend.sides import Schemas, SidedInput
from tf2spark.recommend.tables import Tables


@frozen(eq=False)
class RecommendJob:
    """What all steps that prepare a call work on.

    Attributes:
        model: The model that scores pairs.
        inputs: Its inputs, without those that were compiled in, and what the sides feed to them.
        arguments: The arguments of the call.
        tables: Users and items.
        parent: The folder of the job, for its model and catalog.
    """

    model: PairModel
    inputs: tuple[SidedInput, ...]
    arguments: RecommendArguments
    tables: Tables
    parent: Path

    @property
    def schemas(self) -> Schemas:
        return self.tables.schemas

    def sample(self, side: SideName) -> pa.Table:
        """Return the first rows of a table, once they are read: most steps don't need them."""
        return self.tables.sample(side)
