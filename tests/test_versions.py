"""The supported versions: pyproject.toml, the constraints and the README agree on them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

_ROOT = Path(__file__).parent.parent
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
_EXTRAS = _PROJECT["optional-dependencies"]
_PIN = re.compile(r"([\w.-]+)==([\w.]+)")


def pins(name: str) -> dict[str, Version]:
    """Return the versions that a constraints file has; names as pip compares them."""
    lines = (_ROOT / name).read_text().splitlines()
    matches = [_PIN.fullmatch(line) for line in lines if line and not line.startswith("#")]
    assert all(matches), "only NAME==VERSION: no addresses, no hashes"
    return {normalize(match[1]): Version(match[2]) for match in matches if match}


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[Requirement]:
    """Return what users install: dependencies, and the extras that scoring needs."""
    texts = {*_PROJECT["dependencies"], *_EXTRAS["spark"], *_EXTRAS["local"]}
    texts |= set(_EXTRAS["tensorflow-cpu"])
    parsed = [Requirement(text) for text in sorted(texts)]
    return [one for one in parsed if one.marker is None or "!=" in str(one.marker)]


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_lower_bounds_are_what_make_test_oldest_installs(requirement: Requirement) -> None:
    """The oldest version that pyproject.toml allows is the one that is tested."""
    (floor,) = (part.version for part in requirement.specifier if part.operator == ">=")
    assert pins("constraints-oldest.txt")[normalize(requirement.name)] == Version(floor)


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_the_newest_tested_version_is_allowed(requirement: Requirement) -> None:
    """The version that everything is developed with is within the bounds."""
    assert pins("constraints.txt")[normalize(requirement.name)] in requirement.specifier


def test_the_readme_names_the_tested_versions() -> None:
    """Its range of each is from the oldest to the newest version that is tested."""
    readme = " ".join((_ROOT / "README.md").read_text().split())
    oldest, newest = pins("constraints-oldest.txt"), pins("constraints.txt")
    for title, name in (("PySpark", "pyspark"), ("TensorFlow", "tensorflow-cpu")):
        versions = (oldest[name], newest[name])
        first, last = (f"{version.major}.{version.minor}" for version in versions)
        assert f"{title} {first} to {last}" in readme


def test_classifiers_name_the_pythons_of_the_readme() -> None:
    """Each Python that the README says was tested has its classifier."""
    match = re.search(r"Python 3\.(\d+) to 3\.(\d+), PySpark", (_ROOT / "README.md").read_text())
    assert match is not None
    minors = range(int(match[1]), int(match[2]) + 1)
    pythons = [one for one in _PROJECT["classifiers"] if re.search(r"Python :: 3\.\d", one)]
    assert pythons == [f"Programming Language :: Python :: 3.{minor}" for minor in minors]
    assert _PROJECT["requires-python"] == f">=3.{minors[0]}"
