"""The columns of one input read as flat rows of its dtype: side by side, assembled or alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from attrs import evolve

from tf2spark.conversion.casts import converter
from tf2spark.conversion.nested_lists import nested_reader, wrong_length
from tf2spark.conversion.ragged import list_rows
from tf2spark.conversion.rows import (
    VIEW,
    Ints,
    Rows,
    check_bytes,
    join,
    refuse,
    refuse_values,
)
from tf2spark.conversion.sparse_rows import (
    Vectors,
    VectorsReader,
    assembled,
    densified,
    indices_of,
    refuse_twice,
    sizes_of,
    vectors_reader,
)
from tf2spark.plan.score import InputPlan, Source

RowsReader = Callable[[pa.RecordBatch], Rows]


def rows_reader(plan: InputPlan, limit_bytes: int | None) -> RowsReader:
    """Choose how all sources of an input are read as rows of its dtype.

    The function raises `RowsTooLarge` before it writes sparse rows out beyond the limit.
    """
    if plan.assembled:
        return _part_reader(vectors_of(plan), plan.sources[0], plan, limit_bytes)
    readers = [_source_reader(plan, source, limit_bytes) for source in plan.sources]
    if len(readers) == 1:
        return readers[0]
    return lambda batch: join([read(batch) for read in readers])


def vectors_of(plan: InputPlan) -> VectorsReader:
    """Choose how the sources are read as sparse rows; a list is the row's values in order."""
    readers = [_vectors_of_source(plan, source) for source in plan.sources]
    if not plan.assembled:
        return readers[0]
    return lambda batch: assembled([read(batch) for read in readers])


def _vectors_of_source(plan: InputPlan, source: Source) -> VectorsReader:
    if source.layout != "list" or not source.depth:
        # Of ids alone the values are never looked at, and they may be of any type.
        only_ids = (plan.part or source.part) in ("indices", "size")
        return vectors_reader(source, None if only_ids else plan.dtype)
    rows = list_rows(source, plan.dtype)

    def read(batch: pa.RecordBatch) -> Vectors:
        found = rows(batch)
        return Vectors(found.lengths, None, found.values, None, found.owner)

    return read


def _source_reader(plan: InputPlan, source: Source, limit_bytes: int | None) -> RowsReader:
    if source.layout == "list" and source.depth:
        return list_rows(source, plan.dtype)
    if source.layout == "list":
        scalar = nested_reader(source, plan.dtype, (), plan.name)

        def scalars(batch: pa.RecordBatch) -> Rows:
            values, _, owner = scalar(batch)
            return Rows(np.ones(batch.num_rows, np.int64), values, owner)

        return scalars
    return _part_reader(_vectors_of_source(plan, source), source, plan, limit_bytes)


def _part_reader(
    read: VectorsReader, source: Source, plan: InputPlan, limit_bytes: int | None
) -> RowsReader:
    """Choose how one half of sparse rows is read, or the whole written out in full."""
    label = ", ".join(each.label for each in plan.sources) if plan.assembled else source.label
    match plan.part or source.part:
        case "values":
            return lambda batch: _values(read(batch))
        case "indices":
            convert = converter(pa.int64(), plan.dtype, label)

            def indices(batch: pa.RecordBatch) -> Rows:
                found = read(batch)
                return Rows(found.lengths, convert(indices_of(found), found.lengths))

            return indices
        case "size":
            convert = converter(pa.int64(), plan.dtype, label)

            def sizes(batch: pa.RecordBatch) -> Rows:
                found = read(batch)
                whole = found.lengths if found.sizes is None else found.sizes
                ones = np.ones(len(whole), np.int64)
                return Rows(ones, convert(whole, ones))

            return sizes
        case _:
            return _full_reader(read, source, plan, limit_bytes)


def _values(found: Vectors) -> Rows:
    return Rows(found.lengths, found.values, found.owner)


def _full_reader(
    read: VectorsReader, source: Source, plan: InputPlan, limit_bytes: int | None
) -> RowsReader:
    want = product_of(plan.dims) if len(plan.sources) == 1 else None
    value_bytes = VIEW.itemsize if plan.dtype.numpy is None else plan.dtype.numpy.itemsize

    def full(batch: pa.RecordBatch) -> Rows:
        found = read(batch)
        if source.layout in ("pairs", "map"):
            refuse_twice(found, source.label)
        if want is not None and plan.form == "padded" and found.sizes is not None:
            refuse_too_long(found.sizes, want, plan)
        elif want is not None:
            refuse_wrong_size(found, want, plan)
        if found.sizes is None and want is not None:
            found = evolve(found, sizes=np.full(batch.num_rows, want, np.int64))
        check_bytes(int(sizes_of(found).sum()), value_bytes, batch.num_rows, limit_bytes)
        return densified(found)

    return full


def refuse_wrong_size(found: Vectors, want: int, plan: InputPlan) -> None:
    """Refuse the rows that are not `want` wide, or have an index that isn't below it."""
    if found.sizes is not None:
        refuse_wrong_lengths(found.sizes, want, plan)
    elif found.indices is None:
        refuse_too_long(found.lengths, want, plan)
    elif (ids := found.indices).max(initial=-1) >= want:
        refuse_values(
            ids >= want,
            found.lengths,
            lambda _, place: (
                f'{_have(plan)} the id {ids[place]}, input "{plan.name}" takes ids below {want}'
            ),
        )


def refuse_wrong_lengths(lengths: Ints, want: int, plan: InputPlan) -> None:
    """Refuse the rows that have not as many values as the input takes."""
    have, name = _have(plan), plan.name
    refuse(lengths != want, lambda row: wrong_length(have, int(lengths[row]), want, name))


def refuse_too_long(lengths: Ints, most: int, plan: InputPlan) -> None:
    """Refuse the rows that have more values than the input takes."""
    have, name = _have(plan), plan.name
    refuse(
        lengths > most,
        lambda row: f'{have} {lengths[row]} values, input "{name}" takes at most {most}',
    )


def product_of(dims: tuple[int | None, ...]) -> int | None:
    """Return how many values a row of these dimensions has, None where one is unknown."""
    known = [size for size in dims if size is not None]
    return math.prod(known) if len(known) == len(dims) else None


def columns_text(plan: InputPlan) -> str:
    """Name the columns of an input in a message: ``column "a"``, or ``columns "a", "b"``."""
    names = ", ".join(f'"{source.label}"' for source in plan.sources)
    return f"column {names}" if len(plan.sources) == 1 else f"columns {names}"


def _have(plan: InputPlan) -> str:
    text = columns_text(plan)
    return f"{text} has" if len(plan.sources) == 1 else f"{text} together have"
