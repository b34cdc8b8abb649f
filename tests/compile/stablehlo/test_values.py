"""`values`: how much is computed while a module is translated."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tf2spark.compile.stablehlo.module_text import NotOpened
from tf2spark.compile.stablehlo.values import MAX_KNOWN, Nodes


def test_many_values_are_refused_as_a_large_one_is() -> None:
    nodes = Nodes(tf.compat.v1.GraphDef(), "module")
    with pytest.raises(NotOpened, match="large values"):
        nodes.check_size([MAX_KNOWN, 2])
    for _ in range(64):
        nodes.check_size([MAX_KNOWN])
    with pytest.raises(NotOpened, match="too many constants"):
        nodes.check_size([1])
