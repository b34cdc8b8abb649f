from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tf2spark.cli.main import commands
from tf2spark.cli.reference import page

_ROOT = Path(__file__).parent.parent
_PAGES = [*_ROOT.glob("*.md"), *(_ROOT / "docs").glob("*.md")]


def blocks(kind: str) -> str:
    """Return the README's code blocks of one kind, joined in their order."""
    readme = (_ROOT / "README.md").read_text()
    return "\n".join(re.findall(rf"```{kind}\n(.*?)```", readme, re.DOTALL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        arguments,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PATH": path, "PYSPARK_PYTHON": sys.executable},
        check=False,
    )


@pytest.fixture(scope="module")
def python(folder: Path) -> subprocess.CompletedProcess[str]:
    """The README's Python blocks, run as one program."""
    return run([sys.executable, "-c", blocks("python")], folder)


@pytest.mark.spark
def test_python_of_the_readme_runs(python: subprocess.CompletedProcess[str]) -> None:
    """The blocks run one after the other, and print a contract and scores."""
    assert python.returncode == 0, python.stderr[-3000:]
    assert "signature serving_default" in python.stdout
    assert len(re.findall(r"\|\s*price\|", python.stdout)) == 2
    assert "The graph is split." in python.stdout
    assert len(re.findall(r"\|recommendations +\|", python.stdout)) == 1


@pytest.mark.spark
@pytest.mark.usefixtures("python")
def test_commands_of_the_readme_run(folder: Path) -> None:
    """The commands work on what the Python before them has written."""
    lines = blocks("console").replace("\\\n", " ").splitlines()
    shown = [line.removeprefix("$ ") for line in lines if line.startswith("$ tf2spark ")]
    assert len(shown) == 5
    done = run(["bash", "-e", "-c", "\n".join(shown)], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rows, " in done.stdout
    assert "3 users, 12 pairs, " in done.stdout
    assert "ready to score" in done.stdout


def test_command_line_page_is_the_help() -> None:
    """docs/cli.md is what `make docs` writes."""
    assert (_ROOT / "docs" / "cli.md").read_text() == page()


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_readme_names_every_command(name: str) -> None:
    """A command that the README doesn't mention would never be found."""
    assert f"`{name}`" in (_ROOT / "README.md").read_text()


def test_make_targets_of_the_pages_exist() -> None:
    """`make help` has every target that a page names."""
    help_text = run(["make", "-C", str(_ROOT), "help"], _ROOT).stdout
    targets = set(re.findall(r"^  make ([a-z0-9-]+) ", help_text, re.MULTILINE))
    pages = "\n".join(page.read_text() for page in _PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", pages, re.MULTILINE))
    assert {"demo", "test", "quick", "wheel"} <= named <= targets


@pytest.mark.parametrize("source", _PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(source: Path) -> None:
    """Every relative link of a page is a file of the repository."""
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", source.read_text()):
        assert (source.parent / link).exists(), link
