"""Whether the values of columns fit the rows of a dense input."""

from __future__ import annotations

import math

import pyarrow as pa
from attrs import frozen

from tf2spark.binding.advice.expressions import (
    arrow_column,
    pandas_column,
    pyspark_column,
    quoted,
    sql_column,
    sql_name,
)
from tf2spark.binding.columns import has_size, is_list, type_of
from tf2spark.binding.feeds import Assembled, Feed
from tf2spark.binding.messages import row_text, type_text
from tf2spark.dtypes import Dims
from tf2spark.errors import Advice, ContractError
from tf2spark.plan.score import Source


@frozen
class FedColumn:
    """A column or field that feeds an input.

    Attributes:
        source: Where its values are.
        kind: Its type.
        path: The column's name, then the names of the fields inside it.
    """

    source: Source
    kind: pa.DataType
    path: tuple[str, ...]

    @property
    def depth(self) -> int:
        """How many dimensions a row has."""
        if self.source.layout == "list":
            return self.source.depth
        if self.source.layout == "image":
            return 3
        return 0 if self.source.part == "size" else 1

    @property
    def dims(self) -> Dims:
        """The dimensions of its rows, None where the type doesn't say."""
        sizes: list[int | None] = []
        kind = self.kind
        while self.source.layout == "list" and is_list(kind):
            sizes.append(kind.list_size if pa.types.is_fixed_size_list(kind) else None)
            kind = kind.value_type
        return tuple(sizes) + (None,) * (self.depth - len(sizes))

    @property
    def sizeless(self) -> bool:
        """Whether it is a whole sparse row without a width."""
        return self.source.part is None and not has_size(self.source, self.kind)

    def __str__(self) -> str:
        source = self.source
        if source.layout == "list":
            return type_text(self.kind) + "".join(f" of {n}" for n in self.dims[:1] if n)
        kind = {"vector": "a vector", "map": "a map", "image": "an image"}.get(
            source.layout, "a struct of indices and values"
        )
        return f"the {source.part} of {kind}" if source.part else kind


def fed_column(source: Source, schema: pa.Schema) -> FedColumn:
    """Return a column of a table that feeds an input."""
    path = (schema.field(source.column).name, *source.fields)
    return FedColumn(source, type_of(source, schema), path)


def own_dims(fed: tuple[FedColumn, ...], *, single: bool) -> Dims:
    """Return the dimensions of the columns themselves, for an input of unknown rank."""
    return (None,) * (fed[0].depth if single else max(1, *(column.depth for column in fed)))


def check_single(text: str, fed: FedColumn, dims: Dims) -> None:
    """Check one column that is fed unchanged against the dimensions of a row.

    Raises:
        ContractError: They can't be the same.
    """
    label = fed.source.label
    if fed.sizeless and None in dims:
        raise ContractError(
            f'{text}: "{label}" is {fed} without a size, and the input has no fixed size either',
            f'feed "{label}.indices" and "{label}.values" to two inputs, or feed a vector',
        )
    if fed.depth == len(dims):
        fits = all(
            size is None or got in (None, size) for size, got in zip(dims, fed.dims, strict=True)
        )
    elif fed.depth == 0:
        fits = all(size in (1, None) for size in dims)
    else:
        # A flat row with the right number of values is reshaped.
        fits = fed.depth == 1 and len(dims) > 1 and None not in dims
        fits = fits and fed.dims[0] in (None, _width(dims))
    if not fits:
        raise ContractError(
            f'{text} takes {row_text(dims)}, but column "{label}" is {fed}',
            reshape_advice(fed, dims),
        )


def new_name(fed: FedColumn) -> str:
    """Return the name for a changed column; a field inside a column becomes one of its own."""
    return "_".join(fed.path)


def set_column(
    fed: FedColumn,
    purpose: str,
    python: str | None,
    sql: str | None,
    pandas: str | None,
    arrow: str | None,
    *,
    otherwise: str,
) -> Advice:
    """Advise code that sets a column: ``cast them first: df["a"] = df["a"].astype("Int64")``.

    Args:
        fed: The column that is replaced, or the field that becomes a column.
        purpose: What the code does: ``cast them first``.
        python: The expression of each audience, or None where there is no short one.
        sql: For the command line, and for a query that calls a registered function.
        pandas: For pandas.
        arrow: For pyarrow.
        otherwise: What to write where there is no expression.
    """
    name = new_name(fed)
    call = "append_column(" if len(fed.path) > 1 else f"set_column({fed.source.column}, "
    return Advice(
        f"{purpose}: df = df.withColumn({quoted(name)}, {python})" if python else otherwise,
        f"{purpose}, in Spark SQL: {sql} AS {sql_name(name)}" if sql else otherwise,
        f"{purpose}: df[{quoted(name)}] = {pandas}" if pandas else otherwise,
        f"{purpose}: table = table.{call}{quoted(name)}, {arrow})" if arrow else otherwise,
        f"{purpose}: {sql}" if sql else otherwise,
    )


def reshape_advice(fed: FedColumn, dims: Dims) -> str | Advice | None:
    """Say how to give a column the dimensions of a row, if that is short to write."""
    if fed.depth == 0 and len(dims) == 1:
        python, options = (
            f"name a column for each value, {several}, or one column of lists"
            for several in ('["a", "b", ...]', "--feed INPUT=a,b,...")
        )
        return Advice(python, options, sql="pass array(a, b, ...)")
    feed = f', and feed "{new_name(fed)}"' if len(fed.path) > 1 else ""
    if len(dims) == 0 and fed.depth == 1 and fed.source.layout in ("list", "vector"):
        return _element_advice(fed) + feed
    if fed.source.layout == "list" and fed.depth == 2 and len(dims) == 1:
        flat = set_column(
            fed,
            "flatten them first",
            f"F.flatten({pyspark_column(fed.path)})",
            f"flatten({sql_column(fed.path)})",
            f'{pandas_column(fed.path)}.map(np.concatenate, na_action="ignore")',
            None,
            otherwise="flatten each row to one list",
        )
        return flat + feed
    return None


def _element_advice(fed: FedColumn) -> Advice:
    python, sql = f"{pyspark_column(fed.path)}[0]", f"{sql_column(fed.path)}[0]"
    pandas = f"{pandas_column(fed.path)}.str[0]"
    arrow = f"pc.list_element({arrow_column(fed.path)}, 0)"
    purpose = otherwise = "select one element first"
    if fed.source.layout == "vector":
        # Only PySpark has a function for MLlib's vectors.
        python = f"vector_to_array({pyspark_column(fed.path)})[0]"
        return set_column(fed, purpose, python, None, None, None, otherwise=otherwise)
    return set_column(fed, purpose, python, sql, pandas, arrow, otherwise=otherwise)


def check_concatenated(text: str, feed: Feed, fed: tuple[FedColumn, ...], dims: Dims) -> None:
    """Check columns that are concatenated against the dimensions of a row.

    Raises:
        ContractError: They can't be concatenated, or don't make such a row.
    """
    is_nested = any(column.depth > 1 for column in fed)
    _check_flat_target(text, feed, dims, nested=is_nested)
    for column in fed:
        if column.sizeless:
            raise ContractError(
                f'{text}: "{column.source.label}" is {column} without a size, so nothing can '
                "be concatenated with it",
                "make it a vector",
            )
    if is_nested:
        for column in fed:
            if column.depth != len(dims):
                raise ContractError(
                    f"{text} takes {row_text(dims)}, and concatenated columns must have the same "
                    f'number of dimensions, but "{column.source.label}" is {column}'
                )
        return
    width = total_width(fed)
    if not isinstance(feed, Assembled) and width is not None and _width(dims) not in (None, width):
        raise ContractError(f"{text} takes {row_text(dims)}, but {feed} give {width}")


def check_padded(text: str, feed: Feed, fed: tuple[FedColumn, ...], dims: Dims) -> None:
    """Check rows of any length against the dimensions of the row that they are padded to.

    Raises:
        ContractError: There is no single length to pad to, or a column has lists of another depth.
    """
    is_nested = any(column.depth > 1 for column in fed)
    _check_flat_target(text, feed, dims, nested=is_nested)
    for column in fed:
        label = column.source.label
        if column.source.layout == "image":
            raise ContractError(f'{text}: only lists can be padded, but "{label}" is {column}')
        if is_nested and column.depth != len(dims):
            raise ContractError(f'{text} takes {row_text(dims)}, but "{label}" is {column}')
        if column.sizeless and (len(fed) > 1 or None in dims):
            raise ContractError(
                f'{text}: "{label}" is {column} without a size',
                "feed its .indices and .values to two inputs, or feed a vector",
            )


def _check_flat_target(text: str, feed: Feed, dims: Dims, *, nested: bool) -> None:
    if not dims:
        raise ContractError(f"{text} takes one value per row, but {feed} gives several")
    if len(dims) > 1 and None in dims and not nested:
        raise ContractError(f"{text} takes {row_text(dims)}, but {feed} gives flat lists")


def total_width(fed: tuple[FedColumn, ...]) -> int | None:
    """Return how many values flat columns have together, None if a type doesn't say."""
    widths = [1 if column.depth == 0 else column.dims[0] for column in fed]
    known = [width for width in widths if width is not None]
    return sum(known) if len(known) == len(widths) else None


def _width(dims: Dims) -> int | None:
    known = [size for size in dims if size is not None]
    return math.prod(known) if len(known) == len(dims) else None
