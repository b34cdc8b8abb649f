"""The calls that docs/ shows, made with the real signatures and the real argument checks."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tf2spark
from tf2spark.binding.normalize import normalize_feeds, normalize_fetches
from tf2spark.binding.options import make_options
from tf2spark.cli.commands.run import JOBS
from tf2spark.cli.feed_text import parse_feed, parse_fetch
from tf2spark.cli.job_file import command_line, read_job
from tf2spark.cli.main import commands
from tf2spark.recommend.arguments import make_arguments

_DOCS = Path(__file__).parent.parent / "docs"
_PAGES = ["feeding.md", "rows.md", "clusters.md", "packages.md", "recommend.md", "custom_ops.md"]
_COMMAND_PAGES = [*_PAGES, "coming_from/tensorflow_java.md", "logs_and_reports.md", "tfrecord.md"]
_OPTIONS = {"keep", "batch_rows", "mode", "error_column", "reproducible", "model_column", "read"}
_UNASKED = {"mode": "failfast"}  # what `plan` doesn't take


class CheckedModel:
    """Checks arguments as `SavedModel` does, and runs nothing."""

    digest = f"sha256:{'0' * 64}"

    def __init__(self, path: str = "", **named: Any) -> None:
        inspect.signature(tf2spark.SavedModel).bind(path, **named)

    def score(self, *arguments: Any, **named: Any) -> None:
        self._check(tf2spark.SavedModel.score, arguments, named)

    def udf(self, **named: Any) -> Any:
        self._check(tf2spark.SavedModel.udf, (), named)
        return lambda *columns: None

    def register(self, *arguments: Any, **named: Any) -> None:
        self._check(tf2spark.SavedModel.register, arguments, named)

    def recommend(self, *arguments: Any, **named: Any) -> None:
        self._check_pairs(tf2spark.SavedModel.recommend, arguments, named)

    def plan(self, *arguments: Any, **named: Any) -> None:
        self._check_pairs(tf2spark.SavedModel.plan, arguments, named)

    def compile(self, *arguments: Any, **named: Any) -> CheckedModel:
        self._check(tf2spark.SavedModel.compile, arguments, named)
        return self

    def _check(self, method: Any, arguments: Any, named: dict[str, Any]) -> None:
        inspect.signature(method).bind(self, *arguments, **named)
        normalize_feeds(named.get("feed"))
        normalize_fetches(named.get("fetch"))
        make_options(**{key: value for key, value in named.items() if key in _OPTIONS})

    def _check_pairs(self, method: Any, arguments: Any, named: dict[str, Any]) -> None:
        call = inspect.signature(method).bind(self, *arguments, **named)
        call.apply_defaults()
        normalize_feeds(named.get("feed"))
        asked = inspect.signature(make_arguments).parameters
        named = {key: call.arguments.get(key, _UNASKED.get(key)) for key in asked}
        make_arguments(**named)


def checked_compile_model(*arguments: Any, **named: Any) -> CheckedModel:
    """Check arguments as `compile_model` does, and run nothing."""
    inspect.signature(tf2spark.compile_model).bind(*arguments, **named)
    return CheckedModel()


keras = SimpleNamespace(saving=SimpleNamespace(load_model=lambda path, **options: None))
"""Stands for Keras in the docs."""


class Frame:
    """Stands for a DataFrame in the docs."""

    def select(self, *columns: Any) -> None:
        """Take any columns."""


@pytest.mark.parametrize("page", _PAGES)
def test_calls_in_the_docs_are_right(page: str) -> None:
    """Every Python block of a page runs, and every argument passes the driver's checks."""
    blocks = re.findall(r"```python\n(.*?)```", (_DOCS / page).read_text(), re.DOTALL)
    assert blocks
    shown = SimpleNamespace(**{name: getattr(tf2spark, name) for name in tf2spark.__all__})
    shown.SavedModel = CheckedModel
    shown.compile_model = checked_compile_model
    names = {"model": CheckedModel(), "df": Frame(), "spark": None, "tf2spark": shown}
    names |= {"users": Frame(), "items": Frame(), "keras": keras, "network": None, "Tower": object}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


def test_commands_in_the_docs_are_right() -> None:
    """Every option that a page's commands use is one of that command, with a value it takes."""
    text = "\n".join((_DOCS / page).read_text() for page in _COMMAND_PAGES)
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    shown = [one.removeprefix("$ tf2spark ") for one in lines if one.startswith("$ tf2spark ")]
    assert len(shown) > 5
    root = commands.make_context("tf2spark", [], resilient_parsing=True)
    for name, *options in map(shlex.split, shown):
        given = commands.commands[name].make_context(name, options, parent=root).params
        parse_feed(given.get("feed") or ())


def test_job_file_in_the_docs_is_right(tmp_path: Path) -> None:
    """Every key of the page's file, those behind a # included, is a key of the command."""
    (text,) = re.findall(r"```toml\n(.*?)```", (_DOCS / "jobs.md").read_text(), re.DOTALL)
    complete = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    for number, job in enumerate((text, complete)):
        file = tmp_path / f"{number}.toml"
        file.write_text(job.replace('table = "houses"', 'path = "houses"') if number else job)
        name, *options = command_line(read_job(file, ()), JOBS)
        given = JOBS[name].make_context(name, options).params
        assert given["batch_rows"] == 1024


def test_command_line_means_what_python_means() -> None:
    """Each row of the command-line table says the same thing twice."""
    text = (_DOCS / "feeding.md").read_text()
    rows = re.findall(r"^\| `(feed|fetch)=(\{.*?\})` \| `--(feed|fetch) (.*?)`", text, re.MULTILINE)
    assert len(rows) == 12
    for keyword, value, option, written in rows:
        assert keyword == option
        python = eval(value, {name: getattr(tf2spark, name) for name in tf2spark.__all__})
        argument = shlex.split(written)
        if keyword == "feed":
            assert parse_feed(argument) == normalize_feeds(python)
        else:
            assert parse_fetch(argument) == normalize_fetches(python)
