"""The limits that keep the tree easy to find one's way in."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "src" / "tf2spark"
_MAX_ROOT_MODULES = 14
_MAX_FOLDER_MODULES = 22
_MAX_LINES = 450
_MAX_LAYERS = 16


def modules() -> list[Path]:
    paths = [path.relative_to(_SOURCE) for path in _SOURCE.rglob("*.py")]
    assert len(paths) > 100
    return paths


def test_the_root_has_few_modules() -> None:
    """Only what belongs to no folder lies in the root."""
    assert len([path for path in modules() if path.parent == Path()]) <= _MAX_ROOT_MODULES


def test_folders_have_few_modules() -> None:
    """A folder that grows beyond this is split by what its modules do."""
    counts = Counter(path.parent for path in modules())
    assert {str(folder): n for folder, n in counts.items() if n > _MAX_FOLDER_MODULES} == {}


def test_modules_are_short() -> None:
    """A module that grows beyond this does more than one thing."""
    lines = {str(path): len((_SOURCE / path).read_text().splitlines()) for path in modules()}
    assert {path: n for path, n in lines.items() if n > _MAX_LINES} == {}


def test_the_import_contract_has_few_layers() -> None:
    """Few layers can be remembered; folders side by side share one."""
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (
        contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers"
    )
    assert len(layers) <= _MAX_LAYERS
