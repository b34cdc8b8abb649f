"""Models of tf2spark in MLflow: logged with digest and signature, scored by MLflow's own tools.

This module is a flavor of MLflow, so `mlflow.models.Model.log` can call its `save_model`.
"""

from tf2spark.registry.client import need_mlflow

need_mlflow()  # in one sentence, where the imports below would fail with a traceback

from tf2spark.mlflow.log import load_model, log_model, save_model  # noqa: E402
from tf2spark.mlflow.python_function import _load_pyfunc as _load_pyfunc  # noqa: E402

__all__ = ["load_model", "log_model", "save_model"]
