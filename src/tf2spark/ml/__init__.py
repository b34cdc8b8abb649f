"""Stages of Spark ML: a SavedModel as a transformer in a Pipeline."""

from tf2spark.locations.optional_imports import need_pyspark

need_pyspark()  # in one sentence, where the import below would fail with a traceback

from tf2spark.ml.transformer import SavedModelTransformer  # noqa: E402

__all__ = ["SavedModelTransformer"]
