from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.errors import StorageError
from tf2spark.worker.reading import read_ahead
from tf2spark.worker.reading.parquet_reader import FileRange, ParquetTask, read_batches
from tf2spark.worker.reading.read_ahead import RemoteFile, merge_spans

_MB = 1 << 20
_CONTENT = np.random.default_rng(1).bytes(8 * _MB)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat requests at once."""
    monkeypatch.setattr(read_ahead, "_PAUSES_SECONDS", (0.0, 0.0))


class Server:
    """Answers requests for parts of some bytes, and knows which there were."""

    def __init__(self, content: bytes = _CONTENT) -> None:
        self.content = content
        self.requests: list[tuple[int, int]] = []

    def __call__(self, start: int, buffer: memoryview) -> int:
        self.requests.append((start, len(buffer)))
        data = self.content[start : start + len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    def file(self, most_request_bytes: int = _MB) -> RemoteFile:
        return RemoteFile(self, len(self.content), most_request_bytes)


@frozen
class ServedFiles:
    """Files of this machine, read as if each read were a request."""

    requests: list[tuple[int, int]] = field(factory=list, eq=False)
    most_request_bytes: int = 2 * _MB
    before_each: Callable[[], None] = lambda: None

    def open(self, path: str) -> RemoteFile:
        server = Server(Path(path).read_bytes())

        def request(start: int, buffer: memoryview) -> int:
            self.before_each()
            self.requests.append((start, len(buffer)))
            return server(start, buffer)

        return RemoteFile(request, len(server.content), self.most_request_bytes)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def scan(path: Path, files: ServedFiles, *columns: str, **options: int) -> ParquetTask:
    schema = pa.schema([pq.read_schema(path).field(name) for name in columns]).remove_metadata()
    where = FileRange(str(path), 0, path.stat().st_size, files)  # type: ignore[arg-type]
    return ParquetTask((where,), schema, options.get("batch_rows", 4096))


def test_the_next_piece_is_requested_while_the_reader_has_the_one_before() -> None:
    """A span of 2.5 MB takes three requests; after the first bytes, the second has been sent."""
    server = Server()
    with server.file() as file:
        file.expect([(_MB, 3 * _MB + _MB // 2)])
        wait_for(lambda: server.requests == [(_MB, _MB)])
        file.seek(_MB)
        assert file.read(1000) == _CONTENT[_MB : _MB + 1000]
        wait_for(lambda: server.requests == [(_MB, _MB), (2 * _MB, _MB)])
        read = b"".join(bytes(file.read(300_000)) for _ in range(8))
        assert read == _CONTENT[_MB + 1000 : _MB + 1000 + 8 * 300_000]
        assert server.requests == [(_MB, _MB), (2 * _MB, _MB), (3 * _MB, _MB // 2)]


@given(
    spans=st.lists(st.tuples(st.integers(-5, 3_000), st.integers(0, 3_000)), max_size=6),
    reads=st.lists(st.tuples(st.integers(0, 2_500), st.integers(-1, 900)), max_size=12),
)
def test_any_read_returns_the_bytes_of_the_file(
    spans: list[tuple[int, int]], reads: list[tuple[int, int]]
) -> None:
    """In and across expected spans, whatever they are, forwards and backwards, and at the end."""
    content = _CONTENT[:2_200]
    with (
        Server(content).file(most_request_bytes=100) as file,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(read_ahead, "_SMALLEST_REQUEST_BYTES", 50)
        patch.setattr(read_ahead, "_GAP_BYTES", 20)
        file.expect(spans)
        for start, size in reads:
            assert file.seek(start) == start
            expected = content[start:] if size < 0 else content[start : start + size]
            assert bytes(file.read(size)) == expected
            assert file.tell() == start + len(expected)


def test_neighbors_share_a_request_while_it_has_room() -> None:
    """Small spans with small gaps are joined; large ones and distant ones aren't."""
    spans = [(0, 100), (100, 300), (40_000, 50_000), (900_000, 1_900_000), (1_900_000, 1_900_100)]
    joined = [(0, 50_000), (900_000, 1_900_000), (1_900_000, 1_900_100)]
    assert merge_spans(spans, 1_000_000) == joined
    assert merge_spans([(0, 100), (50, 60), (100, 120)], 1_000) == [(0, 120)]


def test_what_comes_back_short_is_an_error() -> None:
    """A file that has become shorter since it was opened is never read as if that were its end."""
    server = Server()
    with server.file() as file:
        server.content = _CONTENT[:_MB]
        file.expect([(0, 2 * _MB)])
        assert file.read(_MB) == _CONTENT[:_MB]
        with pytest.raises(OSError, match="ends at byte 1,048,576, and was longer when"):
            file.read(10)
        with pytest.raises(OSError, match="ends at byte 1,048,576, and was longer when"):
            file.read(10)


def test_row_groups_of_any_size_are_read_as_from_a_disk(tmp_path: Path) -> None:
    """Tiny row groups, whole ones, and columns that lie apart have the rows of the local file."""
    rng = np.random.default_rng(2)
    table = pa.table(
        {
            "id": np.arange(20_000),
            "gap": [rng.bytes(20) for _ in range(20_000)],
            "x": pa.FixedSizeListArray.from_arrays(rng.random(600_000), 30).cast(
                pa.list_(pa.float64())
            ),
        }
    )
    for rows in (200, 7_000, 20_000):
        path = tmp_path / str(rows)
        pq.write_table(table, path, row_group_size=rows)
        files = ServedFiles()
        read = pa.Table.from_batches(read_batches(scan(path, files, "id", "x")))
        assert read == table.select(["id", "x"]).cast(read.schema)
        # 5 MB in pieces of 2 MB and the footer, not a request for each of 200 chunks.
        assert len(files.requests) < 14


def test_a_large_row_group_is_never_held_whole(tmp_path: Path) -> None:
    """What was requested and not yet read stays below two requests and what the reader has."""
    values = np.random.default_rng(1).standard_normal(4_000_000)
    path = tmp_path / "f"
    pq.write_table(pa.table({"x": values}), path, use_dictionary=False, row_group_size=4_000_000)
    files = ServedFiles(most_request_bytes=_MB)
    rows = 0
    for batch in read_batches(scan(path, files, "x")):
        rows += batch.num_rows
        requested = sum(size for _, size in files.requests)
        # Pages of 1 MB are read whole.
        assert requested <= rows * 8 + 4.5 * _MB
    assert rows == 4_000_000


def test_requests_that_fail_name_the_file(tmp_path: Path) -> None:
    """An error of the server, ahead of the reader, is that of the file."""
    path = tmp_path / "f"
    pq.write_table(pa.table({"x": np.random.default_rng(1).random(500_000)}), path)
    left = iter(range(3))

    def fail_later() -> None:
        if next(left, None) is None:
            raise OSError("the server is gone")

    task = scan(path, ServedFiles(most_request_bytes=_MB, before_each=fail_later), "x")
    with pytest.raises(StorageError, match=r'f" can\'t be read as Parquet: the server is gone'):
        list(read_batches(task))


@pytest.mark.parametrize("is_ahead", [True, False])
@pytest.mark.parametrize("fault", ["fails", "is cut"])
def test_a_request_is_repeated(is_ahead: bool, fault: str) -> None:
    """A service that restarts, or an answer that is cut, doesn't fail the task."""
    server, faults = Server(), iter(range(2))

    def request(start: int, buffer: memoryview) -> int:
        size = server(start, buffer)
        if next(faults, None) is None:
            return size
        buffer[:] = bytes(len(buffer))
        if fault == "fails":
            raise OSError("AWS Error SLOW_DOWN during GetObject operation")
        return size // 2

    with RemoteFile(request, len(_CONTENT), _MB) as file:
        if is_ahead:
            file.expect([(0, 4 * _MB)])
        assert file.read(_MB) == _CONTENT[:_MB]
    assert next(faults, None) is None


@pytest.mark.parametrize(
    "problem",
    ["AWS Error ACCESS_DENIED during GetObject", "AWS Error NO_SUCH_KEY", "Permission denied: u"],
)
def test_a_problem_that_lasts_is_told_at_once(problem: str) -> None:
    """A missing object or a wrong key is the same a second later."""
    requests = []

    def request(start: int, buffer: memoryview) -> int:
        requests.append(start)
        raise OSError(problem)

    with RemoteFile(request, 100, _MB) as file, pytest.raises(OSError, match=problem):
        file.read(10)
    assert requests == [0]


def test_a_reader_that_stops_early_leaves_no_thread(tmp_path: Path) -> None:
    """With LIMIT, Spark takes some batches and no more."""
    path = tmp_path / "f"
    pq.write_table(pa.table({"x": np.random.default_rng(1).random(500_000)}), path)
    batches = read_batches(scan(path, ServedFiles(most_request_bytes=_MB), "x"))
    assert next(batches).num_rows == 4096
    mine = [thread for thread in threading.enumerate() if "read-ahead" in thread.name]
    assert mine
    batches.close()  # type: ignore[attr-defined]
    wait_for(lambda: not any(thread.is_alive() for thread in mine))
