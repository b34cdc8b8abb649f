"""Settings of a Spark session that scoring can't work with, refused before a job starts."""

from __future__ import annotations

import re

from pyspark.sql import SparkSession

from tf2spark.errors import SetupError

_NEEDED_MIB = 1640
_MIB = {"b": 1 / 1024 / 1024, "k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0 * 1024, "": 1.0}


def check_worker_memory(spark: SparkSession) -> None:
    """Refuse a ``spark.executor.pyspark.memory`` that TensorFlow can't be loaded in.

    That setting limits a worker's address space (RLIMIT_AS), of which loading TensorFlow's
    library and making a session takes about 1.6 GiB, most of it never touched.

    Raises:
        SetupError: It is set, and smaller.
    """
    limit = _limit_of(spark)
    mebibytes = memory_mib(limit)
    if mebibytes is not None and mebibytes < _NEEDED_MIB:
        raise SetupError(
            f"spark.executor.pyspark.memory={limit} limits a worker's address space to "
            f"{mebibytes:,.0f} MiB, and TensorFlow needs {_NEEDED_MIB:,} MiB of it: set "
            "spark.executor.pyspark.memory=2g or more, or leave it unset"
        )


def _limit_of(spark: SparkSession) -> str:
    return spark.conf.get("spark.executor.pyspark.memory", "") or ""


def memory_mib(text: str) -> float | None:
    """Read Spark's way of writing memory sizes (``2g``, ``1536m``; a bare number is MiB)."""
    found = re.fullmatch(r"\s*(\d+)\s*([bkmgt]?)b?\s*", text.lower())
    return float(found[1]) * _MIB[found[2]] if found else None
