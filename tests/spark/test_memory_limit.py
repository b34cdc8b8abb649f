"""`spark.memory_limit`: sizes as Spark writes them, and the one that TensorFlow needs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tf2spark.errors import SetupError
from tf2spark.spark.memory_limit import check_worker_memory, memory_mib


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [
        ("2g", 2048),
        ("1536m", 1536),
        ("1024", 1024),
        (" 512 MB ", 512),
        ("1t", 2**20),
        ("2048k", 2),
        ("1048576b", 1),
        ("much", None),
        ("-1g", None),
        ("1.5g", None),
        ("", None),
    ],
)
def test_sizes_are_read_as_spark_writes_them(text: str, mebibytes: float | None) -> None:
    """A number and a unit, mebibytes without one; None for anything else."""
    assert memory_mib(text) == mebibytes


def session(limit: str | None) -> Any:
    """Return a session with this limit, as far as the check sees it."""
    return SimpleNamespace(conf={"spark.executor.pyspark.memory": limit} if limit else {})


@pytest.mark.parametrize("limit", [None, "1640m", "2g"])
def test_enough_memory_is_accepted(limit: str | None) -> None:
    """No limit, or one that TensorFlow fits in."""
    check_worker_memory(session(limit))


@pytest.mark.parametrize("limit", ["1639m", "1g"])
def test_too_little_memory_is_refused(limit: str) -> None:
    """One MiB too little is refused, with the setting and the value that is needed."""
    with pytest.raises(SetupError, match=r"1,640 MiB; set spark\.executor\.pyspark\.memory=2g"):
        check_worker_memory(session(limit))
