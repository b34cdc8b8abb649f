"""How wide each side's part of an input is: from the contract, the tables' types, or their rows."""

from __future__ import annotations

import pyarrow as pa
from attrs import evolve, frozen

from tf2spark.binding.feeds import Constant, Padded, columns_of
from tf2spark.binding.inputs import plan_input
from tf2spark.conversion.from_arrow import feeder
from tf2spark.conversion.rows import RowsRefused, RowsUneven
from tf2spark.errors import ContractError
from tf2spark.graph_split.forms import Dims, NotSplit, SideName
from tf2spark.recommend.sides import Part, Schemas, SidedInput
from tf2spark.saved_model.contract import TensorSpec

_LOOKED_AT = 32
Samples = dict[SideName, pa.Table]


@frozen
class SizedPart:
    """A part and the input that it is by itself: its spec has the dimensions of its rows.

    Attributes:
        pinned: Rows may come with other sizes: only the first ones told them, or shorter ones would
            be filled up in the middle of the input's row.
        exact: Shorter rows are refused, not filled up.
    """

    part: Part
    spec: TensorSpec
    pinned: bool = False
    exact: bool = False

    @property
    def dims(self) -> Dims:
        assert self.spec.shape is not None
        return self.spec.shape[1:]


def sized(one: SidedInput, schemas: Schemas, samples: Samples) -> tuple[SizedPart, ...]:
    """Settle the dimensions of every part of an input.

    Raises:
        NotSplit: The input can't be fed by parts.
        ContractError: The parts together aren't what the input takes.
    """
    spec = one.fed.spec
    if one.why_whole:
        raise NotSplit(one.why_whole)
    if spec.kind != "dense":
        raise NotSplit(f'input "{spec.name}" is {spec.kind}')
    if spec.shape is None:
        raise NotSplit(f'the rank of input "{spec.name}" isn\'t known')
    if not spec.shape or spec.shape[0] is not None:
        raise NotSplit(f'input "{spec.name}" has a batch of fixed size')
    if len(one.parts) == 1:
        return (_pinned(one.parts[0], spec, spec.shape[1:], schemas, samples),)
    if len(spec.shape) < 2:
        raise ContractError(
            f'input "{spec.name}" takes one value a row, {one.fed.feed} give several'
        )
    return _side_by_side(one, spec, schemas, samples)


def _side_by_side(
    one: SidedInput, spec: TensorSpec, schemas: Schemas, samples: Samples
) -> tuple[SizedPart, ...]:
    assert spec.shape is not None
    whole, rest = spec.shape[1], spec.shape[2:]
    found: dict[int, SizedPart] = {}
    # Items first: what is left is the users'. Each row is held against it when it is fed.
    order = sorted(range(len(one.parts)), key=lambda place: one.parts[place].side != "item")
    for place in order:
        part, width = one.parts[place], None
        if whole is not None and len(found) == len(one.parts) - 1:
            width = whole - sum(each.dims[0] or 0 for each in found.values())
        own = evolve(spec, shape=(None, None, *rest))
        if width is None:
            found[place] = _pinned(part, spec, (None, *rest), schemas, samples)
            continue
        shapes = _shapes(part, own, schemas, samples)
        lengths = {shape[0] for shape in shapes}
        wrong = min(lengths) > width if _fills_up(part) and lengths else width not in lengths
        if width < 1 or (lengths and wrong):
            raise _wrong_width(one, whole, found, place, shapes)
        found[place] = SizedPart(part, evolve(spec, shape=(None, width, *rest)))
    parts = [found[place] for place in range(len(one.parts))]
    # Filled up at its end, a row is what it is in `score` only where its end is the input's.
    return (*(_as_it_is(part) for part in parts[:-1]), parts[-1])


def _as_it_is(part: SizedPart) -> SizedPart:
    return evolve(part, pinned=True, exact=True) if _fills_up(part.part) else part


def _fills_up(part: Part) -> bool:
    """Say whether shorter rows are filled up: padded ones, ids and values of sparse vectors."""
    return isinstance(part.feed, Padded) or any(
        column.path.endswith((".indices", ".values")) for column in columns_of(part.feed)
    )


def _wrong_width(
    one: SidedInput,
    whole: int | None,
    found: dict[int, SizedPart],
    place: int,
    shapes: set[tuple[int, ...]],
) -> ContractError:
    given = [f"{each.part.feed} of {each.part.side}s {each.dims[0]}" for each in found.values()]
    last = one.parts[place]
    given += [f"{last.feed} of {last.side}s {shape[0]}" for shape in sorted(shapes)]
    return ContractError(
        f'input "{one.fed.spec.name}" takes {whole} values a row, and {" and ".join(given)} are '
        "given: feed it the columns that make up a row"
    )


def _pinned(
    part: Part, spec: TensorSpec, dims: Dims, schemas: Schemas, samples: Samples
) -> SizedPart:
    """Give a part a spec of its own, with sizes that only the rows tell."""
    own = evolve(spec, shape=(None, *dims))
    if isinstance(part.feed, Constant) or None not in dims:
        return SizedPart(part, own)
    shapes = _shapes(part, own, schemas, samples)
    if len(shapes) != 1:
        why = "rows have different lengths" if shapes else "no row tells its width"
        raise NotSplit(f'input "{spec.name}", fed {part.feed} of {part.side}s: {why}')
    return SizedPart(part, evolve(own, shape=(None, *shapes.pop())), pinned=True)


def _shapes(
    part: Part, own: TensorSpec, schemas: Schemas, samples: Samples
) -> set[tuple[int, ...]]:
    """Return the shapes of the sample's rows, those that can't be fed left out."""
    plan = plan_input(own, part.feed, schemas[part.side])
    feed, shapes = feeder(plan, None), set()
    batches = samples[part.side].slice(0, _LOOKED_AT).combine_chunks().to_batches()
    for row in range(batches[0].num_rows if batches else 0):
        try:
            shapes.add(feed(batches[0].slice(row, 1))[0].shape[1:])
        except (RowsRefused, RowsUneven):
            continue
    return shapes
