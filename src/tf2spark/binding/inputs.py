"""How the columns that feed one input become its tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from tf2spark.binding.fits import cast_problem
from tf2spark.binding.messages import input_text, type_text
from tf2spark.binding.sources import resolve
from tf2spark.columns import Assembled, Column, Constant, Feed, Joined, Padded, columns_of
from tf2spark.contract import TensorSpec
from tf2spark.errors import ContractError
from tf2spark.plan import InputPlan, Source

Dims = tuple[int | None, ...]


def plan_input(spec: TensorSpec, feed: Feed, schema: pa.Schema) -> InputPlan:
    """Settle how `feed` becomes the tensors of one input.

    Raises:
        ContractError: Column and input don't fit; the message says what to write instead.
    """
    if isinstance(feed, Constant):
        return _constant(spec, feed)
    text = input_text(spec)
    if spec.shape == ():
        raise ContractError(
            f'{text} is one value for the whole batch and takes a constant, not column "{feed}": '
            f'feed={{"{spec.name}": 1.0}}'
        )
    sources = tuple(resolve(column, schema, text) for column in columns_of(feed))
    for source in sources:
        _refuse_type(spec, source, schema)
    inside, pad = (feed.column, feed.value) if isinstance(feed, Padded) else (feed, None)
    if isinstance(inside, Assembled):
        _refuse_unassemblable(text, sources, inside)
    if spec.kind == "sparse":
        return _sparse(spec, inside, sources)
    if spec.kind == "ragged":
        return _ragged(spec, inside, sources)
    return _dense(spec, inside, sources, padded=isinstance(feed, Padded), pad=pad)


def _refuse_type(spec: TensorSpec, source: Source, schema: pa.Schema) -> None:
    if pa.types.is_struct(source.leaf):
        got = type_text(source.leaf)
        raise ContractError(
            f'{input_text(spec)} can\'t take column "{source.label}": it is {got}; '
            f'name one of its fields: "{source.label}.{source.leaf.field(0).name}"'
        )
    if problem := cast_problem(source.leaf, spec.dtype, source.label):
        got = type_text(schema.field(source.column).type)
        raise ContractError(
            f'{input_text(spec)} can\'t take column "{source.label}" ({got}): {problem}'
        )


def _refuse_unassemblable(text: str, sources: tuple[Source, ...], feed: Assembled) -> None:
    for source in sources:
        scalar = source.layout == "list" and source.depth == 0
        if source.part or not (scalar or source.layout == "vector"):
            raise ContractError(
                f'{text}: {feed} takes vectors and numbers, "{source.label}" is neither'
            )


def _constant(spec: TensorSpec, feed: Constant) -> InputPlan:
    """A constant of the input's own shape is fed as it is; one of a row's shape for every row."""
    text = input_text(spec)
    if spec.kind != "dense":
        raise ContractError(f"{text} can't take a constant: feed a column")
    shape = _constant_shape(text, spec, feed.value)
    if spec.shape is None or _matches(shape, spec.shape):
        form = "constant"
    elif spec.shape[0] is None and (_matches(shape, spec.shape[1:]) or shape == ()):
        form = "broadcast"
    else:
        raise ContractError(f"{text} can't take {feed}: its shape is {list(shape)}")
    value = feed.value
    if form == "broadcast" and shape == () and len(spec.shape or ()) > 1:
        dims = (spec.shape or ())[1:]
        if any(size is None for size in dims):
            raise ContractError(f"{text} can't take {feed}: write nested lists of its shape")
        value = np.full([size or 0 for size in dims], value).tolist()
    return InputPlan(spec.name, spec.tensors, form, spec.dtype, value=value)  # type: ignore[arg-type]


def _constant_shape(text: str, spec: TensorSpec, value: Any) -> tuple[int, ...]:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ContractError(f"{text} can't take literal({value!r}): it isn't rectangular") from None
    fits = {
        "string": array.dtype.kind in "US",
        "bool": array.dtype.kind == "b",
    }.get(spec.dtype.name)
    if fits is None:
        fits = array.dtype.kind in ("iuf" if spec.dtype.is_floating else "iu")
        if fits and spec.dtype.is_integer and array.size and spec.dtype.numpy is not None:
            info = np.iinfo(spec.dtype.numpy)
            fits = bool(array.min() >= info.min and array.max() <= info.max)
    if not fits:
        raise ContractError(f"{text} can't take literal({value!r}): it is no {spec.dtype}")
    return array.shape


def _matches(shape: tuple[int, ...], want: Dims) -> bool:
    return len(shape) == len(want) and all(
        size in (None, got) for size, got in zip(want, shape, strict=True)
    )


def _sparse(spec: TensorSpec, feed: Feed, sources: tuple[Source, ...]) -> InputPlan:
    text = input_text(spec)
    if isinstance(feed, Joined):
        raise ContractError(f"{text} takes one column; assembled({', '.join(map(str, feed.columns))}"
                            ") joins vectors")  # fmt: skip
    if spec.shape is not None and len(spec.shape) != 2:
        raise ContractError(f"{text}: only sparse inputs of rank 2 (batch, size) can be fed")
    for source in sources:
        if source.part or source.layout == "image" or source.depth > 1 or _lone_scalar(feed, source):
            raise ContractError(
                f'{text} takes a vector, a map, a struct of indices and values or a list; '
                f'"{source.label}" is none of them'
            )
    dims = (None,) if spec.shape is None else spec.shape[1:]
    assembled = isinstance(feed, Assembled)
    return InputPlan(spec.name, spec.tensors, "sparse", spec.dtype, dims, sources, assembled)


def _lone_scalar(feed: Feed, source: Source) -> bool:
    return isinstance(feed, Column) and source.layout == "list" and source.depth == 0


def _ragged(spec: TensorSpec, feed: Feed, sources: tuple[Source, ...]) -> InputPlan:
    text, levels = input_text(spec), len(spec.tensors) - 1
    source = sources[0]
    depth = source.depth if source.layout == "list" else 0
    want = None if spec.shape is None else len(spec.shape) - 1
    if not isinstance(feed, Column) or source.part or depth < levels or want not in (None, depth):
        shape = "array<" * (want or levels) + "..." + ">" * (want or levels)
        raise ContractError(
            f'{text} takes one column of type {shape}, "{feed}" is {_layout_text(source)}'
        )
    dims: Dims = (None,) * depth if spec.shape is None else spec.shape[1:]
    return InputPlan(
        spec.name,
        spec.tensors,
        "ragged",
        spec.dtype,
        dims,
        sources,
        splits_dtype=spec.splits_dtype,
        ragged_levels=levels,
    )


def _dense(
    spec: TensorSpec, feed: Feed, sources: tuple[Source, ...], *, padded: bool, pad: Any
) -> InputPlan:
    text = input_text(spec)
    dims = _own_dims(feed, sources) if spec.shape is None else spec.shape[1:]
    part = feed.part if isinstance(feed, Assembled) else None
    parts = part in ("indices", "values") or any(s.part in ("indices", "values") for s in sources)
    if padded or parts:
        _check_paddable(text, feed, sources, dims)
        _check_pad(text, spec, pad)
        form = "padded"
    else:
        form = "dense"
        _check_dims(text, feed, sources, dims)
    return InputPlan(
        spec.name,
        spec.tensors,
        form,  # type: ignore[arg-type]
        spec.dtype,
        dims,
        sources,
        isinstance(feed, Assembled),
        part,
        pad,
    )


def _own_dims(feed: Feed, sources: tuple[Source, ...]) -> Dims:
    """Return the dimensions that the columns have themselves, for an input of unknown rank."""
    if not isinstance(feed, Column) or sources[0].layout not in ("list", "image"):
        return (None,)
    return (None,) * (3 if sources[0].layout == "image" else sources[0].depth)


def _check_paddable(text: str, feed: Feed, sources: tuple[Source, ...], dims: Dims) -> None:
    unknown = sum(size is None for size in dims)
    if not dims or unknown > 1 or (unknown and math.prod(d or 1 for d in dims) != 1):
        raise ContractError(f"{text} takes no list of ids or values: {feed} is one")
    for source in sources:
        if source.layout == "image" or source.depth > 1:
            raise ContractError(f'{text}: "{source.label}" is {_layout_text(source)}, padding takes '
                                "lists of one level")  # fmt: skip


def _check_pad(text: str, spec: TensorSpec, pad: Any) -> None:
    if pad is not None:
        try:
            _constant_shape(text, spec, pad)
        except ContractError:
            raise ContractError(f"{text} can't be padded with {pad!r}: not {spec.dtype}") from None


def _check_dims(text: str, feed: Feed, sources: tuple[Source, ...], dims: Dims) -> None:
    if isinstance(feed, Column):
        _check_one(text, sources[0], dims)
        return
    if not dims:
        raise ContractError(f"{text} takes one value a row, {feed} gives several")
    for source in sources:
        flat = source.layout != "image" and source.depth <= 1
        if source.layout in ("map", "pairs") and not source.part:
            raise ContractError(f'{text}: "{source.label}" doesn\'t tell its size, so nothing can '
                                "stand beside it")  # fmt: skip
        if not flat and source.depth != len(dims):
            raise ContractError(f'{text}: "{source.label}" is {_layout_text(source)}')


def _check_one(text: str, source: Source, dims: Dims) -> None:
    depth = {"list": source.depth, "image": 3}.get(source.layout, 1)
    if source.part == "size":
        depth = 0
    if source.layout in ("map", "pairs") and source.part is None and None in dims:
        raise ContractError(
            f'{text}: "{source.label}" doesn\'t tell its size, and neither does the input: '
            f'feed "{source.label}.indices" and "{source.label}.values" to two inputs, or a vector'
        )
    scalar_fits = depth == 0 and all(size in (1, None) for size in dims)
    flat_fits = depth == 1 and len(dims) > 1 and None not in dims
    if depth != len(dims) and not (scalar_fits or flat_fits):
        values = {0: "one value", 1: "a list"}.get(len(dims), f"lists nested {len(dims)} deep")
        mend = ""
        if depth > len(dims) == 0:
            mend = f'; an element alone: df["{source.label}"][0]'
        raise ContractError(
            f'{text} takes {values} a row, column "{source.label}" is {_layout_text(source)}{mend}'
        )


def _layout_text(source: Source) -> str:
    if source.layout == "vector":
        return "a vector" if source.part is None else f"the {source.part} of a vector"
    if source.layout != "list":
        return {"pairs": "a struct of indices and values", "map": "a map"}.get(
            source.layout, "an image"
        )
    kind = type_text(source.leaf)
    return "array<" * source.depth + kind + ">" * source.depth


