from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from tf2spark.spark.packed.transport import SETTING


@pytest.fixture(autouse=True)
def packing(spark: SparkSession) -> Iterator[None]:
    """Turn packing on, which is off by default."""
    spark.conf.set(SETTING, "true")
    yield
    spark.conf.unset(SETTING)
