"""Apache DataFusion Comet, an engine that runs parts of Spark's plans on Arrow columns.

Source of the settings: https://datafusion.apache.org/comet/user-guide/latest/configs.html
"""

from __future__ import annotations

from pyspark.sql import SparkSession

# A plugin adds the extension itself.
_LOADED_BY = {"spark.plugins": "CometPlugin", "spark.sql.extensions": "CometSparkSessionExtensions"}
_ENABLED = "spark.comet.enabled"


def has_comet(spark: SparkSession) -> bool:
    """Say whether a session's queries run in Comet, as far as it can run them."""
    is_loaded = any(
        name in (spark.conf.get(setting, "") or "") for setting, name in _LOADED_BY.items()
    )
    return is_loaded and (spark.conf.get(_ENABLED, "true") or "").strip().lower() != "false"
