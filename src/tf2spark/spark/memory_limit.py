"""The limit on a worker's memory: one too low for TensorFlow is refused before a job starts."""

from __future__ import annotations

import re

from pyspark.sql import SparkSession

from tf2spark.errors import SetupError

_SETTING = "spark.executor.pyspark.memory"
_NEEDED_MIB = 1640
_MIB = {"b": 1 / 1024 / 1024, "k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0 * 1024, "": 1.0}


def check_worker_memory(spark: SparkSession) -> None:
    """Refuse a ``spark.executor.pyspark.memory`` in which TensorFlow can't be loaded.

    The setting limits a worker's address space (RLIMIT_AS). Loading TensorFlow's library and
    opening a session reserves about 1.6 GiB of that, most of which is never touched.

    Raises:
        SetupError: The setting is too small.
    """
    limit = _worker_memory(spark)
    limit_mib = memory_mib(limit)
    if limit_mib is not None and limit_mib < _NEEDED_MIB:
        raise SetupError(
            f"{_SETTING}={limit} limits a worker's address space to {limit_mib:,.0f} MiB, and "
            f"TensorFlow needs {_NEEDED_MIB:,} MiB",
            f"set {_SETTING}=2g or more, or leave it unset",
        )


def _worker_memory(spark: SparkSession) -> str:
    return spark.conf.get(_SETTING, "") or ""


def memory_mib(text: str) -> float | None:
    """Read a memory size as Spark writes it: ``2g``, ``1536m``; a bare number is in MiB.

    Returns:
        None where the text is not such a size.
    """
    match = re.fullmatch(r"\s*(\d+)\s*([bkmgt]?)b?\s*", text.lower())
    return float(match[1]) * _MIB[match[2]] if match else None
