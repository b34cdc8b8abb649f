"""The code blocks of README and docs/: every one runs in some test, or says why it can't."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from pyspark.sql import DataFrame, SparkSession

import tf2spark
import tf2spark.ml
import tf2spark.mlflow
from tf2spark.cli.main import run

_ROOT = Path(__file__).parent.parent
_DOCS = _ROOT / "docs"
_COMING_FROM = sorted((_DOCS / "coming_from").glob("*.md"))
_NOT_RUN = re.compile(r"<!-- not run: .+? -->\n")
_BLOCK = re.compile(r"^```(python|pycon|console|toml|sh|sql|scala)\n(.*?)^```", re.M | re.S)

# The test that runs the blocks of a page, where it isn't this one.
_RUN_ELSEWHERE = {
    "README.md": "its blocks are those of start.md, in this file",
    "README.zh-CN.md": "its blocks are those of README.md, in this file",
    "CONTRIBUTING.md": "test_docs.py: the targets exist",
    "docs/start.zh.md": "its blocks are those of start.md, in this file",
    "docs/clusters.md": "test_docs_calls.py",
    "docs/custom_ops.md": "test_docs_calls.py",
    "docs/declarative_pipelines.md": "spark/streaming/test_declarative_pipelines.py",
    "docs/feeding.md": "test_docs_calls.py",
    "docs/jobs.md": "test_docs_calls.py and cli/test_airflow.py",
    "docs/logs_and_reports.md": "test_docs_calls.py and spark/test_observed_metrics.py",
    "docs/mlflow.md": "mlflow_models/test_page.py",
    "docs/notebooks.md": "notebook/test_notebooks.py",
    "docs/packages.md": "test_docs_calls.py",
    "docs/performance.md": "test_docs.py: the targets exist",
    "docs/pipelines.md": "ml/test_page.py",
    "docs/recommend.md": "test_docs_calls.py",
    "docs/rows.md": "test_docs_calls.py",
    "docs/streams.md": "spark/streaming/test_page.py",
    "docs/tfrecord.md": "spark/tfrecord/test_register.py",
}
_RUN_HERE = {"docs/start.md", "docs/api.md"} | {f"docs/coming_from/{p.name}" for p in _COMING_FROM}


def blocks(page: Path, kind: str) -> list[str]:
    """Return the blocks of one kind that run, in their order."""
    text = re.sub(_NOT_RUN.pattern + r"```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return [block for found, block in _BLOCK.findall(text) if found == kind]


def code_blocks(page: Path) -> list[tuple[str, str]]:
    """Return all blocks with their kinds, also what programs print."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.M | re.S)


def absolute(program: str, folder: Path) -> str:
    """Make the paths absolute that Spark's JVM and workers read: they have their own folder."""
    paths = r"\w+\.parquet|records|models/\w+/\d+|mlflow_price[\w./]*"
    return re.sub(rf'"({paths})"', rf'"{folder}/\1"', program)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory of a reader, in which the pages' programs run."""
    path = tmp_path_factory.mktemp("reader")
    before = Path.cwd()
    os.chdir(path)
    yield path
    os.chdir(before)


@pytest.fixture(scope="module")
def start(folder: Path, spark: SparkSession) -> Iterator[tuple[dict[str, Any], str]]:
    """The names that the program of Start defines, and what it prints."""
    names: dict[str, Any] = {}
    printed = io.StringIO()
    program = absolute("\n".join(blocks(_DOCS / "start.md", "python")), folder)
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "start.md", "exec"), names)
    yield names, printed.getvalue()
    spark.catalog.dropTempView("houses")
    spark.sql("DROP TEMPORARY FUNCTION IF EXISTS price")


def test_start_prints_what_it_shows(start: tuple[dict[str, Any], str]) -> None:
    """Its Python runs from the first line to the last, and prints the texts on the page."""
    _, printed = start
    shown = [block for kind, block in code_blocks(_DOCS / "start.md") if kind == "text"]
    assert len(shown) == 5
    for text in shown:
        for line in text.splitlines():
            assert line.strip() in printed, f"{line}\n--- was printed:\n{printed}"
    assert "The graph is split." in printed
    assert len(re.findall(r"\|recommendations +\|", printed)) == 1


def test_commands_of_start_run(
    start: tuple[dict[str, Any], str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands work on what the Python before them has written, in this process's session."""
    lines = "\n".join(blocks(_DOCS / "start.md", "console")).replace("\\\n", " ").splitlines()
    shown = [line.removeprefix("$ ") for line in lines if line.startswith("$ tf2spark ")]
    assert len(shown) == 5
    for line in shown:
        _, *words = shlex.split(line)
        # Spark's JVM has its own folder.
        arguments = [str(folder / word) if word.endswith(".parquet") else word for word in words]
        assert run(arguments) == 0, capsys.readouterr()
    printed = capsys.readouterr().out
    assert "2 rows, " in printed
    assert "3 users, 12 pairs, " in printed
    assert "ready to score" in printed


@pytest.mark.filterwarnings("default")  # as for a reader: other tools warn of their own ways
@pytest.mark.parametrize("page", _COMING_FROM, ids=lambda page: page.stem)
def test_their_code_and_ours_give_the_same(
    page: Path, start: tuple[dict[str, Any], str], spark: SparkSession, folder: Path
) -> None:
    """The page's programs run, and where both ran, their tables are equal."""
    program = absolute("\n".join(blocks(page, "python")), folder)
    for module in re.findall(r"^import (mlflow)$", program, re.M):
        pytest.importorskip(module)
    names: dict[str, Any] = {"spark": spark}
    exec(compile(program, page.name, "exec"), names)
    if "theirs" not in names:
        assert names["scored"].count() == 2
        return
    ours, theirs = comparable(names["ours"]), comparable(names["theirs"])
    assert len(ours) == len(theirs) > 0
    for (key, our_values), (their_key, their_values) in zip(ours, theirs, strict=True):
        assert key == their_key
        assert our_values == pytest.approx(their_values, rel=1e-5)


def comparable(table: DataFrame) -> list[tuple[int, list[float]]]:
    """Return each row's id and scores; of recommendations, the scores without the items' ids."""
    rows = []
    # In one task, because every worker of theirs imports TensorFlow.
    for key, value in sorted(tuple(row) for row in table.coalesce(1).collect()):
        scores = [item[1] for item in value] if isinstance(value, list) else [value]
        rows.append((key, scores))
    return rows


@pytest.mark.filterwarnings("default")  # as for a reader
def test_examples_of_the_api_page_run(
    start: tuple[dict[str, Any], str], spark: SparkSession, folder: Path
) -> None:
    """They print what the page shows, one after the other."""
    program = absolute("\n".join(blocks(_DOCS / "api.md", "pycon")), folder)
    test = doctest.DocTestParser().get_doctest(program, {"spark": spark}, "api.md", "api.md", 0)
    printed = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    try:
        result = runner.run(test, out=printed.write)
    finally:
        mlflow.set_tracking_uri(None)  # other tests have no server, or their own
    assert result.attempted > 30
    assert result.failed == 0, printed.getvalue()


def test_every_public_name_has_an_example() -> None:
    """Each exported name and each method of a model is documented, and used in the examples."""
    page = (_DOCS / "api.md").read_text()
    examples = "\n".join(blocks(_DOCS / "api.md", "pycon"))
    members = [name for name in vars(tf2spark.SavedModel) if not name.startswith("_")]
    for name in [*tf2spark.__all__, *(f"SavedModel.{member}" for member in members)]:
        assert re.search(rf"^\.\. auto\w+:: tf2spark\.{re.escape(name)}$", page, re.M), name
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", examples), name
    for module, names in (
        ("ml", tf2spark.ml.__all__),
        ("mlflow", tf2spark.mlflow.__all__),
        ("errors", ("from_spark", "from_text")),
    ):
        for name in names:
            assert re.search(rf"^\.\. auto\w+:: tf2spark\.{module}\.{name}$", page, re.M), name
            assert re.search(rf"\b{name}\b", examples), name
    for error in vars(tf2spark.errors).values():
        if isinstance(error, type) and issubclass(error, tf2spark.errors.Tf2SparkError | Warning):
            assert f".. autoexception:: tf2spark.errors.{error.__name__}\n" in page


@pytest.mark.parametrize(
    ("page", "whole"),
    [("README.md", "docs/start.md"), ("README.zh-CN.md", "README.md")],
)
def test_blocks_are_those_of_another_page(page: str, whole: str) -> None:
    """What a reader can run on the one page is on the other, character by character."""
    runnable = _BLOCK.findall((_ROOT / page).read_text())
    of_the_whole = _BLOCK.findall((_ROOT / whole).read_text())
    assert len(runnable) > 8
    missing = [block for block in runnable if block not in of_the_whole]
    assert [code for _, code in missing if not code.startswith("make demo ")] == []


def test_chinese_start_has_the_same_code() -> None:
    """All blocks of Start are in the Chinese page, in the same order."""
    assert code_blocks(_DOCS / "start.zh.md") == code_blocks(_DOCS / "start.md")


@pytest.mark.parametrize(
    ("english", "chinese"),
    [("README.md", "README.zh-CN.md"), ("docs/start.md", "docs/start.zh.md")],
)
def test_chinese_pages_have_the_same_sections(english: str, chinese: str) -> None:
    """A section or a row of a table that is added to one is missed in the other."""

    def outline(page: str) -> list[str]:
        text = re.sub(r"^```.*?^```", "", (_ROOT / page).read_text(), flags=re.M | re.S)
        return re.findall(r"^(#+ |\| |!\[)", text, re.M)

    assert outline(english) == outline(chinese)


def test_every_page_with_code_is_run_by_a_test() -> None:
    """A new page with a block has to say here which test runs it."""
    pages = [*_ROOT.glob("*.md"), *_DOCS.rglob("*.md")]
    with_code = {
        page.relative_to(_ROOT).as_posix()
        for page in pages
        if any(blocks(page, kind) for kind in ("python", "pycon", "console", "toml", "sh", "sql"))
    }
    assert with_code - _RUN_HERE == set(_RUN_ELSEWHERE)


def test_blocks_that_do_not_run_say_why() -> None:
    """Scala can't run here, and nothing else is left out silently."""
    for page in [*_ROOT.glob("*.md"), *_DOCS.rglob("*.md")]:
        text = page.read_text()
        assert text.count("```scala") <= len(_NOT_RUN.findall(text)), page
