"""How wide each side's share of an input is: from the contract, or else from sample rows."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.feeds import Constant, Padded, columns_of
from tf2spark.binding.inputs import plan_input
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import RowsRefused, RowsUneven
from tf2spark.dtypes import Dims
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import NotSplit, SideName
from tf2spark.recommend.sides import Schemas, SidedInput, SideFeed
from tf2spark.saved_model.contract import TensorSpec

_MAX_ROWS = 32
Sample = Callable[[SideName], pa.Table]
"""From a side to some rows of its table, which takes as long as reading them."""


@frozen
class SizedFeed:
    """What one side feeds to an input, as an input of its own whose row dimensions are known.

    Attributes:
        source: The side and its feed, with columns as the side's table names them.
        spec: The input; its shape has the dimensions of this side's rows.
        pinned: Rows outside the sample may have other dimensions; or rows may be shorter, and
            would be padded in the middle of the input's row.
        exact: Shorter rows are refused, not padded.
    """

    source: SideFeed
    spec: TensorSpec
    pinned: bool = False
    exact: bool = False

    @property
    def side(self) -> SideName:
        return self.source.side

    @property
    def dims(self) -> Dims:
        return (self.spec.shape or ())[1:]


def size_feeds(sided_input: SidedInput, schemas: Schemas, sample: Sample) -> tuple[SizedFeed, ...]:
    """Settle the dimensions of what each side feeds to an input.

    Raises:
        NotSplit: The sides can't feed the input separately.
        ContractError: The columns together don't make up what the input takes.
    """
    spec = sided_input.fed.spec
    if spec.kind != "dense" and len(sided_input.feeds) == 1:
        # Its rows are as long as they are.
        return (SizedFeed(sided_input.feeds[0], spec),)
    shape = _splittable_shape(sided_input)
    sizer = _Sizer(sided_input, shape, schemas, sample)
    if len(sided_input.feeds) == 1:
        return (sizer.size_by_rows(sided_input.feeds[0], shape[1:]),)
    if len(shape) < 2:
        raise ContractError(
            f'input "{sided_input.fed.spec.name}" takes one value per row, '
            f"but {sided_input.fed.feed} give several"
        )
    return sizer.size_side_by_side()


def _splittable_shape(sided_input: SidedInput) -> Dims:
    """Return the shape of an input, [None, ...], that the sides can feed separately."""
    spec = sided_input.fed.spec
    if sided_input.why_whole:
        raise NotSplit(sided_input.why_whole)
    if spec.kind != "dense":
        raise NotSplit(f'input "{spec.name}" is {spec.kind}, and both sides feed it')
    if spec.shape is None:
        raise NotSplit(f'the rank of input "{spec.name}" isn\'t known')
    if not spec.shape or spec.shape[0] is not None:
        raise NotSplit(f'input "{spec.name}" has a fixed batch size')
    return spec.shape


@frozen(eq=False)
class _Sizer:
    """Sizes the feeds of one input of this shape."""

    sided_input: SidedInput
    shape: Dims
    schemas: Schemas
    sample: Sample

    def size_by_rows(self, feed: SideFeed, dims: Dims) -> SizedFeed:
        """Size a feed whose dimensions may be unknown: the sample's rows determine those."""
        spec = self._spec(dims)
        if isinstance(feed.feed, Constant) or None not in dims:
            return SizedFeed(feed, spec)
        shapes = self._row_shapes(feed, spec)
        if not shapes:
            raise _no_width(spec, feed, "no row shows its width")
        # A dimension that varies stays unknown: whatever pairs need must not depend on it.
        sizes = [set(sizes) for sizes in zip(*shapes, strict=True)]
        known = tuple(min(of_axis) if len(of_axis) == 1 else None for of_axis in sizes)
        return SizedFeed(feed, self._spec(known), pinned=len(shapes) == 1)

    def size_side_by_side(self) -> tuple[SizedFeed, ...]:
        """Size the feeds that make up a row side by side."""
        feeds, (width, *rest) = self.sided_input.feeds, self.shape[1:]
        sized: dict[int, SizedFeed] = {}
        # The items' feeds come first, and the users' take what is left: the whole catalog is
        # checked before the job starts, and a user with another width can still be scored.
        order = sorted(range(len(feeds)), key=lambda index: feeds[index].side != "item")
        for index in order:
            if width is not None and len(sized) == len(feeds) - 1:
                sized[index] = self._size_last(feeds[index], list(sized.values()), width)
            else:
                sized[index] = self._size_part(feeds[index], (None, *rest))
        *inner, last = (sized[index] for index in range(len(feeds)))
        # `score` pads a short row at its end, which is the input's end only for the last feed.
        return (*map(_refuse_short_rows, inner), last)

    def _size_part(self, feed: SideFeed, dims: Dims) -> SizedFeed:
        """Size a feed beside others, whose width must be known."""
        sized = self.size_by_rows(feed, dims)
        if sized.dims[0] is None:
            raise _no_width(sized.spec, feed, "rows have different lengths")
        return sized

    def _size_last(self, feed: SideFeed, others: list[SizedFeed], width: int) -> SizedFeed:
        """Size the feed that takes what the others leave of the input's width."""
        rest = self.shape[2:]
        remaining = width - sum(other.dims[0] or 0 for other in others)
        shapes = self._row_shapes(feed, self._spec((None, *rest)))
        lengths = {shape[0] for shape in shapes}
        if _pads_short_rows(feed):
            fits = not lengths or min(lengths) <= remaining
        else:
            fits = not lengths or remaining in lengths
        if remaining < 1 or not fits:
            raise self._wrong_width(feed, others, sorted(lengths), width)
        return SizedFeed(feed, self._spec((remaining, *rest)))

    def _row_shapes(self, feed: SideFeed, spec: TensorSpec) -> set[tuple[int, ...]]:
        """Return the dimensions of the sample's rows, without those that can't be fed."""
        to_tensors = feeder(plan_input(spec, feed.feed, self.schemas[feed.side]), None)
        shapes = set()
        for batch in self.sample(feed.side).slice(0, _MAX_ROWS).to_batches():
            for row in range(batch.num_rows):
                try:
                    shapes.add(to_tensors(batch.slice(row, 1))[0].shape[1:])
                except (RowsRefused, RowsUneven):
                    continue
        return shapes

    def _wrong_width(
        self, feed: SideFeed, others: list[SizedFeed], lengths: list[int], width: int
    ) -> ContractError:
        given = [f"{other.source.feed} of {other.side}s has {other.dims[0]}" for other in others]
        given += [f"{feed.feed} of {feed.side}s has {length}" for length in lengths]
        return ContractError(
            f'input "{self.sided_input.fed.spec.name}" takes {width} values per row, but '
            f"{', '.join(given)}",
            "feed it the columns that make up a row",
        )

    def _spec(self, dims: Dims) -> TensorSpec:
        return evolve(self.sided_input.fed.spec, shape=(None, *dims))


def _no_width(spec: TensorSpec, feed: SideFeed, why: str) -> NotSplit:
    return NotSplit(f'input "{spec.name}", fed {feed.feed} of {feed.side}s: {why}')


def _refuse_short_rows(feed: SizedFeed) -> SizedFeed:
    return evolve(feed, pinned=True, exact=True) if _pads_short_rows(feed.source) else feed


def _pads_short_rows(source: SideFeed) -> bool:
    """Say whether short rows are padded: in padded feeds, ids and values of sparse vectors."""
    return isinstance(source.feed, Padded) or any(
        column.path.endswith((".indices", ".values")) for column in columns_of(source.feed)
    )
