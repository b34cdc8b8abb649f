from __future__ import annotations

import itertools
import json
import re
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from cases import recommenders
from cases.models import case, path_of
from tf2spark.cli.job_log import JobLog, ProgressSchedule
from tf2spark.cli.jobs import per_second
from tf2spark.cli.main import run

Capture = pytest.CaptureFixture[str]
_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


class TestProgressSchedule:
    def due_at(self, seconds: int, share_at: Any = lambda _: 0.0) -> list[int]:
        """The seconds at which a line is written, of a job that is asked each second."""
        schedule = ProgressSchedule()
        return [second for second in range(seconds) if schedule.is_due(second, share_at(second))]

    def test_intervals_grow_to_a_minute(self) -> None:
        """A job that stands still shows life early, and later once a minute."""
        assert self.due_at(300) == [10, 30, 70, 130, 190, 250]

    def test_a_tenth_of_the_tasks_is_a_line(self) -> None:
        """A job of 1,000 seconds writes a line for each tenth, and no minute is silent."""
        due = self.due_at(1000, lambda second: second / 1000)
        assert set(range(200, 1000, 100)) <= set(due)
        assert max(b - a for a, b in itertools.pairwise(due)) <= 60

    def test_a_fast_job_is_not_flooded(self) -> None:
        """However fast the tenths follow each other, lines are ten seconds apart."""
        due = self.due_at(100, lambda second: min(1.0, second / 20))
        assert min(b - a for a, b in itertools.pairwise(due)) >= 10
        assert len(due) <= 5

    def test_tasks_that_are_added_write_nothing_twice(self) -> None:
        """A share that falls, as when a new stage starts, is no progress."""
        schedule = ProgressSchedule()
        assert schedule.is_due(10, 0.9)
        assert not schedule.is_due(20.5, 0.5)
        assert not schedule.is_due(29, 0.9)


class TestEvents:
    def test_text_is_one_line_whatever_it_contains(self, capsys: Capture) -> None:
        """A path can't forge a line of the log, and shows no password."""
        log = JobLog("text")
        log.event("start", "model s3a://me:secret-key@bucket/a\nError: forged")
        line = capsys.readouterr().err
        assert re.fullmatch(rf"{_STAMP} start: model s3a://\*\*\*@bucket/a\\nError: forged\n", line)

    def test_json_has_the_facts_without_secrets(self, capsys: Capture) -> None:
        """An event is one object with the time in UTC, and nested texts are safe too."""
        log = JobLog("json")
        log.event("start", "x", input="s3a://me:secret-key@bucket/a\nb", rows=None)
        (event,) = events_of(capsys.readouterr().err)
        assert datetime.fromisoformat(event.pop("time")).utcoffset() is not None
        assert event == {
            "event": "start",
            "message": "x",
            "input": "s3a://***@bucket/a\\nb",
            "rows": None,
        }

    def test_none_writes_errors_only(self, capsys: Capture) -> None:
        """--log-format none keeps cron from sending mail, except for a failure."""
        log = JobLog("none")
        log.event("start", "x")
        log.error("it broke", 2)
        assert capsys.readouterr().err == "Error: it broke\n"

    def test_printed_lines_become_events(self, capsys: Capture) -> None:
        """A warning that other code prints doesn't break a stream of JSON."""
        log = JobLog("json")
        with log.other_lines_as_events():
            print("Warning: the rows depend on each other", file=sys.stderr)
            click.echo("removed /tmp/x", err=True)
        events = events_of(capsys.readouterr().err)
        assert [(event["event"], event["message"]) for event in events] == [
            ("warning", "the rows depend on each other"),
            ("note", "removed /tmp/x"),
        ]


class TestRefusedOptions:
    @pytest.mark.parametrize(
        "options",
        [
            ["--log-format", "json"],
            ["--log-format=json", "--no-such-option"],
            ["--log-format=json", "--mode", "lenient"],
        ],
        ids=["missing", "unknown", "choice"],
    )
    def test_are_json_too(self, options: list[str], capsys: Capture) -> None:
        """Arguments that can't be parsed end in one object with the exit status."""
        assert run(["score", "model", "--input", "in", *options]) == 2
        printed = capsys.readouterr()
        (event,) = events_of(printed.err)
        assert (event["event"], event["exit_status"], printed.out) == ("error", 2, "")
        assert event["message"]

    def test_a_wrong_format_is_named(self, capsys: Capture) -> None:
        """A format that isn't one is refused with the list of those that are."""
        assert run(["score", "m", "--input", "i", "--output", "o", "--log-format", "xml"]) == 2
        assert "'auto', 'text', 'json', 'none'" in capsys.readouterr().err


@pytest.mark.usefixtures("spark")
class TestJobs:
    @pytest.fixture
    def left(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What is said of folders that a killed run left, of which there is one."""
        notes = ["removed /tmp/x, which a run that was killed had left"]
        monkeypatch.setattr("tf2spark.package.staging.remove_abandoned", lambda: notes)
        return notes

    @pytest.fixture
    def command(self, tmp_path: Path) -> list[str]:
        """A job that scores 20 rows, the second of which has no city."""
        cities = ["Oslo", None, *["Rome"] * 18]
        rows = pa.table({"id": range(20), "city": cities, "year": [2000] * 20})
        pq.write_table(rows, tmp_path / "in.parquet")
        files = ["--input", str(tmp_path / "in.parquet"), "--output", str(tmp_path / "out")]
        return ["score", str(path_of(case("keras_lookups"))), *files]

    def test_text(self, command: list[str], tmp_path: Path, capsys: Capture) -> None:
        """Without a terminal, timestamped lines say what is scored, with what, and the result."""
        assert run([*command, "--mode", "permissive"]) == 0
        printed = capsys.readouterr()
        lines = printed.err.splitlines()
        assert all(re.match(rf"{_STAMP} \w+: ", line) for line in lines)
        events = [line.split(" ", 1)[1] for line in lines]
        # Whoever was killed on this machine may have left folders.
        start, model, reading, *_, tasks, done = [
            each for each in events if "which a run" not in each
        ]
        assert re.match(r"start: tf2spark \S+ score, model .*keras_lookups, input .*in.pa", start)
        assert re.fullmatch(r"model: .*keras_lookups, digest sha256:\w{64}", model)
        assert re.fullmatch(r"reading: input .*: 1 file, about [\d.]+ KiB", reading)
        assert re.fullmatch(
            r"tasks: [1-9]\d* done, 0 attempts failed; (the middle one took .*, )?the slowest .*; "
            r"(1 model|models) opened.* [\d.]+ s",
            tasks,
        )
        assert re.fullmatch(
            r"done: 20 rows in, 20 out, 1 refused, [\d.]+ s, [\d.]+ rows/s: .*/out", done
        )
        assert printed.out.startswith("20 rows, 1 of them could not be scored, ")

    def test_json(
        self,
        command: list[str],
        tmp_path: Path,
        capsys: Capture,
        left: list[str],
    ) -> None:
        """Each line is an object, with the keys that the manual lists, and stdout is empty."""
        assert run([*command, "--mode", "dropmalformed", "--log-format", "json"]) == 0
        printed = capsys.readouterr()
        by_name = {event["event"]: event for event in events_of(printed.err)}
        assert printed.out == ""
        assert by_name["start"]["command"] == "score"
        assert by_name["start"]["output"] == str(tmp_path / "out")
        assert by_name["note"]["message"] == left[0]
        assert by_name["reading"]["files"] == 1
        assert by_name["tasks"]["failed"] == 0
        assert by_name["tasks"]["models_opened"] > 0
        done = by_name["done"]
        assert (done["rows_in"], done["rows_out"], done["rows_refused"]) == (20, 19, 1)
        manual = (Path(__file__).parents[2] / "docs" / "logs_and_reports.md").read_text()
        for event in by_name.values():
            assert [key for key in event if f"`{key}`" not in manual] == []

    def test_a_failure_ends_the_log(self, command: list[str], capsys: Capture) -> None:
        """The last event of a job that fails has the message and the exit status."""
        assert run([*command, "--log-format", "json"]) == 2
        *_, last = events_of(capsys.readouterr().err)
        assert (last["event"], last["exit_status"]) == ("error", 2)
        assert '"city"' in last["message"]
        assert run(["doctor", "--last"]) == 0
        explained = capsys.readouterr().out
        assert "score, model " in explained
        assert f"with exit status 2: {last['message'].rstrip('.')}" in explained
        assert run(command) == 2
        *_, failed, message = capsys.readouterr().err.splitlines()
        assert re.fullmatch(rf"{_STAMP} failed: after [\d.]+ s", failed)
        assert message.startswith("Error: ")

    def test_what_killed_runs_left_is_said_when_it_is_removed(
        self,
        command: list[str],
        tmp_path: Path,
        capsys: Capture,
        left: list[str],
    ) -> None:
        """Also by a job that fails before its tables are open; the folder is gone all the same."""
        (tmp_path / "broken.parquet").write_bytes(b"no Parquet")
        broken = [each.replace("in.parquet", "broken.parquet") for each in command]
        assert run(broken) == 2
        assert f" note: {left[0]}\n" in capsys.readouterr().err
        log = JobLog("bar")
        log.note(left[0])
        assert capsys.readouterr().err == f"{left[0]}\n"

    def test_recommend_counts_users(self, tmp_path: Path, capsys: Capture) -> None:
        """The events of recommend name both tables and count users."""
        recommender = recommenders.case("doubles")
        pq.write_table(recommender.users(3), tmp_path / "users.parquet")
        pq.write_table(recommender.items(5), tmp_path / "items.parquet")
        files = [f"--users={tmp_path}/users.parquet", f"--items={tmp_path}/items.parquet"]
        model = str(recommenders.path_of(recommender))
        options = [f"--output={tmp_path}/out", "--log-format=json"]
        assert run(["recommend", model, *files, *options]) == 0
        events = events_of(capsys.readouterr().err)
        tables = [event["table"] for event in events if event["event"] == "reading"]
        assert tables == ["users", "items"]
        assert (events[-1]["rows_in"], events[-1]["rows_out"]) == (3, 3)

    def test_progress_shows_even_where_stderr_is_redirected(
        self,
        spark: SparkSession,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """While recommend silences TensorFlow's own messages, progress is still written."""
        from tf2spark.compile.quiet import silence

        monkeypatch.setattr("tf2spark.cli.job_log._POLL_SECONDS", 0.05)
        monkeypatch.setattr("tf2spark.cli.job_log._FIRST_SECONDS", 0.1)
        log = JobLog("json")
        with log.progress(spark, "preparing", "items"), silence():
            # As a lambda, because workers can't import this module.
            spark.sparkContext.parallelize([1.5], 1).map(
                lambda seconds: time.sleep(seconds)
            ).collect()
        events = [event for event in events_of(capfd.readouterr().err) if event["tasks"]]
        assert events[0]["event"] == "progress"
        assert events[0]["activity"] == "preparing"
        assert events[0]["tasks"] == 1


@pytest.mark.parametrize(
    ("count", "seconds", "text"),
    [(2, 15.5, "0.13"), (12, 8.0, "1.5"), (3_000_000, 2.0, "1,500,000"), (0, 1.0, "0")],
)
def test_a_rate_of_some_rows_is_not_zero(count: int, seconds: float, text: str) -> None:
    """A small job took longer than a second per row, most of it to start."""
    assert per_second(count, seconds) == text
