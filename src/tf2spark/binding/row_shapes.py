"""Whether the values of columns can stand in the rows of a dense input."""

from __future__ import annotations

import math

import pyarrow as pa
from attrs import frozen

from tf2spark.binding.columns import is_list, tells_size
from tf2spark.binding.feeds import Assembled, Feed
from tf2spark.binding.messages import row_text, type_text
from tf2spark.errors import ContractError
from tf2spark.plan.score import Source

Dims = tuple[int | None, ...]


@frozen
class Fed:
    """A column or field that feeds an input.

    Attributes:
        source: Where its values lie.
        kind: Its type.
        path: The column's name, then those of the fields inside it.
    """

    source: Source
    kind: pa.DataType
    path: tuple[str, ...]

    def expression(self, *fields: str) -> str:
        """Return the PySpark that selects it, or a field of it: ``df["user.age"]``."""
        names = (*self.path, *fields)
        return 'df["' + ".".join(f"`{one}`" if "." in one else one for one in names) + '"]'

    @property
    def depth(self) -> int:
        """How many dimensions a row of it has."""
        if self.source.layout == "list":
            return self.source.depth
        if self.source.layout == "image":
            return 3
        return 0 if self.source.part == "size" else 1

    @property
    def dims(self) -> Dims:
        """The dimensions of its rows, as far as its type tells them."""
        sizes: list[int | None] = []
        kind = self.kind
        while self.source.layout == "list" and is_list(kind):
            sizes.append(kind.list_size if pa.types.is_fixed_size_list(kind) else None)
            kind = kind.value_type
        return tuple(sizes) + (None,) * (self.depth - len(sizes))

    @property
    def sizeless(self) -> bool:
        """Whether it is a whole sparse row that doesn't tell its width."""
        return self.source.part is None and not tells_size(self.source, self.kind)

    def __str__(self) -> str:
        source = self.source
        if source.layout == "list":
            return type_text(self.kind) + "".join(f" of {n}" for n in self.dims[:1] if n)
        kind = {"vector": "a vector", "map": "a map", "image": "an image"}.get(
            source.layout, "a struct of indices and values"
        )
        return f"the {source.part} of {kind}" if source.part else kind


def own_dims(fed: tuple[Fed, ...], *, single: bool) -> Dims:
    """Return the dimensions that the columns have themselves, for an input of unknown rank."""
    return (None,) * (fed[0].depth if single else max(1, *(one.depth for one in fed)))


def check_single(text: str, fed: Fed, dims: Dims) -> None:
    """Hold one column that is fed as it is against the dimensions of a row.

    Raises:
        ContractError: They can't be the same.
    """
    label = fed.source.label
    if fed.sizeless and None in dims:
        raise ContractError(
            f'{text}: "{label}" is {fed}, which doesn\'t tell its size, and neither does the '
            f'input: feed "{label}.indices" and "{label}.values" to two inputs, or a vector'
        )
    if fed.depth == len(dims):
        fits = all(
            want is None or got in (None, want) for want, got in zip(dims, fed.dims, strict=True)
        )
    elif fed.depth == 0:
        fits = all(size in (1, None) for size in dims)
    else:
        # A flat row of exactly as many values stands for one of several dimensions.
        fits = fed.depth == 1 and len(dims) > 1 and None not in dims
        fits = fits and fed.dims[0] in (None, _width(dims))
    if not fits:
        mend = _mend(fed, dims)
        raise ContractError(
            f'{text} takes {row_text(dims)}, column "{label}" is {fed}'
            + (f": {mend}" if mend else "")
        )


def _mend(fed: Fed, dims: Dims) -> str | None:
    column = fed.expression()
    if fed.source.layout == "vector":
        column = f"vector_to_array({column})"
    if fed.depth == 0 and len(dims) == 1:
        return 'name a column for each value, ["a", "b", ...], or one that holds lists'
    if len(dims) == 0 and fed.depth == 1 and fed.source.layout in ("list", "vector"):
        return f"one element is {column}[0]"
    if fed.source.layout == "list" and fed.depth == 2 and len(dims) == 1:
        return f"F.flatten({column}) is one list"
    return None


def check_side_by_side(text: str, feed: Feed, fed: tuple[Fed, ...], dims: Dims) -> None:
    """Hold columns that stand next to each other in a row against its dimensions.

    Raises:
        ContractError: They can't be joined, or can't be the row when they are.
    """
    _check_flat_target(text, feed, dims, nested=any(one.depth > 1 for one in fed))
    for one in fed:
        if one.sizeless:
            raise ContractError(
                f'{text}: "{one.source.label}" is {one}, which doesn\'t tell its size, so nothing '
                "can stand beside it: make it a vector"
            )
    if any(one.depth > 1 for one in fed):
        for one in fed:
            if one.depth != len(dims):
                raise ContractError(
                    f"{text} takes {row_text(dims)}, and columns side by side must be nested "
                    f'equally deep: "{one.source.label}" is {one}'
                )
        return
    width = sum_of(fed)
    if not isinstance(feed, Assembled) and width is not None and _width(dims) not in (None, width):
        raise ContractError(f"{text} takes {row_text(dims)}, {feed} give {width}")


def check_padded(text: str, feed: Feed, fed: tuple[Fed, ...], dims: Dims) -> None:
    """Hold rows of any length against the dimensions of a row that they are filled up to.

    Raises:
        ContractError: There is no one length to fill up to, or a column holds no flat rows.
    """
    _check_flat_target(text, feed, dims, nested=False)
    for one in fed:
        if one.depth > 1:
            raise ContractError(
                f'{text}: only flat lists can be padded, "{one.source.label}" is {one}'
            )
        if one.sizeless and (len(fed) > 1 or None in dims):
            raise ContractError(
                f'{text}: "{one.source.label}" is {one}, which doesn\'t tell its size: feed its '
                ".indices and .values to two inputs, or a vector"
            )


def _check_flat_target(text: str, feed: Feed, dims: Dims, *, nested: bool) -> None:
    if not dims:
        raise ContractError(f"{text} takes one value a row, {feed} gives several")
    if len(dims) > 1 and None in dims and not nested:
        raise ContractError(f"{text} takes {row_text(dims)}, {feed} gives flat lists")


def sum_of(fed: tuple[Fed, ...]) -> int | None:
    """Return how many values flat columns have side by side, None where a type doesn't tell."""
    widths = [1 if one.depth == 0 else one.dims[0] for one in fed]
    known = [width for width in widths if width is not None]
    return sum(known) if len(known) == len(widths) else None


def _width(dims: Dims) -> int | None:
    known = [size for size in dims if size is not None]
    return math.prod(known) if len(known) == len(dims) else None
