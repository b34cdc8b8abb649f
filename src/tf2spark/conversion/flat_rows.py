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
    assemble,
    densify,
    indices_of,
    refuse_duplicates,
    sizes_of,
    vectors_reader,
)
from tf2spark.plan.score import InputPlan, Source
from tf2spark.tensorflow_c.strings import VIEW

RowsReader = Callable[[pa.RecordBatch], Rows]


def rows_reader(plan: InputPlan, limit_bytes: int | None) -> RowsReader:
    """Choose how all sources of an input are read as rows of its dtype.

    The function raises `RowsTooLarge` before it densifies sparse rows beyond the limit.
    """
    if plan.assembled:
        return _part_reader(vectors_of(plan), plan.sources[0], plan, limit_bytes)
    readers = [_source_reader(plan, source, limit_bytes) for source in plan.sources]
    if len(readers) == 1:
        return readers[0]
    return lambda batch: join([read(batch) for read in readers])


def vectors_of(plan: InputPlan, *, skip_nulls: bool = False) -> VectorsReader:
    """Choose how the sources are read as sparse rows; a list is a dense row.

    With `skip_nulls`, a null among a row's values is left out; otherwise its row is refused.
    """
    readers = [
        # If only the ids are fed, the values may be of any type: they are never read.
        vectors_reader(
            source,
            None if (plan.part or source.part) in ("indices", "size") else plan.dtype,
            skip_nulls=skip_nulls,
        )
        for source in plan.sources
    ]
    if not plan.assembled:
        return readers[0]
    return lambda batch: assemble([read(batch) for read in readers])


def _source_reader(plan: InputPlan, source: Source, limit_bytes: int | None) -> RowsReader:
    if source.layout == "list" and source.depth:
        return list_rows(source, plan.dtype)
    if source.layout == "list":
        scalar = nested_reader(source, plan.dtype, (), plan.name)

        def scalars(batch: pa.RecordBatch) -> Rows:
            values, _, owner = scalar(batch)
            return Rows(np.ones(batch.num_rows, np.int64), values, owner)

        return scalars
    return _part_reader(vectors_of(evolve(plan, sources=(source,))), source, plan, limit_bytes)


def _part_reader(
    read: VectorsReader, source: Source, plan: InputPlan, limit_bytes: int | None
) -> RowsReader:
    """Choose how one half of sparse rows is read, or how the whole is densified."""
    label = ", ".join(part.label for part in plan.sources) if plan.assembled else source.label
    match plan.part or source.part:
        case "values":
            return lambda batch: _values(read(batch))
        case "indices":
            convert = converter(pa.int64(), plan.dtype, label)

            def indices(batch: pa.RecordBatch) -> Rows:
                vectors = read(batch)
                return Rows(vectors.lengths, convert(indices_of(vectors), vectors.lengths))

            return indices
        case "size":
            convert = converter(pa.int64(), plan.dtype, label)

            def sizes(batch: pa.RecordBatch) -> Rows:
                vectors = read(batch)
                widths = vectors.lengths if vectors.sizes is None else vectors.sizes
                ones = np.ones(len(widths), np.int64)
                return Rows(ones, convert(widths, ones))

            return sizes
        case _:
            return _dense_reader(read, source, plan, limit_bytes)


def _values(vectors: Vectors) -> Rows:
    return Rows(vectors.lengths, vectors.values, vectors.owner)


def _dense_reader(
    read: VectorsReader, source: Source, plan: InputPlan, limit_bytes: int | None
) -> RowsReader:
    expected = product_of(plan.dims) if len(plan.sources) == 1 else None
    value_bytes = VIEW.itemsize if plan.dtype.numpy is None else plan.dtype.numpy.itemsize

    def read_dense(batch: pa.RecordBatch) -> Rows:
        vectors = read(batch)
        if source.layout in ("pairs", "map"):
            refuse_duplicates(vectors, source.label)
        if expected is not None and plan.form == "padded" and vectors.sizes is not None:
            refuse_too_long(vectors.sizes, expected, plan)
        elif expected is not None:
            refuse_wrong_size(vectors, expected, plan)
        # Maps and pairs have no size of their own: they take the input's.
        if vectors.sizes is None and expected is not None:
            vectors = evolve(vectors, sizes=np.full(batch.num_rows, expected, np.int64))
        # Before memory is allocated: a few sparse rows can be gigabytes when densified.
        check_bytes(int(sizes_of(vectors).sum()), value_bytes, batch.num_rows, limit_bytes)
        return densify(vectors)

    return read_dense


def refuse_wrong_size(vectors: Vectors, expected: int, plan: InputPlan) -> None:
    """Refuse rows of another size than `expected`, and rows without a size with an id beyond it."""
    if vectors.sizes is not None:
        refuse_wrong_lengths(vectors.sizes, expected, plan)
    elif vectors.indices is None:
        refuse_too_long(vectors.lengths, expected, plan)
    elif (ids := vectors.indices).max(initial=-1) >= expected:
        refuse_values(
            ids >= expected,
            vectors.lengths,
            lambda _, position: (
                f"{_columns_have(plan)} the id {ids[position]}, "
                f'but input "{plan.name}" takes ids below {expected}'
            ),
        )


def refuse_wrong_lengths(lengths: Ints, expected: int, plan: InputPlan) -> None:
    """Refuse the rows that don't have as many values as the input takes."""
    subject, name = _columns_have(plan), plan.name
    refuse(
        lengths != expected,
        lambda row: wrong_length(subject, int(lengths[row]), expected, name),
    )


def refuse_too_long(lengths: Ints, max_length: int, plan: InputPlan) -> None:
    """Refuse the rows that have more values than the input takes."""
    subject, name = _columns_have(plan), plan.name
    refuse(
        lengths > max_length,
        lambda row: (
            f'{subject} {lengths[row]} values, but input "{name}" takes at most {max_length}'
        ),
    )


def product_of(dims: tuple[int | None, ...]) -> int | None:
    """Return how many values a row of these dimensions has; None if a dimension is unknown."""
    known = [size for size in dims if size is not None]
    return math.prod(known) if len(known) == len(dims) else None


def columns_text(plan: InputPlan) -> str:
    """Name the columns of an input in a message: ``column "a"``, or ``columns "a", "b"``."""
    names = ", ".join(f'"{source.label}"' for source in plan.sources)
    return f"column {names}" if len(plan.sources) == 1 else f"columns {names}"


def _columns_have(plan: InputPlan) -> str:
    """Begin a message: ``column "a" has``, or ``columns "a", "b" together have``."""
    text = columns_text(plan)
    return f"{text} has" if len(plan.sources) == 1 else f"{text} together have"
