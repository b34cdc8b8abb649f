"""One local Spark session for all tests, where failed tasks aren't retried."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator

import pyspark
import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

from services.class_archive import java_options
from tf2spark.errors import SetupError
from tf2spark.spark.java import ensure_java
from tf2spark.spark.session import java_range

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Sessions of TensorFlow's Python get the threads that they ask for, as those of tf2spark do.
os.environ["TF_OVERRIDE_GLOBAL_THREADPOOL"] = "1"
# A host cache for this run only; workers inherit it.
_cache = tempfile.TemporaryDirectory(prefix="tf2spark-cache-")
os.environ["TF2SPARK_CACHE"] = _cache.name
if "TF2SPARK_TEST_MODELS" not in os.environ:
    # The models of `cases`, for this process and those that it starts: writing one takes a second.
    _models = tempfile.TemporaryDirectory(prefix="tf2spark-zoo-")
    os.environ["TF2SPARK_TEST_MODELS"] = _models.name
# What the commands record of their runs, likewise.
_state = tempfile.TemporaryDirectory(prefix="tf2spark-state-")
os.environ["XDG_STATE_HOME"] = _state.name
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
os.environ.setdefault("SPARK_SUBMIT_OPTS", java_options())
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when MLflow is imported

# JAVA_HOME is set here, so that processes started by tests inherit it.
try:
    ensure_java(*java_range(pyspark.__version__))
except SetupError as error:
    if not pyspark.__version__.startswith("3."):
        raise
    # Without an older Java, the smoke tests on the older Spark can't run.
    pytest.exit(f"nothing is tested on PySpark {pyspark.__version__}: {error}", returncode=0)

# The first example of a test takes longer, because modules are imported and graphs compiled.
settings.register_profile("tf2spark", deadline=None)
settings.load_profile("tf2spark")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A local Spark with two slots."""
    session = (
        SparkSession.builder.master("local[2]")
        .appName("tf2spark tests")
        .config("spark.ui.enabled", "false")
        .config("spark.task.maxFailures", "1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that use the `spark` fixture; others that start Spark are marked by hand.

    Those of `make chaos` run only where they are asked for by their marker.

    Files with clusters come first and short ones without Spark last, so that the processes among
    which pytest-xdist distributes the files end at about the same time.
    """
    if "chaos" not in config.getoption("markexpr"):
        items[:] = [item for item in items if not item.get_closest_marker("chaos")]
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker("spark")
    files: dict[object, int] = {}
    for item in items:
        markers = ("slow", "spark", "cluster")
        weight = sum(2**n for n, name in enumerate(markers) if item.get_closest_marker(name))
        files[item.path] = max(files.get(item.path, 0), weight)
    items.sort(key=lambda item: -files[item.path])
