"""The flavor `python_function`: `mlflow.pyfunc.load_model(uri).predict(df)` and `spark_udf`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf2spark.binding.options import make_options
from tf2spark.binding.stored.call_json import feeds_from_json, fetches_from_json
from tf2spark.errors import ContractError, addressed_to
from tf2spark.local.score import score_table
from tf2spark.locations.fetch import fetch_to_this_machine
from tf2spark.registry.fetch import FLAVOR
from tf2spark.runnable.model import RunnableModel
from tf2spark.runnable.score import score, with_row_relation
from tf2spark.worker.task_start import task_cores

_log = logging.getLogger("tf2spark.mlflow")


def _load_pyfunc(path: str) -> PythonFunction:
    """Return what MLflow calls to predict; MLflow looks this function up by its name.

    Args:
        path: The folder of the logged model.
    """
    from mlflow.models import Model

    return PythonFunction(Path(path), Model.load(path).flavors[FLAVOR])


class PythonFunction:
    """A logged model, with the feed and fetch that it was logged with.

    Args:
        folder: The folder of the logged model.
        flavor: What `log_model` has written about it.
    """

    def __init__(self, folder: Path, flavor: Mapping[str, Any]) -> None:
        call = flavor["call"]
        self._model = RunnableModel(
            str(folder / flavor["data"]),
            digest=flavor["digest"],
            tags=call["tags"],
            allow_ops=call["allow_ops"],
            op_libraries=call["op_libraries"],
        )
        self._request = self._model.request(
            call["signature"],
            feeds_from_json(call["feed"]),
            fetches_from_json(call["fetch"]),
            call["batch_rows"],
        )
        self._options = make_options(keep=(), batch_rows=call["batch_rows"], audience="pandas")
        self._threads = task_cores() if "pyspark" in sys.modules else None
        if self._threads is not None:
            _log.warning(
                "this model runs in mlflow.pyfunc.spark_udf, through pandas. The same scores come "
                "faster from tf2spark.SavedModel(uri).score(df), with the same models:/ or runs:/ "
                "URI"
            )

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return the outputs as columns of a pandas DataFrame, with the index of the input.

        In `spark_udf`, a single output of lists is returned as lists alone, since MLflow takes
        nothing else there.

        Args:
            model_input: The rows: a pandas DataFrame, or what pandas makes one of.
            params: Not used: the model has no parameters.

        Raises:
            ContractError: They don't fit the model.
            RowError: A row can't be scored.
        """
        import pandas as pd

        with addressed_to("pandas"):
            frame = model_input
            if not isinstance(frame, pd.DataFrame):
                frame = _as_frame(frame)
            scored = self._score(frame)
        if self._threads is not None and len(scored.columns) == 1:
            return _for_spark_udf(scored.iloc[:, 0])
        return scored

    def get_raw_model(self) -> RunnableModel:
        """Return the model itself, for `PyFuncModel.get_raw_model`."""
        return self._model

    def _score(self, frame: Any) -> Any:
        model, request = self._model, self._request
        if self._threads is None:
            return score(model, frame, request, self._options)
        options = with_row_relation(model, request, self._options, on_spark=False)
        reference = fetch_to_this_machine(model.reference_for(request, threads=self._threads))
        return score_table(frame, request, options, reference, model.bind)


def _as_frame(rows: Any) -> Any:
    import pandas as pd

    try:
        return pd.DataFrame(rows)
    except ValueError as error:
        raise ContractError(
            f"predict takes a pandas DataFrame, and pandas makes none of this input: {error}"
        ) from None


def _for_spark_udf(column: Any) -> Any:
    """Return an output as `spark_udf` takes it: of lists, it takes an array, or a list of rows.

    Source: ``_predict_row_batch`` in ``mlflow/pyfunc/__init__.py``.
    """
    import numpy as np

    values = list(column)
    if not values or not isinstance(values[0], list | tuple | np.ndarray):
        return column.to_frame()
    if isinstance(values[0][0] if len(values[0]) else None, list | tuple | np.ndarray):
        return values
    if len({len(value) for value in values}) > 1:
        raise ContractError(
            f'the output "{column.name}" has lists of different lengths, which spark_udf can\'t '
            "return",
            "score them with tf2spark.SavedModel(uri).score(df)",
        )
    return np.stack([np.asarray(value) for value in values])
