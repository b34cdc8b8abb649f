from __future__ import annotations

import re
import runpy
import subprocess
from pathlib import Path

import pytest

from tf2spark.cli.main import commands
from tf2spark.cli.reference import page

_ROOT = Path(__file__).parent.parent
_DOCS = _ROOT / "docs"
_PAGES = [*_ROOT.glob("*.md"), *_DOCS.rglob("*.md")]


def test_command_line_page_is_the_help() -> None:
    """docs/cli.md is what `make docs` writes."""
    assert (_DOCS / "cli.md").read_text() == page()


def test_messages_page_has_the_messages_of_the_code() -> None:
    """docs/messages.md is what `make docs` writes: every message is in one of its lists."""
    filled = runpy.run_path(str(_DOCS / "message_list.py"))["filled"]
    text = (_DOCS / "messages.md").read_text()
    assert filled(text) == text, "run `make docs`"
    with pytest.raises(ValueError, match=r"no list of docs/messages\.md takes\nRowError in"):
        filled(text.replace("<!-- messages: RowError", "<!-- RowError"))


@pytest.mark.parametrize("name", sorted(commands.commands))
@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_readme_names_every_command(name: str, page: str) -> None:
    """A command that the README doesn't mention would never be found."""
    assert f"`{name}`" in (_ROOT / page).read_text()


def test_make_targets_of_the_pages_exist() -> None:
    """`make help` has every target that a page names."""
    command = ["make", "-C", str(_ROOT), "help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  make ([a-z0-9-]+) ", help_text, re.MULTILINE))
    pages = "\n".join(page.read_text() for page in _PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", pages, re.MULTILINE))
    assert {"demo", "test", "quick", "wheel"} <= named <= targets


@pytest.mark.parametrize("source", _PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(source: Path) -> None:
    """Every relative link of a page is a file of the repository."""
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", source.read_text()):
        assert (source.parent / link).exists(), link
