"""What a worker needs to score users against items: frozen values, all decided on the driver."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from tf2spark.plan.score import InputPlan, OutputPlan, Plan, RowRelation, renumber

RECOMMENDATIONS = "recommendations"
"""The column of the result."""
SCORE_FIELD = "score"
"""What is beside an item's id in it."""
IDS_FILE = "catalog/ids.arrow"
"""The item ids in ascending order, in the model's folder. An item's position is its index here."""
ITEMS_FILE = "catalog/items.arrow"
"""The columns of items that the whole graph is fed, by position."""
POSITIONS_FILE = "catalog/positions.bin"
"""The positions of the items in the order in which `SplitPlan.by_norm` keeps them: int64."""
NORMS_FILE = "catalog/norms.bin"
"""The norms of their vectors, descending: float64; infinite where one isn't finite."""
WHOLE_FOLDER = "whole"
"""The whole graph, in the folder of a split one."""


@frozen
class ItemTensor:
    """A value of every item, computed once: mapped from a file and fed block by block.

    Attributes:
        placeholder: The tensor of the pair graph that it is fed to.
        path: Its file in the model's folder: raw, little-endian, in C order, by position.
        code: The dtype's number in ``types.proto``.
        shape: [items, ...].
    """

    placeholder: str
    path: str
    code: int
    shape: tuple[int, ...]


@frozen
class Restriction:
    """A column of users with lists of item ids: never to return, or the only ones to return.

    Attributes:
        label: Its name, for messages.
        column: Its index in the batch.
    """

    label: str
    column: int


@frozen
class CoarseScan:
    """Tensors for inner products: of all pairs in bfloat16, and of few pairs in float32.

    Attributes:
        users: The placeholder of users' vectors, bfloat16 [users, width].
        items: The placeholder of items' vectors, bfloat16 [items, width].
        scores: Their products, bfloat16 [users, items].
        candidates: The placeholder of positions of items, int32 [users, candidates].
        rescored: The products of users with these items, float32 [users, candidates, 1]; fed with
            the vectors of all items (`ItemTensor.placeholder`) and those of the users.
    """

    users: str
    items: str
    scores: str
    candidates: str
    rescored: str


@frozen
class SplitPlan:
    """How scores are computed by a split graph.

    Attributes:
        user_tensors: The tensors that are computed once per user.
        placeholders: The tensors of the pair graph that they are fed to, in the same order.
        items: The values of items.
        users_size: The scalar that is fed the number of users in a block.
        items_size: The scalar that is fed the number of items in a block.
        score: The tensor of scores, [users, items].
        item_count: The number of items.
        block_users: The most users in a block.
        block_items: The most items in a block.
        by_norm: Whether the score is the inner product of the only tensor of users and the only
            one of items, and items are kept in descending order of their norms
            (`POSITIONS_FILE`, `NORMS_FILE`) and not by position, so that those are skipped whose
            norm is too small for any user's best k.
        user_rows: Whether the users' values depend on the other users of a run. If so ("batch"),
            each user runs alone; if that isn't known, workers keep checking.
        coarse: How pairs may be scanned in bfloat16, where the score is an inner product; None
            where it isn't, or where a scan wouldn't pay on any processor.
    """

    user_tensors: tuple[str, ...]
    placeholders: tuple[str, ...]
    items: tuple[ItemTensor, ...]
    users_size: str
    items_size: str
    score: str
    item_count: int
    block_users: int
    block_items: int
    by_norm: bool = False
    user_rows: RowRelation = "independent"
    coarse: CoarseScan | None = None


@frozen
class WholePlan:
    """How scores are computed by the whole graph, one user at a time.

    Attributes:
        inputs: How a batch of pairs becomes feeds: the users' columns come first, then the items'.
        user_columns: The indices of the users' columns that go into a batch of pairs.
        user_names: Their names there.
        output: The scores, one row per pair, as a column.
        column: Which entry of a row is the score; None where a row has only one value.
        fixed_rows: Every run has exactly this many pairs; None where runs vary.
        items_per_run: The most items in a run: all of them, unless the graph is known to treat
            rows independently.
    """

    inputs: tuple[InputPlan, ...]
    user_columns: tuple[int, ...]
    user_names: tuple[str, ...]
    output: OutputPlan
    column: int | None
    fixed_rows: int | None
    items_per_run: int


Strategy = SplitPlan | WholePlan


@frozen
class CatalogPlan:
    """One `recommend` job.

    Attributes:
        users: The users' part: model, inputs, kept columns, mode, and the recommendations as the
            one output.
        strategy: How scores are computed.
        k: How many items a user gets at most.
        items: The number of items.
        score_code: The dtype of scores, float32 or float64, by its number in ``types.proto``.
        exclude: Which items a user never gets; None for no such lists.
        candidates: Which items are the only ones that a user may get; None for no such lists.
        fallback: How users are scored whose rows the split graph can't be fed, because they differ
            in size from those that it was split for; None where the model fixes the sizes.
    """

    users: Plan
    strategy: Strategy
    k: int
    items: int
    score_code: int
    exclude: Restriction | None = None
    candidates: Restriction | None = None
    fallback: WholePlan | None = None

    @property
    def item_id(self) -> str:
        """The name of the items' id column."""
        return str(self.users.outputs[0].arrow.value_type.field(0).name)


def renumber_users(plan: CatalogPlan, columns: Sequence[int]) -> CatalogPlan:
    """Return the plan for batches that have just these columns of the users, in this order."""
    index_of = {column: index for index, column in enumerate(columns)}

    def renumber_list(lists: Restriction | None) -> Restriction | None:
        return None if lists is None else evolve(lists, column=index_of[lists.column])

    def renumber_whole(whole: WholePlan) -> WholePlan:
        user_columns = tuple(index_of[column] for column in whole.user_columns)
        return evolve(whole, user_columns=user_columns)

    strategy, fallback = plan.strategy, plan.fallback
    return evolve(
        plan,
        users=renumber(plan.users, columns),
        strategy=renumber_whole(strategy) if isinstance(strategy, WholePlan) else strategy,
        exclude=renumber_list(plan.exclude),
        candidates=renumber_list(plan.candidates),
        fallback=None if fallback is None else renumber_whole(fallback),
    )
