"""Spark's image struct as uint8 [height, width, channels]; the channels stay BGR.

Source of the layout: ``org.apache.spark.ml.image.ImageSchema``. Modes are OpenCV's, of which CV_8U
(mode % 8 == 0) is one byte per channel.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tf2spark.conversion.arrow_buffers import values_of
from tf2spark.conversion.casts import cast_to
from tf2spark.conversion.nested_lists import Reader
from tf2spark.conversion.rows import (
    Array,
    Ints,
    RowsUneven,
    column_of,
    nulls_of,
    offsets_of,
    plain,
    refuse,
)
from tf2spark.dtypes import Dims, DType
from tf2spark.plan.score import Source


def image_reader(source: Source, dtype: DType, dims: Dims, name: str) -> Reader:
    """Choose how a column of images is read; `dims` and `name` are the input's."""
    take, cast, label = column_of(source), cast_to(dtype), source.label

    def read(batch: pa.RecordBatch) -> tuple[Array, tuple[int, ...], object]:
        array = take(batch)
        shapes = np.stack([_field(array, key, label) for key in _SHAPE], axis=1)
        pixels, lengths = _pixels(array, label)
        _refuse_broken(_field(array, "mode", label), shapes, lengths, label)
        shape = _one_shape(shapes, dims, label, name)
        return cast(pixels), shape, pixels

    return read


_SHAPE = ("height", "width", "nChannels")


def _field(array: pa.StructArray, key: str, label: str) -> Ints:
    field = array.field(key)
    if field.null_count:
        refuse(nulls_of(field), f'column "{label}" is an image whose {key} is null')
    return values_of(field).astype(np.int64)


def _pixels(array: pa.StructArray, label: str) -> tuple[Array, Ints]:
    data = plain(array.field("data"))
    if data.null_count:
        refuse(nulls_of(data), f'column "{label}" is an image whose data is null')
    offsets = offsets_of(data)
    pixels = np.frombuffer(data.buffers()[2] or b"", np.uint8)
    # Images lie end to end: those of one size are one array already, without a copy.
    return pixels[offsets[0] : offsets[-1]], np.diff(offsets).astype(np.int64)


def _refuse_broken(modes: Ints, shapes: Ints, lengths: Ints, label: str) -> None:
    refuse(modes % 8 != 0, f'column "{label}" is an image with more than one byte per channel')
    refuse(
        (shapes < 0).any(axis=1) | (lengths != shapes.prod(axis=1)),
        f'column "{label}" is an image whose data is not height x width x channels bytes',
    )


def _one_shape(shapes: Ints, dims: Dims, label: str, name: str) -> tuple[int, ...]:
    """Return the shape of all images; those that the input doesn't take are refused."""
    if not len(shapes):
        return tuple(size or 0 for size in dims)
    expected = np.array([-1 if size is None else size for size in dims])
    refuse(
        ((shapes != expected) & (expected >= 0)).any(axis=1),
        lambda row: (
            f'column "{label}" is an image of [height, width, channels] {shapes[row].tolist()}, '
            f'but input "{name}" takes {list(dims)}'
        ),
    )
    # A key per distinct shape: images of one shape run together.
    if (shapes != shapes[0]).any():
        raise RowsUneven(np.unique(shapes, axis=0, return_inverse=True)[1].reshape(-1))
    return tuple(shapes[0].tolist())
