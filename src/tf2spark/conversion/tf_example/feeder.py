"""Inputs of serialized ``tf.Example`` or ``tf.SequenceExample`` messages, packed from columns.

A row that is null has no such feature, and neither has a lone NaN: pandas has no other float for a
missing value. An empty list is a feature without values.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.arrow_buffers import bool_array, without_offset
from tf2spark.conversion.casts import converter
from tf2spark.conversion.flat_rows import rows_reader
from tf2spark.conversion.nullable import alone, present_rows
from tf2spark.conversion.rows import (
    Array,
    Feeder,
    Ints,
    Mask,
    check_bytes,
    child_of,
    column_of,
    nulls_of,
    numbers_or_views,
    refuse,
    refuse_null_values,
    refused_as,
    row_ids_of,
    splits_of,
    tensor,
)
from tf2spark.conversion.tf_example.wire_format import (
    ABSENT,
    FIRST,
    SECOND,
    Pieces,
    feature_prefix,
    field,
    inside,
    joined,
    list_contents,
    map_entry,
    nothing,
    prefixes,
    slices,
)
from tf2spark.dtypes import STRING, shape_text
from tf2spark.plan.score import Feature, InputPlan, Source
from tf2spark.tensorflow_c.tensor import Tensor


@frozen(eq=False)
class _Values:
    """The values of rows: row i has ``lengths[i]`` elements, or lists of elements.

    Attributes:
        levels: The lengths of the lists of each level, from the outermost on.
        counts: How many values each row has.
        values: The values: NumPy's, or for strings Arrow's large binary.
    """

    levels: list[Ints]
    counts: Ints
    values: Array | pa.Array


_Read = Callable[[pa.RecordBatch], tuple[_Values, Mask]]
_Entries = Callable[[pa.RecordBatch], list[Pieces]]


def example_feeder(plan: InputPlan, limit_bytes: int | None) -> Feeder:
    """Choose how the columns of a row become one serialized message."""
    pack = example_packer(plan, limit_bytes)

    def feed(batch: pa.RecordBatch) -> tuple[Tensor, ...]:
        views, owner = numbers_or_views(pack(batch))
        shape = (batch.num_rows, *(1 for _ in plan.dims))
        return (tensor(STRING, views, shape, owner),)

    return feed


def example_packer(
    plan: InputPlan, limit_bytes: int | None = None
) -> Callable[[pa.RecordBatch], pa.Array]:
    """Return the function from a batch to the messages of its rows, as large binary."""
    pairs = list(zip(plan.sources, plan.features, strict=True))
    context = [_entry_writer(*pair, plan.name) for pair in pairs if not pair[1].is_list]
    lists = [_entry_writer(*pair, plan.name) for pair in pairs if pair[1].is_list]

    def pack(batch: pa.RecordBatch) -> pa.Array:
        rows = batch.num_rows
        pieces = _message(FIRST, [write(batch) for write in context], rows)
        if lists:
            pieces += _message(SECOND, [write(batch) for write in lists], rows)
        total_bytes = sum(int(piece.lengths.sum()) for piece in pieces)
        check_bytes(total_bytes, 1, rows, limit_bytes)
        return joined(pieces, rows)

    return pack


def _message(tag: int, entries: list[list[Pieces]], rows: int) -> list[Pieces]:
    """Return the pieces of a field whose message is a map with these entries."""
    pieces = [piece for entry in entries for piece in entry]
    lengths = sum((piece.lengths for piece in pieces), np.zeros(rows, np.int64))
    return [prefixes(lengths, lambda length: field(tag, length)), *pieces]


def _entry_writer(source: Source, feature: Feature, name: str) -> _Entries:
    """Choose how a column becomes the entries of a map: the key and the feature of each row."""
    read = _reader(source, feature, name)
    of_values = feature_prefix(feature.dtype)
    of_row = inside(map_entry(feature.key), nothing if feature.is_list else of_values)
    of_step = inside(lambda length: field(FIRST, length), of_values)

    def write(batch: pa.RecordBatch) -> list[Pieces]:
        values, present = read(batch)
        if feature.is_list:
            contents = _steps(values, feature, of_step)
        else:
            contents = list_contents(feature.dtype, values.counts, values.values)
        lengths = contents.lengths
        if not present.all():
            contents = _spread(contents, present)
            lengths = np.where(present, contents.lengths, ABSENT)
        return [prefixes(lengths, of_row), contents]

    return write


def _steps(values: _Values, feature: Feature, prefix: Callable[[int], bytes]) -> Pieces:
    """Return the steps of each row, one ``Feature`` after the other."""
    steps = values.levels[0]
    ends = splits_of(steps)
    # Where the values of each step end: all the lists below the steps are flat.
    inner = np.arange(ends[-1] + 1)
    for lengths in values.levels[1:]:
        inner = splits_of(lengths)[inner]
    contents = list_contents(feature.dtype, np.diff(inner), values.values)
    features = joined([prefixes(contents.lengths, prefix), contents], int(ends[-1]))
    offsets = np.frombuffer(features.buffers()[1], np.int64, len(features) + 1)
    return slices(features, offsets[ends])


def _spread(contents: Pieces, present: Mask) -> Pieces:
    """Return contents for all rows of a batch, without bytes where no value is present."""
    lengths = np.zeros(len(present), np.int64)
    lengths[present] = contents.lengths
    array = contents.values
    first = np.frombuffer(array.buffers()[1], np.int64, 1)[0]
    return slices(array, splits_of(lengths) + first)


def _reader(source: Source, feature: Feature, name: str) -> _Read:
    """Choose how the rows of a column that have a value are read."""
    take_present = present_rows(source)
    read = _lists_reader if source.layout == "list" else _vector_reader
    read_values = read(alone(source), feature, name)
    label = f'column "{source.label}"'
    check = _shape_check(feature, source.depth if source.layout == "list" else 1, label, name)
    what = "null or NaN" if pa.types.is_floating(source.leaf) and not source.depth else "null"
    reason = f'{label} is {what}, but feature "{feature.key}" of input "{name}" has no default'

    def read_present(batch: pa.RecordBatch) -> tuple[_Values, Mask]:
        column, present = take_present(batch)
        if feature.required:
            refuse(~present, reason)
        with refused_as(np.flatnonzero(present)):
            values = read_values(column)
            check(values)
        return values, present

    return read_present


def _vector_reader(
    source: Source, feature: Feature, name: str
) -> Callable[[pa.RecordBatch], _Values]:
    """Choose how vectors, or the indices or values of sparse rows, are read."""
    dims = feature.dims if feature.dims is not None else (None,)
    plan = InputPlan(name, (), "dense", feature.dtype, dims, (source,))
    read = rows_reader(plan, None)

    def read_rows(batch: pa.RecordBatch) -> _Values:
        rows = read(batch)
        return _Values([rows.lengths], rows.lengths, rows.values)

    return read_rows


def _lists_reader(
    source: Source, feature: Feature, name: str
) -> Callable[[pa.RecordBatch], _Values]:
    """Choose how single values and lists of any depth are read."""
    take, label = column_of(source), source.label
    convert = converter(source.leaf, feature.dtype, label)

    def read_lists(batch: pa.RecordBatch) -> _Values:
        array, levels, ends = take(batch), list[Ints](), np.arange(batch.num_rows + 1)
        for level in range(source.depth):
            lengths, array = child_of(array)
            if array.null_count:
                nulls = nulls_of(array)
                if not feature.skip_nulls or level + 1 < source.depth:
                    refuse_null_values(nulls, np.diff(splits_of(lengths)[ends]), label)
                lengths = np.bincount(row_ids_of(lengths)[~nulls], minlength=len(lengths))
                array = without_offset(array).filter(bool_array(~nulls))
            levels.append(lengths)
            ends = splits_of(lengths)[ends]
        counts = np.diff(ends)
        if feature.dtype is STRING and not pa.types.is_primitive(array.type):
            return _Values(levels, counts, array.cast(pa.large_binary()))
        values, _ = numbers_or_views(array)
        values = convert(values, counts)
        return _Values(levels, counts, _no_strings() if feature.dtype is STRING else values)

    return read_lists


def _no_strings() -> pa.Array:
    """Return the values of lists of no type, which are all empty."""
    return slices(np.zeros(0, np.uint8), np.zeros(1, np.int64)).values


def _shape_check(feature: Feature, depth: int, label: str, name: str) -> Callable[[_Values], None]:
    """Choose how the rows are refused whose lists don't have the lengths of a dense feature."""
    if feature.dims is None:
        return lambda values: None
    dims, steps = feature.dims, int(feature.is_list)
    size = math.prod(dim for dim in dims if dim is not None)
    is_free = None in dims
    # Flat lists are reshaped: only their total length matters.
    sizes = dims if depth - steps == len(dims) else (None if is_free else size,)
    takes = (
        f"a multiple of {size}" if is_free else shape_text(dims) if len(sizes) > 1 else str(size)
    )
    target = f'feature "{feature.key}" of input "{name}" takes {takes}'
    target += " for each step" if steps else ""

    def check(values: _Values) -> None:
        rows = np.arange(len(values.counts))
        bad = values.counts % max(size, 1) != 0
        for level, lengths in enumerate(values.levels):
            expected = sizes[level - steps] if level >= steps else None
            if expected is not None:
                bad[rows[lengths != expected]] = True
            if level + 1 < len(values.levels):
                rows = np.repeat(rows, lengths)
        refuse(bad, lambda row: f"{label} has {_count_text(int(values.counts[row]))}, but {target}")

    return check


def _count_text(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
