from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cases.arrow_columns import VECTOR, batch_of, dense, sparse
from cases.arrow_columns import plan as input_plan
from cases.arrow_columns import source as source_of
from tf2spark.conversion.rows import RowsTooLarge
from tf2spark.dtypes import FLOAT32, INT64, STRING
from tf2spark.errors import RowCountError, RowError, RunError
from tf2spark.plan.row_names import ShownColumn, shown_columns
from tf2spark.plan.score import InputPlan, ModelRef, OutputPlan, Plan
from tf2spark.tensorflow_c.failure import TensorFlowFailure
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.testing import FakeSession, fed_strings, fetched_strings
from tf2spark.worker import score_loop
from tf2spark.worker.score_loop import score_batches

LISTS = pa.list_(pa.float32())
SUM = OutputPlan("sum", "sum", ("sum:0",), FLOAT32, (), pa.float32())
MODEL = ModelRef("/model", ("serve",), "digest")


def fed(column: int = 1, kind: pa.DataType = LISTS, **rest: Any) -> InputPlan:
    return evolve(input_plan(source_of(kind, column=column), **rest), name="x", tensors=("x:0",))


def job(*inputs: InputPlan, **rest: Any) -> Plan:
    rest.setdefault("outputs", (SUM,))
    rest.setdefault("shown", (ShownColumn("id", 0, is_id=True),))
    return Plan(MODEL, inputs or (fed(),), rest.pop("outputs"), rest.pop("keep", (0,)), **rest)


def floats(values: Any) -> Tensor:
    data = np.asarray(values, np.float32)
    return Tensor(FLOAT32, data.shape, data)


def rows_of(tensor: Tensor) -> Any:
    return tensor.data.reshape(tensor.shape)


def summed(feeds: dict[str, Tensor]) -> dict[str, Any]:
    """Sum each row; refuse rows that hold 13, as a gather refuses an id, and name the first."""
    table = rows_of(feeds["x:0"]).reshape(feeds["x:0"].shape[0], -1)
    bad = np.flatnonzero((table == 13).any(axis=1))
    if len(bad):
        raise TensorFlowFailure(3, f"indices[{bad[0]}] = 13 is not in [0, 13)")
    return {"sum:0": floats(table.sum(axis=1))}


def table(rows: list[Any], kind: pa.DataType = LISTS) -> pa.RecordBatch:
    ids = pa.array(range(len(rows)), pa.int32())
    return pa.RecordBatch.from_arrays([ids, pa.array(rows, kind)], names=["id", "x"])


def scored(
    plan: Plan,
    *batches: pa.RecordBatch,
    model: Callable[[dict[str, Tensor]], dict[str, Any]] = summed,
    location: str = "",
) -> tuple[list[dict[str, Any]], list[int]]:
    session = FakeSession(model)
    out = list(score_batches(plan, session, batches, location=location))
    for batch in out:
        batch.validate(full=True)
    return [row for batch in out for row in batch.to_pylist()], session.runs


def permissive(**rest: Any) -> Plan:
    return job(mode="permissive", error_column="_error", **rest)


def test_every_batch_comes_back_with_its_outputs() -> None:
    """One batch per batch, empty ones included, kept columns first, rows in order."""
    session = FakeSession(summed)
    batches = [table([[1, 2], [3, 4]]), table([]), table([[5, 6]])]
    out = list(score_batches(job(), session, batches))
    assert [batch.to_pydict() for batch in out] == [
        {"id": [0, 1], "sum": [3, 7]},
        {"id": [], "sum": []},
        {"id": [0], "sum": [11]},
    ]
    assert {batch.schema for batch in out} == {out[0].schema}
    assert session.runs == [2, 1]


def test_a_bad_row_stops_the_job_with_a_full_message() -> None:
    """It has the row's number in the partition, a few values, the reason and both other modes."""
    batches = [table([[1, 2]] * 1234), table([[1, 2], [1, None]])]
    with pytest.raises(RowError) as caught:
        scored(job(), *batches, location=" of partition 3")
    assert str(caught.value) == (
        'row 1,235 of partition 3 (id=1) can\'t be scored: column "x" contains a null; '
        'mode="permissive" scores the other rows and gives the reason in a column, '
        'mode="dropmalformed" leaves such rows out'
    )


def test_a_row_without_an_id_is_shown_by_its_plain_values() -> None:
    """At most three integers and strings, long ones cut; lists and floats don't help to find it."""
    names = ["a", "x", "f", "b", "c", "d", "e"]
    arrays = [pa.array([7]), pa.array([None], LISTS), pa.array([1.5]), pa.array(["w" * 50]),
              pa.array([None], pa.string()), pa.array([1]), pa.array([2])]  # fmt: skip
    batch = pa.RecordBatch.from_arrays(arrays, names=names)
    with pytest.raises(RowError) as caught:
        scored(job(shown=shown_columns(batch.schema, range(7), [1])), batch)
    assert str(caught.value).startswith(
        f"row 0 (counted from 0; a=7, b='{'w' * 36}..., c=null) can't be scored: "
        'column "x" is null; '
    )
    with pytest.raises(RowError, match=r"^row 0 \(counted from 0\) can't be scored: "):
        scored(job(fed(0), keep=(), shown=()), batch_of(pa.array([None], LISTS)))


def test_permissive_scores_all_others_and_gives_reasons() -> None:
    """The outputs of a bad row are null, its reason is in the error column, the order is kept."""
    rows = [[1, 2], None, [13, 1], [3, 4], [5, None], [6, 7]]
    got, _ = scored(permissive(), table(rows))
    assert [row["id"] for row in got] == list(range(6))
    assert [row["sum"] for row in got] == [3, None, None, 7, None, 13]
    assert [row["_error"] for row in got] == [
        None,
        'id=1: column "x" is null',
        'id=2: TensorFlow refused input "x": indices[0] = 13 is not in [0, 13)',
        None,
        'id=4: column "x" contains a null',
        None,
    ]


def test_dropmalformed_leaves_bad_rows_out() -> None:
    """The others keep their order and their kept columns."""
    got, _ = scored(
        job(mode="dropmalformed"), table([[1, 2], None, [13, 1], [3, 4]]), table([None])
    )
    assert got == [{"id": 0, "sum": 3}, {"id": 3, "sum": 7}]


def test_a_row_that_tensorflow_refuses_is_found_by_bisection() -> None:
    """One bad row of 64 costs twelve more runs, not one per row."""
    rows = [[float(row), 1.0] for row in range(100, 164)]
    rows[41] = [13.0, 1.0]
    got, runs = scored(permissive(), table(rows))
    assert [row["sum"] for row in got] == [None if i == 41 else i + 101 for i in range(64)]
    assert len(runs) == 13
    assert runs[0] == 64


def test_failfast_stops_at_the_first_bad_row() -> None:
    """If all rows are refused, the first is found without trying the rest."""
    session = FakeSession(summed)
    with pytest.raises(RowError, match=r"^row 0 \(id=0\) can't be scored: TensorFlow refused "):
        list(score_batches(job(), session, [table([[13, 13]] * 1024)]))
    assert len(session.runs) == 12  # the last with generated values, which pass


@pytest.mark.parametrize("code", [8, 13])
def test_failures_that_no_row_explains_are_raised_as_they_are(code: int) -> None:
    """No row is to blame for RESOURCE_EXHAUSTED and INTERNAL, in any mode."""
    failure = TensorFlowFailure(code, "out of memory")

    def model(feeds: dict[str, Tensor]) -> dict[str, Any]:
        raise failure

    with pytest.raises(TensorFlowFailure) as caught:
        scored(permissive(), table([[1, 2]] * 4), model=model)
    assert caught.value is failure


def test_all_rows_bad_and_no_rows_are_fine() -> None:
    """Columns without any value keep their types."""
    got, runs = scored(permissive(), table([None, None]))
    assert [row["sum"] for row in got] == [None, None]
    assert runs == []
    out = list(score_batches(permissive(), FakeSession(summed), [table([None]), table([])]))
    assert {batch.schema.field("sum").type for batch in out} == {pa.float32()}
    assert list(score_batches(job(), FakeSession(summed), [])) == []


def test_rows_of_different_lengths_run_in_groups_and_come_back_in_order() -> None:
    """[None, None] takes rows of one length per run."""
    rows = [[1], [1, 2], [3], [], [4, 5], [6]]
    got, runs = scored(job(), table(rows))
    assert [row["sum"] for row in got] == [1, 3, 3, 0, 9, 6]
    assert sorted(runs) == [1, 2, 3]


def test_runs_are_bounded_by_bytes() -> None:
    """Only a run of a single row may take more bytes than the plan allows."""
    largest = 0

    def model(feeds: dict[str, Tensor]) -> dict[str, Any]:
        nonlocal largest
        if feeds["x:0"].shape[0] > 1:
            largest = max(largest, feeds["x:0"].data.nbytes)
        return summed(feeds)

    rows: list[Any] = [sparse(100, {3: float(100 + i)}) for i in range(50)]
    plan = job(fed(kind=VECTOR, dims=(100,)), batch_bytes=4000)
    got, runs = scored(plan, table(rows, VECTOR), model=model)
    assert [row["sum"] for row in got] == list(range(100, 150))
    assert 0 < largest <= 4000
    assert sum(runs) == 50
    skewed: list[Any] = [[1.0] * 900] * 4 + [[1.0]] * 96
    got, runs = scored(job(fed(form="padded"), batch_bytes=4000), table(skewed), model=model)
    assert [row["sum"] for row in got] == [900] * 4 + [1] * 96
    assert largest <= 4000


def test_views_of_strings_count_as_24_bytes() -> None:
    """A run of short strings is bounded by its views, not by the text alone."""
    words = pa.list_(pa.string())
    spec = fed(kind=words, dtype=STRING)
    seen: list[int] = []

    def count(feeds: dict[str, Tensor]) -> dict[str, Any]:
        seen.append(feeds["x:0"].data.nbytes)
        return {"sum:0": floats([len(fed_strings(feeds["x:0"]))] * feeds["x:0"].shape[0])}

    scored(job(spec, batch_bytes=480), table([["a", "b"]] * 40, words), model=count)
    assert max(seen) <= 480


def test_a_constant_does_not_count_as_bytes_of_rows() -> None:
    """A large constant is the same in every run and must not cut the batch to single rows."""
    constant = InputPlan("c", ("c:0",), "constant", FLOAT32, value=[1.0] * 5000)
    _, runs = scored(job(fed(), constant, batch_bytes=4000), table([[1, 2]] * 40))
    assert runs == [40]


def test_rows_bound_a_run() -> None:
    """No run has more than `batch_rows`."""
    _, runs = scored(job(batch_rows=16), table([[1, 2]] * 40))
    assert runs == [16, 16, 8]


def test_runs_of_a_fixed_size_are_padded_and_cut() -> None:
    """Every run has exactly that many rows, and no padding is in the result."""
    rows: list[Any] = [[float(i)] for i in range(100, 110)]
    got, runs = scored(job(fixed_rows=4), table(rows))
    assert [row["sum"] for row in got] == list(range(100, 110))
    assert runs == [4, 4, 4]


def test_refused_rows_of_a_padded_batch_are_reported_once() -> None:
    """Even if the last row, which is repeated as padding, is bad itself, or rows are uneven."""
    rows: list[Any] = [[1], [13], [2], None, [3, 4], [13, 5], [None]]
    got, runs = scored(permissive(fixed_rows=5), table(rows))
    assert [row["sum"] for row in got] == [1, None, 2, None, 7, None, None]
    assert [row["_error"] is None for row in got] == [True, False, True, False, True, False, False]
    assert set(runs) == {5}
    wide = evolve(fed(), dims=(100,))
    plan = evolve(permissive(fixed_rows=3), inputs=(wide,), batch_bytes=1)
    got, _ = scored(plan, table([[1.0] * 100] * 4))
    assert [row["sum"] for row in got] == [100] * 4


def test_several_outputs_become_several_columns() -> None:
    """In the plan's order, each of its own type."""
    outputs = (
        OutputPlan("words", "w", ("w:0",), STRING, (2,), pa.list_(pa.string())),
        SUM,
        OutputPlan("count", "n", ("n:0",), INT64, (), pa.int64()),
    )

    def model(feeds: dict[str, Tensor]) -> dict[str, Any]:
        n = feeds["x:0"].shape[0]
        counts = np.arange(n)
        words = fetched_strings(["a", "ż"] * n, (n, 2))
        return summed(feeds) | {"w:0": words, "n:0": Tensor(INT64, (n,), counts)}

    got, _ = scored(job(outputs=outputs), table([[1, 2], [3, 4]]), model=model)
    assert got[1] == {"id": 1, "words": ["a", "ż"], "sum": 7, "count": 1}


@pytest.mark.parametrize(
    ("returned", "shape"),
    [(floats([[1, 2]]), "[1, 2]"), (floats([1] * 3), "[3]"), (floats(0), "[]")],
)
def test_an_output_of_the_wrong_shape_is_an_error_in_any_mode(returned: Tensor, shape: str) -> None:
    """No row is to blame."""
    with pytest.raises(RunError, match=r'output "sum" has shape ') as caught:
        scored(permissive(), table([[1, 2], [3, 4]]), model=lambda feeds: {"sum:0": returned})
    assert f"has shape {shape} for 2 rows, expected [2]" in str(caught.value)


def test_a_string_that_is_not_text_refuses_its_row_alone() -> None:
    """The reason says how to fetch bytes."""
    plan = permissive(outputs=(OutputPlan("y", "out", ("sum:0",), STRING, (), pa.string()),))

    def model(feeds: dict[str, Tensor]) -> dict[str, Any]:
        returned = [b"\xff" if row[0] == 2 else b"ok" for row in rows_of(feeds["x:0"])]
        return {"sum:0": fetched_strings(returned)}

    got, _ = scored(plan, table([[1], [2], [3]]), model=model)
    assert [row["y"] for row in got] == ["ok", None, "ok"]
    assert got[1]["_error"] == (
        'id=1: output "out" is not UTF-8 text; fetch binary(out) to get its bytes'
    )


def addresses(array: pa.Array) -> list[int | None]:
    return [buffer and buffer.address for buffer in array.buffers()]


def test_kept_columns_pass_through_untouched() -> None:
    """Nested, dictionary and string-view columns are returned in the same buffers."""
    kept = [
        pa.array([[{"a": 1}], []], pa.list_(pa.struct([("a", pa.int32())]))),
        pa.array(["u", "u"]).dictionary_encode(),
        pa.array(["long enough not to be inline", "b"], pa.string_view()),
    ]
    batch = batch_of(pa.array([[1.0], [2.0]], LISTS), *kept)
    (out,) = score_batches(job(fed(0), keep=(3, 1, 2)), FakeSession(summed), [batch])
    assert out.schema.names == ["c3", "c1", "c2", "sum"]
    for name in ("c1", "c2", "c3"):
        ours, theirs = out.column(name), batch.column(name)
        assert ours.type == theirs.type
        assert [b and b.address for b in ours.buffers()] == [
            b and b.address for b in theirs.buffers()
        ]


def test_a_model_that_no_column_feeds_is_run_for_every_row() -> None:
    """Constants and broadcast values alone give as many rows as the batch has."""
    inputs = (
        InputPlan("b", ("b:0",), "broadcast", FLOAT32, value=[2.0, 3.0]),
        InputPlan("s", ("s:0",), "broadcast", STRING, value="ż"),
        InputPlan("k", ("k:0",), "constant", FLOAT32, value=10.0),
    )

    def model(feeds: dict[str, Tensor]) -> dict[str, Any]:
        assert feeds["k:0"].shape == ()
        assert fed_strings(feeds["s:0"]) == ["ż".encode()] * feeds["b:0"].shape[0]
        return {"sum:0": floats(rows_of(feeds["b:0"]).sum(axis=1) * float(feeds["k:0"].data[0]))}

    got, runs = scored(job(*inputs, batch_rows=2), table([None] * 5), model=model)
    assert got == [{"id": i, "sum": 50} for i in range(5)]
    assert runs == [2, 2, 1]


def test_a_lost_row_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a step ever lost rows, no output of that batch would be passed on."""
    monkeypatch.setattr(score_loop, "rows_by_key", lambda keys: [np.array([0])])
    with pytest.raises(RowCountError) as caught:
        scored(permissive(), table([[1], [1, 2], [3]]), location=" of partition 7")
    assert str(caught.value) == (
        "a batch of partition 7 has 3 rows, but 1 were scored and 0 refused: "
        "this is a bug in tf2spark, please report it"
    )


VALUES = st.one_of(st.integers(0, 12).map(float), st.just(13.0), st.none())
ROW = st.one_of(st.none(), st.lists(VALUES, max_size=3))


def one_by_one(row: Any) -> float | None:
    """Return a row's sum, or None if it can't be scored: all of the rules."""
    return None if row is None or None in row or 13.0 in row else sum(row)


@given(
    st.lists(st.lists(ROW, max_size=12), max_size=3),
    st.integers(1, 8),
    st.sampled_from([1, 40, 1 << 20]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(["permissive", "dropmalformed"]),
)
def test_splitting_changes_no_result(
    batches: list[list[Any]], batch_rows: int, batch_bytes: int, fixed: int | None, mode: Any
) -> None:
    """However rows are sliced, grouped, halved, padded or refused, each gets the result that it
    gets alone, in the right position.
    """
    error = "_error" if mode == "permissive" else None
    plan = job(batch_rows=batch_rows, batch_bytes=batch_bytes, fixed_rows=fixed, mode=mode,
               error_column=error)  # fmt: skip
    got, _ = scored(plan, *map(table, batches))
    expected = [(i, one_by_one(row)) for rows in batches for i, row in enumerate(rows)]
    if mode == "dropmalformed":
        expected = [(i, total) for i, total in expected if total is not None]
    assert [(row["id"], row["sum"]) for row in got] == expected
    if error:
        assert [row[error] is None for row in got] == [total is not None for _, total in expected]


@given(st.lists(st.lists(st.integers(0, 12).map(float), min_size=2, max_size=2), max_size=20),
       st.integers(1, 5))  # fmt: skip
def test_the_slow_path_equals_the_fast_one(rows: list[Any], size: int) -> None:
    """A model that takes few rows at a time, so that every batch is halved, gives equal scores."""

    def small(feeds: dict[str, Tensor]) -> dict[str, Any]:
        if feeds["x:0"].shape[0] > size:
            raise RowsTooLarge
        return summed(feeds)

    fast, _ = scored(job(), table(rows))
    slow, _ = scored(job(), table(rows), model=small)
    assert slow == fast


def test_vectors_of_all_kinds_are_scored_together() -> None:
    """Dense, sparse, null and broken rows in one column."""
    rows = [dense(1, 2, 3), sparse(3, {2: 4.0}), None, sparse(2, {}), sparse(3, {5: 1.0}), dense(7)]
    plan = evolve(permissive(), inputs=(fed(kind=VECTOR, dims=(3,)),))
    got, _ = scored(plan, table(rows, VECTOR))
    assert [row["sum"] for row in got] == [6, 4, None, None, None, None]
    assert [row["_error"] for row in got][2:] == [
        'id=2: column "x" is null',
        'id=3: column "x" has 2 values, but input "x" takes 3',
        'id=4: column "x" has the index 5, but its size is 3',
        'id=5: column "x" has 1 value, but input "x" takes 3',
    ]
