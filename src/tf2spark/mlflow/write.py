"""The files of a model in MLflow's format, and what the file MLmodel says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from mlflow import pyfunc
from mlflow.models import Model, ModelSignature
from mlflow.models.utils import _save_example

import tf2spark
from tf2spark.binding.advice.tables import check_table
from tf2spark.binding.options import make_options
from tf2spark.errors import ContractError, addressed_to
from tf2spark.local.pandas_columns import table_to_arrow
from tf2spark.locations.write import write_files
from tf2spark.mlflow.environment import CODE, LOADER
from tf2spark.mlflow.logged_call import LoggedCall
from tf2spark.mlflow.schemas import example_fields, input_fields, schema_of
from tf2spark.model import SavedModel
from tf2spark.plan.score import read_columns
from tf2spark.registry.fetch import FLAVOR
from tf2spark.runnable.score import score
from tf2spark.table_types import LocalTable, audience_of, is_pandas

_PACKAGE, _SAVED_MODEL = "model.tf2spark", "saved_model"
_EXAMPLE_ROWS = 5


def write_model(
    folder: Path,
    described: Model,
    model: SavedModel,
    call: LoggedCall,
    input_example: LocalTable | None,
    signature: ModelSignature | None,
) -> None:
    """Write a model's files, and describe them.

    Args:
        folder: An empty folder.
        described: The content of MLmodel, to which this adds the flavors and the signature.
        model: The model.
        call: What `predict` asks of it.
        input_example: A few rows for `predict`.
        signature: MLflow's signature, in place of the one that follows from the example or the
            model.

    Raises:
        ContractError: The example doesn't fit, or there is none and it is needed.
    """
    runnable, package = model._runnable, model.contract.package
    inferred = _describe_columns(folder, described, model, call, input_example, signature is None)
    described.signature = signature or inferred
    data = _SAVED_MODEL if package is None else _PACKAGE
    write_files(runnable.reference(), package, folder / data)
    described.add_flavor(
        FLAVOR,
        code=CODE,
        data=data,
        digest=model.digest,
        tf2spark_version=tf2spark.__version__,
        call={
            **call.to_json(),
            "tags": list(model.contract.tags),
            "allow_ops": list(runnable.allow_ops),
            "op_libraries": [library.name for library in runnable.op_libraries],
        },
    )
    pyfunc.add_to_model(
        described,
        loader_module=LOADER,
        code=CODE,
        conda_env="conda.yaml",
        python_env="python_env.yaml",
    )


def _describe_columns(
    folder: Path,
    described: Model,
    model: SavedModel,
    call: LoggedCall,
    example: LocalTable | None,
    is_needed: bool,
) -> ModelSignature | None:
    """Score and save the example; return the signature that follows from it, or from the model."""
    runnable, request = model._runnable, call.request_of(model)
    if example is None:
        if not is_needed:
            return None
        schema = pa.schema(input_fields(request))
        fields = list(schema)
    else:
        check_table(example, "input_example must be", local=True)
        with addressed_to(audience_of(example)):
            frame = _few_rows(example)
            table = table_to_arrow(frame, request.paths)
            schema = table.schema
            options = make_options(keep=(), batch_rows=call.batch_rows, audience="pandas")
            score(runnable, frame, request, options)
    options = make_options(keep=(), batch_rows=call.batch_rows, audience="pandas")
    plan = runnable.bind(request, schema, options, runnable.reference_for(request))
    if example is not None:
        read = read_columns(plan)
        fields = example_fields(table.select(read))
        _save_example(described, frame[[schema.names[index] for index in read]], str(folder))
    return ModelSignature(inputs=schema_of(fields), outputs=schema_of(plan.output_fields()))


def _few_rows(example: Any) -> Any:
    """Return the first rows of an example as a pandas DataFrame."""
    frame = example if is_pandas(example) else example.slice(0, _EXAMPLE_ROWS).to_pandas()
    if not len(frame):
        raise ContractError("input_example has no rows", "pass a few: input_example=df.head()")
    return frame.head(_EXAMPLE_ROWS)
