"""MLflow's signature of a model: which columns `predict` takes and returns.

MLflow converts no value to a narrower type, while `score` converts what users mean: a double for
a float32 input, for one. So inputs are declared as the widest type of their kind.

Source of the types: ``mlflow/types/schema.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from mlflow.types.schema import AnyType, Array, ColSpec, DataType, Map, Object, Property, Schema

from tf2spark.binding.feeds import Column, Constant, Joined, Padded
from tf2spark.binding.messages import input_text
from tf2spark.binding.request import FedInput, Request
from tf2spark.dtypes import DType
from tf2spark.errors import ContractError


def input_fields(request: Request) -> list[pa.Field]:
    """Return the columns that a table for a request has, as far as the model itself tells.

    Raises:
        ContractError: It doesn't tell the type of a column.
    """
    fields: dict[str, pa.Field] = {}
    for fed in request.inputs:
        for field in _fields_of(fed):
            fields.setdefault(field.name, field)
    return list(fields.values())


def _fields_of(fed: FedInput) -> list[pa.Field]:
    spec, feed, shape = fed.spec, fed.feed, fed.spec.shape
    column = feed.column if isinstance(feed, Padded) else feed
    is_known = spec.kind in ("dense", "ragged") and shape is not None and spec.example is None
    kind = _column_type(spec.dtype) if is_known else None
    if isinstance(feed, Constant):
        return []
    if kind is None or shape is None:
        raise _unknown_type(fed)
    if isinstance(column, Joined) and shape[1:] == (len(column.columns),):
        names = [each.path for each in column.columns]
    elif isinstance(column, Column):
        names = [column.path]
        scalar = shape[1:] in ((), (1,)) and not isinstance(feed, Padded) and spec.kind == "dense"
        for _ in () if scalar else shape[1:]:
            kind = pa.list_(kind)
    else:
        raise _unknown_type(fed)
    if any("." in name or "`" in name for name in names):
        raise _unknown_type(fed)
    return [pa.field(name, kind, nullable=fed.optional) for name in names]


def _column_type(dtype: DType) -> pa.DataType | None:
    """Return the type of a column for an input; None where there is none."""
    # Not a decimal, which is the type of outputs of uint64.
    return pa.int64() if dtype.is_integer else dtype.arrow and _widest(dtype.arrow)


def _widest(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.int64() if pa.types.is_integer(kind) else kind


def _unknown_type(fed: FedInput) -> ContractError:
    return ContractError(
        f"the types of the columns that feed {input_text(fed.spec)} can't be told from the model, "
        "and MLflow's signature needs them",
        "pass a few rows: input_example=df.head()",
    )


def example_fields(example: pa.Table) -> list[pa.Field]:
    """Return the columns of an example, each with the widest type of its kind."""
    return [
        pa.field(field.name, _widened(field.type), nullable=column.null_count > 0)
        for field, column in zip(example.schema, example.columns, strict=True)
    ]


def _widened(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_widened(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(each.name, _widened(each.type)) for each in kind])
    return _widened(kind.value_type) if types.is_dictionary(kind) else _widest(kind)


def schema_of(fields: Sequence[pa.Field]) -> Schema:
    """Return columns as MLflow describes them; one that may lack values isn't required."""
    return Schema(
        [ColSpec(_mlflow_type(each.type), each.name, required=not each.nullable) for each in fields]
    )


def _mlflow_type(kind: pa.DataType) -> Any:
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return Array(_mlflow_type(kind.value_type))
    if types.is_struct(kind) and kind.num_fields:
        return Object([Property(each.name, _mlflow_type(each.type)) for each in kind])
    if types.is_map(kind):
        text_keys = types.is_string(kind.key_type) or types.is_large_string(kind.key_type)
        return Map(_mlflow_type(kind.item_type)) if text_keys else AnyType()
    return _scalar_type(kind)


def _scalar_type(kind: pa.DataType) -> Any:
    types = pa.types
    tests = (
        (types.is_boolean, DataType.boolean),
        (lambda each: types.is_integer(each) and each.bit_width <= 32, DataType.integer),
        (types.is_integer, DataType.long),
        (lambda each: types.is_floating(each) and each.bit_width <= 32, DataType.float),
        (lambda each: types.is_floating(each) or types.is_decimal(each), DataType.double),
        (lambda each: types.is_string(each) or types.is_large_string(each), DataType.string),
        (lambda each: types.is_binary(each) or types.is_large_binary(each), DataType.binary),
        (types.is_temporal, DataType.datetime),
    )
    return next((known for test, known in tests if test(kind)), AnyType())
