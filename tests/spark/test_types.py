"""Types of Spark as messages and bindings have them: each has its name, whatever the release."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import types as T

from tf2spark.binding.feeds import Column
from tf2spark.binding.inputs import plan_input
from tf2spark.binding.messages import is_variant, type_text
from tf2spark.dtypes import FLOAT32
from tf2spark.errors import ContractError
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.spark.types import (
    arrow_schema,
    can_be_read,
    can_reach_python,
    has_required_fields,
    nullable_type,
)

X = TensorSpec("x", FLOAT32, (None,), ("x:0",))
VARIANT = getattr(T, "VariantType", None)


def schema_of(kind: Any) -> pa.Schema:
    return arrow_schema(T.StructType([T.StructField("c", kind)]))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (T.TimestampType(), "timestamp"),
        (T.TimestampNTZType(), "timestamp_ntz"),
        (T.ArrayType(T.TimestampType()), "array<timestamp>"),
        (T.DateType(), "date"),
        (T.DayTimeIntervalType(), "interval day to second"),
        (T.YearMonthIntervalType(), "interval"),
        (T.NullType(), "void"),
    ],
)
def test_each_type_has_its_name(kind: Any, name: str) -> None:
    """Timestamps too, which some releases convert only for a time zone."""
    assert type_text(schema_of(kind).field("c").type) == name


def test_timestamps_reach_python() -> None:
    """Only then do batches with them take the way that other tables take."""
    columns = T.StructType([T.StructField("at", T.TimestampType())])
    assert can_reach_python(columns)
    assert not can_reach_python(columns.add("span", T.YearMonthIntervalType()))


def test_an_empty_array_can_be_read_only() -> None:
    """Spark says of ``array()`` that its elements are void and never null."""
    kind = T.ArrayType(T.NullType(), containsNull=False)
    assert schema_of(kind).field("c").type == pa.list_(pa.field("element", pa.null()))
    assert can_be_read(kind)
    assert not can_reach_python(T.StructType([T.StructField("c", kind)]))
    assert not can_be_read(T.ArrayType(T.YearMonthIntervalType()))


def test_fields_that_are_never_null_are_found_at_any_depth() -> None:
    """In arrays, maps, structs and in users' own types; nothing is left of them in another type."""
    never = T.StructType([T.StructField("x", T.LongType(), nullable=False)])
    may = T.StructType([T.StructField("x", T.LongType())])
    assert nullable_type(T.ArrayType(never, containsNull=False)) == T.ArrayType(may)
    for kind in (never, T.ArrayType(never), T.MapType(T.StringType(), never), VectorUDT()):
        assert has_required_fields(kind)
        assert not has_required_fields(nullable_type(kind))
    assert not has_required_fields(T.ArrayType(T.LongType(), containsNull=False))


def test_an_interval_of_months_has_no_cast() -> None:
    """Spark has none to a number, so none is advised."""
    with pytest.raises(ContractError) as raised:
        plan_input(X, Column("c"), schema_of(T.YearMonthIntervalType()))
    assert "cast" not in str(raised.value)


@pytest.mark.skipif(VARIANT is None, reason="this Spark has no variants")
def test_a_variant_is_not_a_struct_of_its_bytes() -> None:
    """Its value is got by a path and a type."""
    assert VARIANT is not None
    schema = schema_of(VARIANT())
    assert is_variant(schema.field("c").type)
    with pytest.raises(
        ContractError, match=r"\(variant\): it is a variant; get its value"
    ) as raised:
        plan_input(X, Column("c"), schema)
    assert 'df.withColumn("c", F.variant_get(df["c"], "$", "float"))' in str(raised.value)
    assert "variant_get(c, '$', 'float')" in raised.value.text_for("command_line")
