from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cases.arrow_columns import batch_of, sliced
from tf2spark.conversion.images import image_reader
from tf2spark.conversion.rows import RowsRefused, RowsUneven
from tf2spark.dtypes import FLOAT32, UINT8, DType
from tf2spark.plan.score import Source

# org.apache.spark.ml.image.ImageSchema
IMAGE = pa.struct([
    ("origin", pa.string()), ("height", pa.int32()), ("width", pa.int32()),
    ("nChannels", pa.int32()), ("mode", pa.int32()), ("data", pa.binary()),
])  # fmt: skip
SOURCE = Source("image", 0, (), "image", pa.uint8())


def image(height: int, width: int, channels: int = 3, **fields: Any) -> dict[str, Any]:
    data = bytes(i % 256 for i in range(height * width * channels))
    return {"origin": "file", "height": height, "width": width, "nChannels": channels,
            "mode": 16, "data": data} | fields  # fmt: skip


def read(
    rows: list[Any], dims: tuple[int | None, ...] = (None, None, 3), dtype: DType = UINT8
) -> tuple[Any, tuple[int, ...]]:
    array = pa.array(rows, IMAGE)
    values, shape, _ = image_reader(SOURCE, dtype, dims, "in")(batch_of(sliced(array)))
    return values, shape


def test_pixels_are_height_width_channels() -> None:
    """Images of one size become one array, cast to the input's dtype if that isn't uint8."""
    rows = [image(2, 4), image(2, 4, data=bytes(24))]
    values, shape = read(rows)
    assert shape == (2, 4, 3)
    assert values.tolist() == [*range(24), *[0] * 24]
    assert read(rows, dtype=FLOAT32)[0].dtype == np.float32


def test_no_images_have_the_input_s_dimensions() -> None:
    """An empty batch needs no image to know them."""
    assert read([], (None, 8, 3))[1] == (0, 8, 3)


def test_images_of_different_sizes_run_apart() -> None:
    """Each distinct size has its own key."""
    with pytest.raises(RowsUneven) as caught:
        read([image(2, 4), image(4, 2), image(2, 4)])
    keys = caught.value.keys.tolist()
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (image(2, 4, mode=21), "is an image with more than one byte per channel"),
        (image(2, 4, mode=-1), "is an image with more than one byte per channel"),
        (image(2, 4, data=b"short"),
         "is an image whose data is not height x width x channels bytes"),
        (image(2, 4, data=bytes(25)),
         "is an image whose data is not height x width x channels bytes"),
        (image(-1, -1, data=b"abc"),
         "is an image whose data is not height x width x channels bytes"),
        (image(2, 4, data=None), "is an image whose data is null"),
        (image(2, 4) | {"height": None}, "is an image whose height is null"),
        (image(3, 4),
         'is an image of [height, width, channels] [3, 4, 3], but input "in" takes [2, None, 3]'),
        (None, "is null"),
    ],
)  # fmt: skip
def test_a_broken_image_is_refused_alone(bad: Any, reason: str) -> None:
    """The reason has its row number and says what is wrong with it."""
    with pytest.raises(RowsRefused) as caught:
        read([image(2, 4), bad, image(2, 4)], (2, None, 3))
    assert caught.value.rows.tolist() == [1]
    assert caught.value.reasons == [f'column "image" {reason}']
