"""What is said where an input takes tf.Example messages and is fed numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tensorflow as tf

import tf2spark
from cases.models.saving import save_function
from tf2spark.errors import ContractError


@pytest.mark.parametrize("feed", ["age", ["age", "vec"]])
def test_columns_are_packed_and_not_cast(tmp_path: Path, feed: Any) -> None:
    """A cast to text would parse nothing; `example` makes what the graph parses."""
    features = {
        "age": tf.io.FixedLenFeature([], tf.float32),
        "vec": tf.io.FixedLenFeature([2], tf.float32),
    }

    def call(examples: Any) -> Any:
        parsed = tf.io.parse_example(examples, features)
        return {"y": parsed["age"] + parsed["vec"][:, 0]}

    save_function(tmp_path / "m", call, tf.TensorSpec([None], tf.string, "examples"))
    model, rows = (
        tf2spark.SavedModel(tmp_path / "m"),
        pd.DataFrame({"age": [1.0], "vec": [[2.0, 0]]}),
    )
    with pytest.raises(ContractError, match=r"takes tf\.Example messages; pack .*example\(\)"):
        model.score(rows, feed={"examples": feed})
    assert model.score(rows, feed={"examples": tf2spark.example()})["y"].tolist() == [3.0]
