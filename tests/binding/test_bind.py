"""A request and a table's schema become a plan."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from cases.contracts import VECTOR, N, array, dense, sparse, unknown_rank
from tf2spark.binding.bind import bind
from tf2spark.binding.feeds import Column, Output, as_feed
from tf2spark.binding.options import (
    BATCH_BYTES,
    BATCH_ROWS,
    LAYER_CACHE_BYTES,
    LAYER_MAX_BYTES,
    LAYER_MIN_ROWS,
    Options,
    make_options,
)
from tf2spark.binding.request import FedInput, FetchedOutput, Request
from tf2spark.dtypes import FLOAT32, INT64, STRING
from tf2spark.errors import ContractError
from tf2spark.plan.score import ModelRef, Plan
from tf2spark.saved_model.contract import TensorSpec

MODEL = ModelRef("/model", ("serve",), "digest")
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("x", array(pa.float32())),
        ("Score", pa.float64()),
        ("v", VECTOR),
        ("dup", pa.int32()),
        ("dup", pa.int32()),
    ]
)
UNIQUE = pa.schema(list(SCHEMA)[:4])


def request_of(
    inputs: dict[TensorSpec, Any] | None = None, outputs: dict[str, TensorSpec] | None = None
) -> Request:
    if inputs is None:
        inputs = {dense(FLOAT32, N, 8): "x"}
    outputs = outputs or {"y": dense(FLOAT32, N, name="y")}
    return Request(
        tuple(FedInput(spec, as_feed(feed)) for spec, feed in inputs.items()),
        tuple(FetchedOutput(column, spec, Output(spec.name)) for column, spec in outputs.items()),
    )


def plan_of(request: Request | None = None, schema: pa.Schema = UNIQUE, **options: Any) -> Plan:
    return bind(request or request_of(), schema, make_options(**options), MODEL)


def message_of(request: Request | None = None, schema: pa.Schema = UNIQUE, **options: Any) -> str:
    with pytest.raises(ContractError) as refused:
        plan_of(request, schema, **options)
    return str(refused.value)


def test_a_plan_says_all_that_a_worker_needs() -> None:
    """Inputs, outputs, kept columns, mode and sizes are settled, and travel."""
    plan = plan_of(keep=["Score", "id"], mode="permissive", batch_rows=100)
    assert [fed.name for fed in plan.inputs] == ["x"]
    assert plan.keep == (2, 0)
    assert (plan.mode, plan.error_column) == ("permissive", "_error")
    assert (plan.batch_rows, plan.batch_bytes, plan.fixed_rows) == (100, BATCH_BYTES, None)
    assert plan.output_fields() == [pa.field("y", pa.float32()), pa.field("_error", pa.string())]
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_all_columns_stay_unless_some_are_named() -> None:
    """`keep` of None is all columns, an empty one none; a single name needs no list."""
    assert plan_of().keep == (0, 1, 2, 3)
    assert plan_of(keep=[]).keep == ()
    assert plan_of(keep="x").keep == (1,)


def test_columns_with_the_same_name_may_stay() -> None:
    """Two columns with the same name are fine if nothing refers to them by name."""
    assert plan_of(schema=SCHEMA).keep == (0, 1, 2, 3, 4, 5)


MODES = 'the values are "failfast", "permissive", "dropmalformed"'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "permisive"}, "mode can't be 'permisive'; did you mean \"permissive\"?"),
        ({"mode": "x"}, f"mode can't be 'x'; {MODES}"),
        ({"mode": None}, f"mode can't be None; {MODES}"),
        (
            {"error_column": "e"},
            'an error column needs the mode "permissive", not "failfast"; write mode="permissive"',
        ),
        ({"read": "files"}, 'read can\'t be \'files\'; the values are "auto", "spark", "worker"'),
        (
            {"error_column": "", "mode": "permissive"},
            "error_column must be the name of a new column, not ''",
        ),
        (
            {"error_column": 1, "mode": "permissive"},
            "error_column must be the name of a new column, not 1",
        ),
        *(
            ({"batch_rows": rows}, f"batch_rows must be an integer of at least 1, not {rows!r}")
            for rows in (0, -1, True, 2.0, "10", "many")
        ),
        ({"keep": ["idd"]}, 'keep: the table has no column "idd"; did you mean "id"?'),
        ({"keep": ["id", "id"]}, 'keep names "id" twice'),
        ({"keep": [1]}, 'keep must be a list of column names, not [1]; write keep=["id"]'),
        (
            {"mode": "permissive", "error_column": "ID"},
            'the error column "ID" has the same name as the table\'s column "id"; give it another '
            "name with error_column=...",
        ),
        (
            {"mode": "permissive", "error_column": "Y", "keep": []},
            'the error column "Y" has the same name as output "y"; give it another name with '
            "error_column=...",
        ),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    """A wrong argument is refused with the values that it takes."""
    assert message_of(**options) == message


def test_all_mistakes_come_at_once() -> None:
    """Missing columns, types, shapes, kept columns and outputs: in one error, in a stable order."""
    request = request_of(
        {
            dense(FLOAT32, N, 8, name="lost"): "nowhere",
            dense(INT64, N, name="id"): "Score",
            dense(FLOAT32, N, name="x"): "x",
        },
        {"y": unknown_rank(FLOAT32, "y")},
    )
    assert message_of(request, keep=["idd", "v"]) == (
        "5 mistakes:\n"
        '- input "lost" (float32 [None, 8]): the table has no column "nowhere"; the columns are '
        '"id", "x", "Score", "v"\n'
        '- input "id" (int64 [None]) can\'t take column "Score" (double): its values are double '
        'and the input takes int64; cast them first: df = df.withColumn("Score", '
        'df["Score"].cast("bigint"))\n'
        '- input "x" (float32 [None]) takes one value per row, but column "x" is array<float>; '
        'select one element first: df = df.withColumn("x", df["x"][0])\n'
        '- keep: the table has no column "idd"; did you mean "id"?\n'
        '- output "y" (float32 unknown_rank): the graph doesn\'t say its rank, and a column needs '
        'a type; write fetch={"y": tf2spark.output("y", rank=1)} for one value per row, rank=2 for '
        "a list"
    )


def test_all_wrong_options_come_at_once() -> None:
    """In the order of the arguments."""
    assert message_of(mode="x", batch_rows=0, model_column="") == (
        f"3 mistakes:\n- mode can't be 'x'; {MODES}\n"
        "- batch_rows must be an integer of at least 1, not 0\n"
        "- model_column must be the name of a new column, not ''"
    )


def test_two_columns_of_one_name_cant_be_kept_by_name() -> None:
    """Nothing says which of the two is meant."""
    assert message_of(schema=SCHEMA, keep=["dup"]) == (
        'keep: the table has 2 columns "dup"; rename all but one'
    )


def test_udf_cant_drop_rows() -> None:
    """A column function returns a value for every row."""
    with pytest.raises(ContractError) as refused:
        make_options(mode="dropmalformed", columnwise=True)
    assert str(refused.value) == (
        'a udf returns a value for every row, so the mode "dropmalformed" can\'t drop one; use '
        'mode="permissive" and filter on the error column, or use score()'
    )


def test_numbers_of_numpy_are_numbers() -> None:
    """`batch_rows` may come out of a computation."""
    rows = make_options(batch_rows=np.int64(7)).batch_rows  # type: ignore[arg-type]
    assert rows == 7
    assert type(rows) is int


@pytest.mark.parametrize(
    ("row_bytes", "options", "expected_rows"),
    [
        (0, {}, BATCH_ROWS),
        (LAYER_CACHE_BYTES // BATCH_ROWS, {}, BATCH_ROWS),
        (LAYER_CACHE_BYTES // 500, {}, 500),
        (LAYER_CACHE_BYTES // 10, {}, LAYER_MIN_ROWS),
        (LAYER_MAX_BYTES // 10, {}, 10),
        (LAYER_MAX_BYTES * 10, {}, 1),
        (LAYER_MAX_BYTES, {"batch_rows": 1000}, 1000),
        (LAYER_MAX_BYTES, {"rows": "batch"}, BATCH_ROWS),
        (LAYER_MAX_BYTES, {"reproducible": True}, BATCH_ROWS),
    ],
)
def test_large_layers_take_fewer_rows_in_a_run(
    row_bytes: int, options: dict[str, Any], expected_rows: int
) -> None:
    """The largest tensor stays small, unless the user chose or scores would change."""
    model = evolve(MODEL, row_bytes=row_bytes)
    plan = bind(request_of(), UNIQUE, make_options(**options), model)
    assert plan.batch_rows == expected_rows


def test_each_thread_of_a_session_has_its_share_of_rows() -> None:
    """TensorFlow splits a run among its threads, each with a cache of its own."""
    model = evolve(MODEL, row_bytes=LAYER_CACHE_BYTES // 100, threads=4)
    assert bind(request_of(), UNIQUE, make_options(), model).batch_rows == 400


def test_error_column_has_a_name_of_its_own() -> None:
    """Permissive mode writes ``_error`` by default, other modes write no reason."""
    assert make_options(mode="permissive").error_column == "_error"
    assert make_options(mode="permissive", error_column="why").error_column == "why"
    assert make_options(rows="independent") == Options()


@pytest.mark.parametrize(
    ("outputs", "keep", "message"),
    [
        (
            {"score": dense(FLOAT32, N, name="score")},
            None,
            'output "score" would become the column "score", which is the name of the table\'s '
            'column "Score"; give it another name with fetch={"score_out": "score"}, or drop '
            "columns of the table with keep=[...]",
        ),
        (
            {"p": dense(FLOAT32, N, name="p"), "id": dense(FLOAT32, N, name="y")},
            ["id"],
            'output "y" would become the column "id", which is the name of the table\'s column '
            '"id"; give it another name with fetch={"id_out": "y", "p": "p"}, or drop columns of '
            "the table with keep=[...]",
        ),
        (
            {"p": dense(FLOAT32, N, name="y"), "P": dense(FLOAT32, N, name="z")},
            [],
            'output "z" would become the column "P", which is the name of output "y"; '
            'give it another name with fetch={"P_out": "z", "p": "y"}, or drop columns of the '
            "table with keep=[...]",
        ),
    ],
)
def test_new_columns_need_names_of_their_own(
    outputs: dict[str, TensorSpec], keep: list[str] | None, message: str
) -> None:
    """Names that differ only in case are the same to Spark; the message has a whole `fetch`."""
    assert message_of(request_of(outputs=outputs), keep=keep) == message


def test_a_dropped_column_frees_its_name() -> None:
    """An output may take the name of a column that isn't kept."""
    plan = plan_of(request_of(outputs={"Score": dense(FLOAT32, N, name="y")}), keep=["id"])
    assert plan.outputs[0].column == "Score"


def test_inputs_by_name_without_a_column() -> None:
    """The error of `check_columns` stops the binding."""
    spec = dense(INT64, N, name="idd")
    request = Request((FedInput(spec, Column("idd"), by_name=True),), ())
    assert message_of(request) == (
        'the table has no column for input "idd" (int64 [None]); its columns are "id", "x", '
        '"Score", "v"; did you mean feed={"idd": "id"}?'
    )


@pytest.mark.parametrize(("name", "fed"), [("id", True), ("missing", False)])
def test_default_stands_where_no_column_has_its_name(name: str, fed: bool) -> None:
    """An optional input is fed by a column of its name, or not at all."""
    spec = dense(INT64, N, name=name)
    request = Request((FedInput(spec, Column(name), by_name=True, optional=True),), ())
    assert [fed.name for fed in plan_of(request).inputs] == [name] * fed


def test_a_mismatch_of_an_input_stops_the_binding() -> None:
    """The error of `plan_input` is raised unchanged."""
    assert message_of(request_of({dense(FLOAT32, N): "x"})) == (
        'input "x" (float32 [None]) takes one value per row, but column "x" is array<float>; '
        'select one element first: df = df.withColumn("x", df["x"][0])'
    )


@pytest.mark.parametrize(
    ("inputs", "fixed"),
    [
        ({dense(FLOAT32, N, 8): "x"}, None),
        ({dense(FLOAT32, 32, 8): "x"}, 32),
        ({dense(FLOAT32, 32, 8): "x", dense(INT64, N, name="id"): "id"}, 32),
        ({dense(FLOAT32, 32, 8): "x", dense(INT64, 1, name="step"): 1}, 32),
        ({dense(INT64, 4, 8): "v.indices"}, 4),
        ({sparse((4, 10)): "v"}, 4),
    ],
)
def test_fixed_batch_dimension_is_found(inputs: dict[TensorSpec, Any], fixed: int | None) -> None:
    """Inputs of any form fix the rows of a run; constants don't."""
    outputs = {"y": dense(FLOAT32, fixed, name="y")}
    assert plan_of(request_of(inputs, outputs)).fixed_rows == fixed


def test_fixed_batch_dimensions_that_differ() -> None:
    """No batch is 1 and 32 rows long."""
    inputs = {dense(FLOAT32, 32, 8): "x", dense(INT64, 1, name="id"): "id"}
    assert message_of(request_of(inputs)) == (
        'the inputs\' batch dimensions are fixed and differ ("x" 32, "id" 1), so no batch of '
        "rows fits them all; export the model with batch dimensions of None"
    )


def test_outputs_of_fixed_length_arent_rows() -> None:
    """A table of weights as an output has as many entries as it has, whatever the batch."""
    outputs = {"w": dense(FLOAT32, 10, 4, name="w")}
    assert message_of(request_of(outputs=outputs)) == (
        'output "w" (float32 [10, 4]) has 10 entries however many rows the table has; write '
        "batch_rows=10 if a batch has exactly as many rows, batch_rows=1 if that is one row's "
        "output; or leave it out by naming the outputs you want: fetch=[...]"
    )


def test_reproducible_runs_have_one_size() -> None:
    """`reproducible` fixes the rows of each run, unless the model fixes them itself."""
    assert plan_of(reproducible=True).fixed_rows == 192
    fixed = request_of({dense(FLOAT32, 32, 8): "x"})
    assert plan_of(fixed, reproducible=True).fixed_rows == 32


@pytest.mark.parametrize(
    ("batch_rows", "run_rows"),
    [(10_000, 192), (192, 192), (191, 96), (64, 48), (47, 16), (15, 1), (1, 1)],
)
def test_reproducible_runs_leave_no_rows_over(batch_rows: int, run_rows: int) -> None:
    """A reproducible run has a size that kernels split into whole blocks of rows."""
    assert plan_of(reproducible=True, batch_rows=batch_rows).fixed_rows == run_rows


def test_reproducible_runs_have_one_thread() -> None:
    """The number of threads of a process or a task doesn't matter to them."""
    four_threads = evolve(MODEL, threads=4)
    schema = pa.schema([("x", array(pa.float32()))])
    for reproducible, threads in ((True, 1), (False, 4)):
        options = make_options(reproducible=reproducible)
        assert bind(request_of(), schema, options, four_threads).model.threads == threads


@pytest.mark.parametrize("batch_rows", [None, 1000])
def test_large_rows_make_smaller_runs(batch_rows: int | None) -> None:
    """If the shapes say that a row is large, a run has fewer rows, fixed or not."""
    wide = request_of({dense(FLOAT32, N, 1 << 20): "v"})
    plan = plan_of(wide, batch_rows=batch_rows, reproducible=True)
    assert plan.batch_rows * (4 << 20) == BATCH_BYTES
    assert plan.fixed_rows == plan.batch_rows


def test_strings_count_as_their_views() -> None:
    """A string's bytes aren't known before; its view is 24 bytes."""
    schema = pa.schema([("s", array(pa.string()))])
    plan = plan_of(request_of({dense(STRING, N, 1 << 20): "s"}), schema)
    assert plan.batch_rows == BATCH_BYTES // (24 << 20)
