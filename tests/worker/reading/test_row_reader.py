from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tf2spark.errors import ContractError, StorageError
from tf2spark.worker.reading import row_reader
from tf2spark.worker.reading.parquet_reader import FileRange
from tf2spark.worker.reading.parquet_types import UNKNOWN_CALENDARS
from tf2spark.worker.reading.row_reader import LateColumns, with_late_columns

COLUMNS = pa.schema([("text", pa.string()), ("numbers", pa.list_(pa.int64()))])
ROWS = 50
FILES = 3


def row_of(file: int, number: int) -> dict[str, Any]:
    return {"text": f"{file}.{number}", "numbers": [number] * (number % 4)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of 50 rows, in groups of 20; the last one lacks a column."""
    path = tmp_path_factory.mktemp("rows")
    for file in range(FILES):
        rows = [row_of(file, number) for number in range(ROWS)]
        table = pa.Table.from_pylist(rows, COLUMNS)
        if file == FILES - 1:
            table = table.drop_columns(["numbers"])
        pq.write_table(table, path / f"{file}.parquet", row_group_size=20)
    return path


def late(folder: Path, batch_rows: int = 7, **changed: Any) -> LateColumns:
    files = {10 + file: FileRange(str(folder / f"{file}.parquet"), 0, 0) for file in range(FILES)}
    options = {"columns": COLUMNS, "files": files} | changed
    return LateColumns(
        late=(2, 0), others=(1,), calendars=UNKNOWN_CALENDARS, batch_rows=batch_rows, **options
    )


def batch_of(rows: list[tuple[int, int] | None]) -> pa.RecordBatch:
    places = [row or (None, None) for row in rows]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(range(len(rows)), pa.int32()),
            pa.array([None if file is None else 10 + file for file, _ in places], pa.int64()),
            pa.array([number for _, number in places], pa.int64()),
        ],
        names=["c0", "c1", "c2"],
    )


def expected(row: tuple[int, int] | None) -> tuple[str | None, list[int] | None]:
    if row is None:
        return None, None
    found = row_of(*row)
    return found["text"], None if row[0] == FILES - 1 else found["numbers"]


@pytest.mark.oldest
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(
            st.none() | st.tuples(st.integers(0, FILES - 1), st.integers(0, ROWS - 1)), max_size=30
        ),
        max_size=4,
    ),
    is_sorted=st.booleans(),
    batch_rows=st.integers(1, 60),
)
def test_each_row_has_its_own_values(
    folder: Path,
    batches: list[list[tuple[int, int] | None]],
    is_sorted: bool,
    batch_rows: int,
) -> None:
    """In any order, repeatedly, from several files, and null where a join made the row."""
    if is_sorted:
        batches = [sorted(rows, key=lambda row: row or (-1, -1)) for rows in batches]
    completed = with_late_columns(late(folder, batch_rows), map(batch_of, batches))
    for rows, batch in zip(batches, completed, strict=True):
        batch.validate(full=True)
        assert batch.schema.names == ["c0", "c1", "c2"]
        assert batch.column(1).to_pylist() == list(range(len(rows)))
        found = zip(batch.column(2).to_pylist(), batch.column(0).to_pylist(), strict=True)
        assert list(found) == [expected(row) for row in rows]


def test_rows_in_order_are_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch after batch, a file is opened once and streamed; groups without a row are skipped."""
    started: list[int] = []
    start = row_reader._FileRows._start

    def counted(rows: row_reader._FileRows, group: int) -> None:
        started.append(group)
        start(rows, group)

    monkeypatch.setattr(row_reader._FileRows, "_start", counted)
    tens = [[(0, number) for number in range(first, first + 10)] for first in range(0, ROWS, 10)]
    opened = []
    for batch in with_late_columns(
        late(folder), (batch_of([*rows]) for rows in [*tens, [(1, 3), (1, 41)]])
    ):
        assert batch.num_rows in (2, 10)
        opened.append(len(started))
    assert opened == [1, 1, 1, 1, 1, 3]
    assert started == [0, 0, 2]


def read(how: LateColumns, row: tuple[int, int]) -> None:
    list(with_late_columns(how, [batch_of([row])]))


def test_what_changed_under_the_job_is_an_error(folder: Path, tmp_path: Path) -> None:
    """A file that Spark didn't list, one with fewer rows, of other types, or none at all."""
    with pytest.raises(StorageError, match=r"wasn't there when the table was scored.*read"):
        read(late(folder), (7, 0))
    with pytest.raises(StorageError, match=r'0\.parquet" has 50 rows, and Spark read more'):
        read(late(folder), (0, ROWS))
    with pytest.raises(StorageError, match=r"can't be read as Parquet"):
        read(late(tmp_path), (0, 0))
    columns = pa.schema([("text", pa.int64()), ("numbers", pa.list_(pa.int64()))])
    with pytest.raises(ContractError, match=r"0\.parquet.*column \"text\" is string"):
        read(late(folder, columns=columns), (0, 0))
