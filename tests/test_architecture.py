"""ARCHITECTURE.md stays true: it names every folder, and everything it names exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "src" / "tf2spark"
_PAGE = (_ROOT / "ARCHITECTURE.md").read_text()


def _packages() -> list[str]:
    return sorted(
        f"{init.parent.relative_to(_SOURCE)}/" for init in _SOURCE.glob("*/**/__init__.py")
    )


def test_every_folder_of_the_source_has_a_row() -> None:
    """A folder that the map doesn't name can't be found by it, and a row without one misleads."""
    source_table = _PAGE.partition("## `src/tf2spark`")[2].partition("\n\nIn the root")[0]
    assert sorted(re.findall(r"^\| `([a-z_0-9/]+/)` \|", source_table, re.MULTILINE)) == _packages()


def test_every_module_of_the_root_is_named() -> None:
    """The map names each module that lies in the root."""
    modules = {path.name for path in _SOURCE.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert {name for name in modules if f"`{name}`" not in _PAGE} == set()


def test_every_path_on_the_page_exists() -> None:
    """A module that moves takes its mention along."""
    paths = set(re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)*(?:/|\.py|\.txt|\.toml))`", _PAGE))
    assert len(paths) > 20
    homes = (_ROOT, _SOURCE, _SOURCE / "saved_model", _ROOT / "benchmarks")
    assert {path for path in paths if not any((home / path).exists() for home in homes)} == set()


def test_layers_are_those_of_the_import_contract() -> None:
    """The layers on the page are the layers that the tool checks."""
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    shown = re.search(r"```\n(cli >.*?)```", _PAGE, re.DOTALL)
    assert shown is not None
    assert [layer.strip() for layer in shown[1].replace("\n", " ").split(">")] == layers


def test_it_stays_one_page() -> None:
    """A map that needs scrolling for minutes isn't one."""
    assert len(_PAGE.splitlines()) <= 125
