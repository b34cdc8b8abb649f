"""The version: in its two places, in the changelog, and in the deprecations that it ends."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.version import InvalidVersion, Version

from release.problem import Problem

_RELEASE = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
# As in Keep a Changelog. Until the day of a release, its entry may be "[Unreleased] (1.2.0)".
_DATED = re.compile(r"\[(?P<version>[^\]]+)\] - (?P<date>\d{4}-\d\d-\d\d)")
_NOT_DATED = re.compile(r"\[Unreleased\] \((?P<version>[^)]+)\)")
# How docs/stability.md says that a deprecation is written.
_DEPRECATED = re.compile(r"[Dd]eprecated since (\S+?), (?:to be )?removed in (\d+(?:\.\d+)+)")


def project_version(root: Path) -> str:
    """Return the version in pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def check_version(root: Path) -> str:
    """Check that the version is one of semantic versioning, and the same in both places.

    Raises:
        Problem: It isn't.
    """
    version = project_version(root)
    source = (root / "src" / "tf2spark" / "__init__.py").read_text()
    match = re.search(r'^__version__ = "(.*)"$', source, re.MULTILINE)
    in_code = match[1] if match else None
    if in_code != version:
        raise Problem(
            f"pyproject.toml has version {version}, and src/tf2spark/__init__.py {in_code}: "
            "write the same in both"
        )
    if not _RELEASE.fullmatch(version):
        raise Problem(f"{version} is not MAJOR.MINOR.PATCH, which docs/stability.md promises")
    return version


def check_changelog(root: Path, *, final: bool = False) -> str:
    """Check that the newest entry of CHANGELOG.md is that of the version, and says something.

    Args:
        root: The checkout.
        final: Whether the entry must have its date.

    Raises:
        Problem: It isn't, is empty, or has no date.
    """
    version = project_version(root)
    text = (root / "CHANGELOG.md").read_text()
    headings = list(_HEADING.finditer(text))
    if not headings:
        raise Problem(f'CHANGELOG.md has no entry: write "## [{version}] - YYYY-MM-DD"')
    newest = headings[0]
    entry = text[newest.end() : headings[1].start() if len(headings) > 1 else len(text)]
    dated = _DATED.fullmatch(newest[1])
    match = dated or _NOT_DATED.fullmatch(newest[1])
    if match is None or match["version"] != version:
        raise Problem(
            f'the newest entry of CHANGELOG.md is "{newest[1]}", but the version is {version}: '
            f'write "[{version}] - YYYY-MM-DD", or "[Unreleased] ({version})" until the release'
        )
    if not re.search(r"^- \S", entry, re.MULTILINE):
        raise Problem(f"the entry of {version} in CHANGELOG.md is empty")
    if dated:
        return f"{version}, {dated['date']}"
    if final:
        raise Problem(f'write the date: "## [{version}] - YYYY-MM-DD" in CHANGELOG.md')
    return f"{version}, not dated yet"


def check_deprecations(root: Path) -> str:
    """Check that nothing is left whose removal was announced for this version or an earlier one.

    Raises:
        Problem: Something is.
    """
    version = Version(project_version(root))
    pending, overdue = 0, []
    for path in sorted((root / "src").rglob("*.py")):
        for match in _DEPRECATED.finditer(path.read_text()):
            pending += 1
            if _is_due(match[2], version):
                overdue.append(f"{path.relative_to(root)} ({match[0]!r})")
    if overdue:
        raise Problem(f"the version is {version}; remove what is due: {', '.join(overdue)}")
    return f"{pending} announced, none due"


def _is_due(removal: str, version: Version) -> bool:
    try:
        return Version(removal) <= version
    except InvalidVersion:
        return True
