from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tf2spark.dtypes import FLOAT32, INT64
from tf2spark.errors import ModelError
from tf2spark.package.manifest import Weight
from tf2spark.tensorflow_c.mapped_files import mapped_file, mapped_tensor


def test_a_weight_is_its_file(tmp_path: Path) -> None:
    """Values, dtype and shape, at an address that TensorFlow reads in place."""
    values = np.arange(6, dtype=np.int64).reshape(2, 3)
    (tmp_path / "w").write_bytes(values.tobytes())
    tensor = mapped_tensor(Weight("w:0", "w", INT64.code, (2, 3)), tmp_path)
    assert (tensor.dtype, tensor.shape) == (INT64, (2, 3))
    assert np.array_equal(tensor.data, values)
    assert tensor.data.ctypes.data % 64 == 0


def test_a_write_never_reaches_the_file(tmp_path: Path) -> None:
    """The file is shared by all workers of a host, and was checked by its digest."""
    path = tmp_path / "w"
    path.write_bytes(np.zeros(4, np.float32).tobytes())
    tensor = mapped_file(path, FLOAT32, (4,))
    np.asarray(tensor.data)[:] = 9.0
    del tensor
    assert path.read_bytes() == bytes(16)


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_no_values_need_no_file_to_map(shape: tuple[int, ...], tmp_path: Path) -> None:
    """An empty file can't be mapped, and stands for an empty tensor."""
    (tmp_path / "w").touch()
    tensor = mapped_tensor(Weight("w:0", "w", FLOAT32.code, shape), tmp_path)
    assert tensor.data.shape == shape


@pytest.mark.parametrize("size_bytes", [0, 12, 20])
def test_a_file_of_another_size_is_refused(size_bytes: int, tmp_path: Path) -> None:
    """The message names the file, both sizes and the tensor."""
    (tmp_path / "w").write_bytes(bytes(size_bytes))
    with pytest.raises(ModelError) as error:
        mapped_tensor(Weight("w:0", "w", FLOAT32.code, (2, 2)), tmp_path)
    assert str(error.value) == f"{tmp_path / 'w'} has {size_bytes} bytes, w:0 needs 16"
