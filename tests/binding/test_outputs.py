"""Outputs and the columns that they become."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import to_arrow_type

from cases.contracts import N, array, dense, unknown_rank
from tf2spark.binding.feeds import Output
from tf2spark.binding.outputs import plan_output
from tf2spark.dtypes import BY_CODE, FLOAT32, INT64, STRING, UINT8, DType, from_code
from tf2spark.errors import ContractError
from tf2spark.plan.score import OutputPlan
from tf2spark.saved_model.contract import TensorSpec
from tf2spark.spark.types import spark_type


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (dense(FLOAT32, N), pa.float32()),
        (dense(FLOAT32, N, 1), pa.float32()),
        (dense(FLOAT32, 32, 1), pa.float32()),
        (dense(FLOAT32, N, 3), array(pa.float32())),
        (dense(FLOAT32, N, N), array(pa.float32())),
        (dense(FLOAT32, N, 1, 1), array(pa.float32(), depth=2)),
        (dense(FLOAT32, N, 2, N, 4), array(pa.float32(), depth=3)),
        (dense(STRING, N), pa.string()),
        (dense(UINT8, N, 2), array(pa.int16())),
    ],
)
def test_rows_become_scalars_or_lists(spec: TensorSpec, kind: pa.DataType) -> None:
    """A row of shape [] or [1] is a scalar, any other a list as deep as its dimensions."""
    assert plan_output("p", spec).arrow == kind


def test_plan_of_an_output() -> None:
    """It holds the column's name, the output's own and the tensor to fetch."""
    spec = TensorSpec("score", INT64, (None, 3), ("StatefulPartitionedCall:1",))
    assert plan_output("p", spec) == OutputPlan(
        "p", "score", ("StatefulPartitionedCall:1",), INT64, (3,), pa.list_(pa.int64())
    )


def test_strings_are_binary_when_asked() -> None:
    """`binary` changes the innermost type only."""
    assert plan_output("p", dense(STRING, N, 2), Output("x", binary=True)).arrow == array(
        pa.binary()
    )


@pytest.mark.parametrize(
    "dtype", [dtype for dtype in BY_CODE.values() if dtype.arrow is not None], ids=str
)
def test_spark_has_each_columns_type(dtype: DType) -> None:
    """What is scored in this process has the very type that Spark gives the column."""
    kind = plan_output("p", dense(dtype, N, 2)).arrow
    assert to_arrow_type(spark_type(kind)) == kind


OUT = "leave it out by naming the outputs you want: fetch=[...]"


@pytest.mark.parametrize(
    ("spec", "binary", "message"),
    [
        (
            dense(from_code(20), N),
            False,
            'output "x" (resource [None]) can\'t become a column: no column holds resource; export '
            f"the values that it refers to instead, or {OUT}",
        ),
        (
            dense(from_code(8), N, 2),
            False,
            'output "x" (complex64 [None, 2]) can\'t become a column: no column holds complex64; '
            f"export tf.math.real(y) and tf.math.imag(y) instead, or {OUT}",
        ),
        (
            dense(from_code(11), N),
            False,
            'output "x" (qint8 [None]) can\'t become a column: no column holds qint8; export '
            f"tf.bitcast(y, tf.int8) instead, or {OUT}",
        ),
        (
            dense(from_code(25), N),
            False,
            'output "x" (float8_e4m3fn [None]) can\'t become a column: no column holds '
            f"float8_e4m3fn; export tf.cast(y, tf.float32) instead, or {OUT}",
        ),
        (
            unknown_rank(FLOAT32),
            False,
            'output "x" (float32 unknown_rank): the graph doesn\'t say its rank, and a column '
            'needs a type; write fetch={"p": tf2spark.output("x", rank=1)} for one value per row, '
            "rank=2 for a list",
        ),
        (
            dense(FLOAT32),
            False,
            'output "x" (float32 []) is one value per batch, not one per row; write '
            f"batch_rows=1 to run the model row by row; or {OUT}",
        ),
        (
            dense(FLOAT32, N),
            True,
            'output "x" (float32 [None]): only strings can be binary; write fetch={"p": "x"}',
        ),
    ],
)
def test_outputs_that_no_column_holds(spec: TensorSpec, binary: bool, message: str) -> None:
    """A message says why, and how to go without that output or what to say of it."""
    with pytest.raises(ContractError) as refused:
        plan_output("p", spec, Output("x", binary=binary))
    assert str(refused.value) == message
