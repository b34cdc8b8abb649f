"""Blocks of bytes in which Spark holds arrays and structs, as the Arrow arrays that it would send.

Blocks are those of Spark's ``UnsafeArrayData`` and ``UnsafeRow``, in words of 8 bytes and in the
machine's own byte order. An array's::

    number of elements | a bit per element, set where it is null | elements | filled to a word

and a struct's::

    a bit per field, set where it is null | a word per field

Numbers and bools take their own size in an array, and the first bytes of a word in a struct. A
field or element that is an array or a struct is a word of two halves: where its block begins,
counted from the block that it is in (upper half), and how long it is (lower half). Bits fill words.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from attrs import frozen

from tf2spark.conversion.arrow_buffers import bool_array, take_indices
from tf2spark.conversion.rows import (
    Array,
    Ints,
    Mask,
    child_of,
    null_mask,
    offsets_of,
    positions_of,
    splits_of,
    starts_of,
)
from tf2spark.plan.packed import Packing

_WORD = 8
_WORD_SHIFT = 3
_WORD_BITS = 64
# Lists that are as long as their neighbors are copied at once, if there are this many on average;
# then, lists one by one, if they have this many bytes; and otherwise value by value.
_RUN_LISTS = 16
_LONG_LIST_BYTES = 512
_PICKED_LISTS = 512
# Null bits of so many words per list are looked at word by word.
_FEW_WORDS = 8

Unpack = Callable[[pa.RecordBatch], pa.RecordBatch]


def unpacker(packing: Packing | None) -> Unpack:
    """Choose how a batch of parts becomes one of the table's own columns, named c0, c1, ..."""
    if packing is None:
        return lambda batch: batch
    positions = [*packing.others, *packing.packed]
    order = np.argsort(positions).tolist()
    names = [f"c{index}" for index in range(len(positions))]

    def unpack(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = batch.columns[: len(packing.others)] + _packed_columns(packing, batch)
        return pa.RecordBatch.from_arrays([columns[index] for index in order], names)

    return unpack


def _packed_columns(packing: Packing, batch: pa.RecordBatch) -> list[pa.Array]:
    blocks = batch.column(len(packing.others))
    if packing.has_rest:
        structs = unpack_rows(blocks, batch.column(len(packing.others) + 1))
    else:
        structs = unpack_blocks(blocks, packing.block_type)
    columns: list[pa.Array] = structs.flatten()
    return columns


def unpack_rows(blocks: pa.Array, rest: pa.ListArray) -> pa.Array:
    """Return structs from blocks and, for rows without one, from the rest."""
    lengths, others = child_of(rest)
    if not len(others):
        return unpack_blocks(blocks, others.type)
    if len(others) == len(rest):
        return others
    in_rest = lengths > 0
    # A block next to a row of the rest is none.
    blocks = blocks.take(take_indices(np.where(in_rest, -1, np.arange(len(rest)))))
    indices = np.arange(len(rest))
    indices[in_rest] = len(rest) + np.arange(len(others))
    both = pa.concat_arrays([unpack_blocks(blocks, others.type), others])
    return both.take(take_indices(indices))


def unpack_blocks(blocks: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return lists or structs from a binary column of blocks; a row without a block is null."""
    nulls = null_mask(blocks)
    if len(blocks) == 0 or (nulls is not None and nulls.all()):
        return pa.nulls(len(blocks), kind)
    offsets = offsets_of(blocks).astype(np.int64)
    data = np.frombuffer(blocks.buffers()[2], np.uint8)
    if (offsets & (_WORD - 1)).any():
        data, offsets = _aligned(data, offsets)
    memory = _Memory(data, data[: len(data) // _WORD * _WORD].view(np.int64))
    return _variable(memory, offsets[:-1], nulls, kind)


def _aligned(data: npt.NDArray[np.uint8], offsets: Ints) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Return blocks that aren't whole words, each filled to one."""
    lengths = np.diff(offsets)
    aligned_offsets = splits_of((lengths + _WORD - 1) // _WORD * _WORD)
    aligned = np.zeros(int(aligned_offsets[-1]), np.uint8)
    positions = positions_of(lengths)
    aligned[np.repeat(aligned_offsets[:-1], lengths) + positions] = data[
        np.repeat(offsets[:-1], lengths) + positions
    ]
    return aligned, aligned_offsets


@frozen(eq=False)
class _Memory:
    """The bytes that all blocks are in, also as words."""

    data: npt.NDArray[np.uint8]
    words: npt.NDArray[np.int64]

    def of(self, dtype: npt.DTypeLike) -> Array:
        """Return the bytes as values of a dtype."""
        dtype = np.dtype(dtype)
        return self.data[: len(self.data) // dtype.itemsize * dtype.itemsize].view(dtype)


def _variable(memory: _Memory, begins: Ints, nulls: Mask | None, kind: pa.DataType) -> pa.Array:
    """Return arrays or structs whose blocks begin at these bytes; a null has no block."""
    if pa.types.is_struct(kind):
        return _structs(memory, begins, nulls, kind)
    return _lists(memory, begins, nulls, kind)


def _lists(memory: _Memory, begins: Ints, nulls: Mask | None, kind: pa.ListType) -> pa.Array:
    present = begins if nulls is None else begins[~nulls]
    words = present >> _WORD_SHIFT
    counts = memory.words[words]
    bit_words = (counts + _WORD_BITS - 1) // _WORD_BITS
    starts = present + ((bit_words + 1) << _WORD_SHIFT)
    null_elements = _null_elements(memory.words, words + 1, bit_words, counts)
    elements = _elements(memory, present, starts, counts, null_elements, kind.value_type)
    lengths = counts
    if nulls is not None:
        lengths = np.zeros(len(begins), np.int64)
        lengths[~nulls] = counts
    offset_type = np.int64 if pa.types.is_large_list(kind) else np.int32
    offsets = pa.py_buffer(splits_of(lengths).astype(offset_type))
    return pa.Array.from_buffers(
        kind, len(begins), [_validity(nulls), offsets], children=[elements]
    )


def _null_elements(
    words: npt.NDArray[np.int64], bits: Ints, bit_words: Ints, counts: Ints
) -> Mask | None:
    """Return which elements of all lists are null, None if none is."""
    same = int(bit_words[0]) if len(bit_words) and (bit_words == bit_words[0]).all() else None
    if same is not None and same <= _FEW_WORDS:
        has_nulls = any(words[bits + index].any() for index in range(same))
    else:
        has_nulls = bool(words[_ranges(bits, bit_words)].any())
    if not has_nulls:
        return None
    position = positions_of(counts)
    word = words[np.repeat(bits, counts) + position // _WORD_BITS]
    return _is_set(word, position % _WORD_BITS)


def _elements(
    memory: _Memory, begins: Ints, starts: Ints, counts: Ints, nulls: Mask | None, kind: pa.DataType
) -> pa.Array:
    if pa.types.is_nested(kind):
        places = _gather(memory, starts, counts, np.dtype(np.int64))
        inner = np.repeat(begins, counts) + (places >> 32)
        return _children(memory, inner, nulls, kind)
    return _numbers(_gather(memory, starts, counts, _dtype_of(kind)), nulls, kind)


def _structs(memory: _Memory, begins: Ints, nulls: Mask | None, kind: pa.StructType) -> pa.Array:
    begins = _readable(begins, nulls)
    words = begins >> _WORD_SHIFT
    bit_words = (kind.num_fields + _WORD_BITS - 1) // _WORD_BITS
    fields: list[pa.Array] = []
    for index in range(kind.num_fields):
        if index % _WORD_BITS == 0:
            bits = memory.words[words + index // _WORD_BITS]
            has_nulls = nulls is not None or bool(bits.any())
        null_fields = None
        if has_nulls:
            absent = _is_set(bits, index % _WORD_BITS)
            absent = absent if nulls is None else absent | nulls
            null_fields = absent if absent.any() else None
        place = words + (bit_words + index)
        fields.append(_field(memory, begins, place, null_fields, kind.field(index).type))
    return pa.Array.from_buffers(kind, len(begins), [_validity(nulls)], children=fields)


def _field(
    memory: _Memory, begins: Ints, place: Ints, nulls: Mask | None, kind: pa.DataType
) -> pa.Array:
    """Return a field of all structs, which is the word with this number."""
    if pa.types.is_nested(kind):
        return _children(memory, begins + (memory.words[place] >> 32), nulls, kind)
    dtype = _dtype_of(kind)
    return _numbers(memory.of(dtype)[place * (_WORD // dtype.itemsize)], nulls, kind)


def _children(memory: _Memory, begins: Ints, nulls: Mask | None, kind: pa.DataType) -> pa.Array:
    if nulls is not None and nulls.all():
        return pa.nulls(len(begins), kind)
    return _variable(memory, begins, nulls, kind)


def _readable(begins: Ints, nulls: Mask | None) -> Ints:
    """Return where blocks begin, and for a null another's, so that it can be read."""
    return begins if nulls is None else np.where(nulls, begins[np.argmin(nulls)], begins)


def _dtype_of(kind: pa.DataType) -> np.dtype[np.generic]:
    # A bool is a byte of 0 or 1.
    return np.dtype(np.uint8 if pa.types.is_boolean(kind) else kind.to_pandas_dtype())


def _numbers(values: Array, nulls: Mask | None, kind: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(kind):
        data = bool_array(values != 0).buffers()[1]
    else:
        data = pa.py_buffer(values)
    return pa.Array.from_buffers(kind, len(values), [_validity(nulls), data])


def _validity(nulls: Mask | None) -> pa.Buffer | None:
    return None if nulls is None else bool_array(~nulls).buffers()[1]


def _is_set(words: npt.NDArray[np.int64], bits: Ints | int) -> Mask:
    mask: Mask = (words >> bits) & 1 == 1
    return mask


def _gather(memory: _Memory, starts: Ints, counts: Ints, dtype: np.dtype[np.generic]) -> Array:
    """Return the values of all lists, one after the other, from where each begins in the bytes."""
    if not len(starts):
        return np.zeros(0, dtype)
    lengths = counts * dtype.itemsize
    runs = _runs(starts, lengths)
    if len(runs) - 1 <= 1 + len(starts) // _RUN_LISTS:
        return _copy_runs(memory, starts, lengths, runs).view(dtype)
    if int(lengths.sum()) >= _LONG_LIST_BYTES * len(lengths):
        view = memory.data.data
        pairs = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
        return np.frombuffer(b"".join([view[begin:end] for begin, end in pairs]), dtype)
    return _pick(memory.of(dtype), starts // dtype.itemsize, counts)


def _runs(starts: Ints, lengths: Ints) -> Ints:
    """Return where lists begin that are as long and as far apart as each other, and the end."""
    steps = np.diff(starts)
    is_new = lengths[1:] != lengths[:-1]
    is_new[1:] |= steps[1:] != steps[:-1]
    is_new |= steps < 0
    return np.concatenate(([0], np.flatnonzero(is_new) + 1, [len(starts)]))


def _copy_runs(memory: _Memory, starts: Ints, lengths: Ints, runs: Ints) -> npt.NDArray[np.uint8]:
    # TensorFlow reads a tensor in place if it is aligned as Arrow's own memory is.
    values = np.frombuffer(pa.allocate_buffer(int(lengths.sum())), np.uint8)
    position = 0
    for begin, end in pairwise(runs.tolist()):
        first, length = int(starts[begin]), int(lengths[begin])
        step = int(starts[begin + 1]) - first if end - begin > 1 else 0
        table: Array = np.ndarray((end - begin, length), np.uint8, memory.data, first, (step, 1))
        values[position : position + table.size].reshape(table.shape)[...] = table
        position += table.size
    return values


def _pick(values: Array, begins: Ints, counts: Ints) -> Array:
    """Return the values of short lists, a few thousand at a time, whose indices the cache holds."""
    picked = np.empty(int(counts.sum()), values.dtype)
    position = 0
    for first in range(0, len(counts), _PICKED_LISTS):
        some = slice(first, first + _PICKED_LISTS)
        indices = _ranges(begins[some], counts[some])
        picked[position : position + len(indices)] = values[indices]
        position += len(indices)
    return picked


def _ranges(begins: Ints, lengths: Ints) -> Ints:
    """Return the numbers of all ranges: from 5 and 9, of lengths 2 and 1, they are 5, 6, 9."""
    numbers = np.repeat(begins - starts_of(lengths), lengths)
    numbers += np.arange(len(numbers))
    return numbers
