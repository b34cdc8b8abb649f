from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cases import recommenders
from cases.html_page import Page
from cases.models import case, path_of
from tf2spark.cli.main import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def lookups() -> str:
    """A model of two columns, city (string) and year (long), with a list as its output."""
    return str(path_of(case("keras_lookups")))


def write_input(path: Path, rows: int = 60) -> None:
    """Write rows over six days, each twentieth of which has no city."""
    cities = [None if row % 20 == 3 else ("Oslo", "Rome")[row % 2] for row in range(rows)]
    days = [datetime.date(2026, 11, 1 + row % 6) for row in range(rows)]
    table = {"id": range(rows), "dt": days, "city": cities, "year": [2000] * rows}
    pq.write_table(pa.table(table), path)


@pytest.fixture
def table(tmp_path: Path) -> str:
    write_input(tmp_path / "in.parquet")
    return str(tmp_path / "in.parquet")


def page_at(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.usefixtures("spark")
class TestScore:
    def test_a_report_of_partitions_and_refused_rows(
        self, lookups: str, table: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """The page has what was written: rows, days, reasons, refused rows, and the plan."""
        files = ["--input", table, "--output", str(tmp_path / "out")]
        options = ["--mode", "permissive", "--partition-by", "dt", "--log-format", "json"]
        report = tmp_path / "job.html"
        assert run(["score", lookups, *files, *options, "--report", str(report)]) == 0
        text = page_at(report).text
        for words in (
            "60 rows in",
            "60 rows out",
            "3 refused (5.0 %)",
            "By day of dt",
            'column "city" is null',
            "nulls 3 (5.0 %)",
            "entries per row 2",
            "--partition-by dt",
            "city (string) city",
            "Physical Plan",
            "spark.master",
        ):
            assert words in text, words
        assert re.search(r"id city year dt _error (3|23|43) null 2000 2026-11-0\d", text)
        assert re.search(r"Python workers, peak [\d.]+ [MG]iB, the largest of \d", text)
        assert re.search(r"Spark's JVM here, peak [\d.]+ [MG]iB", text)
        events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [event["event"] for event in events][-2:] == ["report", "done"]
        assert events[-2]["path"] == str(report)

    def test_appended_rows_alone_are_counted(
        self, lookups: str, table: str, tmp_path: Path
    ) -> None:
        """The statistics of a job that appends are those of its own rows."""
        files = ["--input", table, "--output", str(tmp_path / "out"), "--mode", "permissive"]
        assert run(["score", lookups, *files]) == 0
        report = ["--append", "--report", str(tmp_path / "job.html")]
        assert run(["score", lookups, *files, *report]) == 0
        assert pq.read_table(tmp_path / "out").num_rows == 120
        text = page_at(tmp_path / "job.html").text
        assert "60 rows out" in text
        assert "nulls 3 (5.0 %)" in text

    @pytest.mark.parametrize("kind", ["json", "csv"])
    def test_text_formats_keep_their_types(self, kind: str, tmp_path: Path) -> None:
        """Numbers that were written as text are numbers on the page."""
        rows = pa.table({"rating": [4.5, 1.0], "age": [30, 40], "income": [1000.5, 7.0]})
        pq.write_table(rows, tmp_path / "in.parquet")
        model = str(path_of(case("keras_scalars")))
        files = ["--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out")]
        options = ["--output-format", kind, "--report", str(tmp_path / "job.html")]
        assert run(["score", model, *files, *options]) == 0
        assert "standard deviation" in page_at(tmp_path / "job.html").text

    def test_an_output_that_cannot_be_read_back(
        self, lookups: str, table: str, tmp_path: Path
    ) -> None:
        """The job succeeds all the same, and the page says that there are no statistics."""
        files = ["--input", table, "--output", str(tmp_path / "out"), "--mode", "dropmalformed"]
        options = ["--output-format", "noop", "--overwrite", "--report", str(tmp_path / "job.html")]
        assert run(["score", lookups, *files, *options]) == 0
        text = page_at(tmp_path / "job.html").text
        assert "No statistics: the output can't be read" in text
        assert "57 rows out" in text
        assert "3 rows were dropped" in text

    @pytest.mark.parametrize("place", ["missing/job.html", "out/job.html", "."])
    def test_an_unwritable_report_is_refused_before_the_job(
        self, place: str, lookups: str, table: str, tmp_path: Path, capsys: Capture
    ) -> None:
        """Nothing is scored when the page couldn't be written afterwards."""
        files = ["--input", table, "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files, "--report", str(tmp_path / place)]) == 2
        assert capsys.readouterr().err.startswith(f"Error: --report {tmp_path}")
        assert not (tmp_path / "out").exists()

    def test_a_job_that_fails_leaves_the_old_report(
        self, lookups: str, table: str, tmp_path: Path
    ) -> None:
        """A report is of a job that succeeded."""
        (tmp_path / "job.html").write_text("yesterday")
        files = ["--input", table, "--output", str(tmp_path / "out")]
        assert run(["score", lookups, *files, "--report", str(tmp_path / "job.html")]) == 2
        assert (tmp_path / "job.html").read_text() == "yesterday"

    def test_a_job_file_can_ask_for_one(self, lookups: str, table: str, tmp_path: Path) -> None:
        """`options.report` in a job's TOML is a path relative to the file."""
        job = f"""
            command = "score"
            model = "{lookups}"
            [input]
            path = "in.parquet"
            [output]
            path = "out"
            [options]
            mode = "permissive"
            report = "job.html"
            log_format = "none"
        """
        (tmp_path / "job.toml").write_text(job)
        assert run(["run", str(tmp_path / "job.toml")]) == 0
        assert "60 rows out" in page_at(tmp_path / "job.html").text


@pytest.mark.usefixtures("spark")
class TestRecommend:
    def test_a_report_of_recommendations(self, tmp_path: Path) -> None:
        """Scores, items, users with fewer than k, pairs and recommend's plan are on the page."""
        recommender = recommenders.case("doubles")
        pq.write_table(recommender.users(7), tmp_path / "users.parquet")
        pq.write_table(recommender.items(5), tmp_path / "items.parquet")
        files = [f"--users={tmp_path}/users.parquet", f"--items={tmp_path}/items.parquet"]
        model = str(recommenders.path_of(recommender))
        options = [f"--output={tmp_path}/out", f"--report={tmp_path}/job.html", "--k=8"]
        assert run(["recommend", model, *files, *options]) == 0
        text = page_at(tmp_path / "job.html").text
        for words in (
            "7 users in",
            "users with fewer than 8 items 7 (100.0 %)",
            "different items 5",
            "items per user 5",
            "preparing",
            "pairs per second",
        ):
            assert words in text, words


def test_without_jinja_one_sentence_says_how_to_get_it(
    lookups: str, table: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the extra isn't installed, the job is refused before it starts."""
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    files = ["--input", table, "--output", str(tmp_path / "out")]
    assert run(["score", lookups, *files, "--report", str(tmp_path / "job.html")]) == 1
    assert capsys.readouterr().err == (
        "Error: a report needs Jinja; pip install 'tf2spark[report]'\n"
    )
