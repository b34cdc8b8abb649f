"""Sizes of blocks."""

from __future__ import annotations

import pytest

from tf2spark.recommend.block_sizes import block_shape


@pytest.mark.parametrize(
    ("widest_bytes", "shape"),
    [(4, (362, 5793)), (8, (362, 5793)), (1024, (32, 96)), (64 << 10, (32, 1)), (1 << 30, (1, 1))],
)
def test_blocks_fit_the_processor_s_cache(widest_bytes: int, shape: tuple[int, int]) -> None:
    """Few bytes per pair give two million pairs, many give a few users and items, one at least."""
    assert block_shape(widest_bytes) == shape
