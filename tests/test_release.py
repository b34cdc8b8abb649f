"""What `make release-check` refuses. It is run by hand, because it installs the wheel from PyPI."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from release import __main__ as release
from release import build, licenses, public_api, versions
from release.problem import Problem

_ROOT = Path(__file__).parent.parent
_ENTRY = (
    "# Changelog\n\n## [Unreleased] (1.2.0)\n\n### Added\n\n- A line.\n\n## [1.1.0] - 2026-01-31\n"
)


def project(folder: Path, *, version: str = "1.2.0", changelog: str = _ENTRY) -> Path:
    """Write a project that can be released; its package is named as ours."""
    package = folder / "src" / "tf2spark"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A package."""\n\n__version__ = "1.2.0"\n')
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        f'[project]\nname = "tf2spark"\nversion = "{version}"\nreadme = "README.md"\n'
        'license = "Apache-2.0"\n[tool.hatch.build.targets.wheel]\npackages = ["src/tf2spark"]\n'
    )
    (folder / "CHANGELOG.md").write_text(changelog)
    for name in ("README.md", "LICENSE", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        (folder / name).write_text(f"{name}\n")
    return folder


def commit(folder: Path) -> None:
    """Have git track a project."""
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@localhost"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"]):
        subprocess.run([*git, *arguments], check=True)


def test_this_project_can_be_released() -> None:
    """What needs no build and no network holds at any time."""
    assert versions.check_version(_ROOT)
    assert versions.check_changelog(_ROOT)
    assert versions.check_deprecations(_ROOT)
    assert licenses.check("tf2spark")


def test_the_public_surface_is_the_one_that_is_kept() -> None:
    """A name that users may rely on doesn't change by accident; the message says what to do."""
    try:
        public_api.check()
    except Problem as problem:
        pytest.fail(str(problem))


def test_a_change_of_the_public_surface_is_shown_with_its_class() -> None:
    """The lines that differ say what was removed and what was added, and where."""
    kept = public_api.surface()
    assert "    def transformSchema(self, schema: StructType) -> StructType\n" in kept
    changed = kept.replace("keep: Sequence[str] | None = None, batch_rows", "batch_rows", 1)
    lines = public_api.difference(kept, changed).splitlines()
    assert [re.sub(r"\(.*", "", line) for line in lines] == [
        "-tf2spark.SavedModel: def score",
        "+tf2spark.SavedModel: def score",
    ]


def test_a_version_is_the_same_in_both_places(tmp_path: Path) -> None:
    """The package says the version that its metadata has, and has three numbers."""
    assert versions.check_version(project(tmp_path / "a")) == "1.2.0"
    with pytest.raises(Problem, match=r"has version 1\.3\.0, and src/tf2spark/__init__\.py 1\.2"):
        versions.check_version(project(tmp_path / "b", version="1.3.0"))
    folder = project(tmp_path / "c", version="1.2")
    (folder / "src" / "tf2spark" / "__init__.py").write_text('__version__ = "1.2"\n')
    with pytest.raises(Problem, match=r"1\.2 is not MAJOR\.MINOR\.PATCH"):
        versions.check_version(folder)


@pytest.mark.parametrize(
    ("changelog", "final", "problem"),
    [
        (_ENTRY, False, ""),
        (_ENTRY, True, r"write the date"),
        (_ENTRY.replace("[Unreleased] (1.2.0)", "[1.2.0] - 2026-11-29"), True, ""),
        (_ENTRY.replace("1.2.0", "1.3.0"), False, r'is "\[Unreleased\] \(1\.3\.0\)", but the vers'),
        (_ENTRY.replace("- A line.\n", ""), False, r"the entry of 1\.2\.0 .* is empty"),
        ("# Changelog\n", False, "has no entry"),
    ],
)
def test_the_newest_entry_is_that_of_the_version(
    tmp_path: Path, changelog: str, final: bool, problem: str
) -> None:
    """It has a line at least, and on the day of the release a date."""
    folder = project(tmp_path / "project", changelog=changelog)
    if not problem:
        assert versions.check_changelog(folder, final=final).startswith("1.2.0")
        return
    with pytest.raises(Problem, match=problem):
        versions.check_changelog(folder, final=final)


@pytest.mark.parametrize(("removal", "is_due"), [("1.3", False), ("1.2", True), ("0.9", True)])
def test_what_is_deprecated_is_removed_in_time(tmp_path: Path, removal: str, is_due: bool) -> None:
    """The warning's own words say when."""
    folder = project(tmp_path / "project")
    text = f'MESSAGE = "rank is deprecated since 0.4, removed in {removal}; write recommend"\n'
    (folder / "src" / "tf2spark" / "old.py").write_text(text)
    if not is_due:
        assert versions.check_deprecations(folder) == "1 announced, none due"
        return
    with pytest.raises(Problem, match=r"remove what is due: src/tf2spark/old\.py"):
        versions.check_deprecations(folder)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR Apache-2.0", True),
        ("MIT AND (BSD-2-Clause OR Apache-2.0)", True),
        ("(MIT OR GPL-3.0-only) AND GPL-3.0-only", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("MIT AND", False),
        ("UNKNOWN", False),
        (None, False),
    ],
)
def test_licenses_are_those_that_any_user_accepts(expression: str | None, allowed: bool) -> None:
    """An expression is allowed if one can choose allowed licenses alone."""
    assert licenses.is_allowed(expression) is allowed


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: BSD 3-Clause License\n        Copyright\nClassifier: License :: OSI Approved :: "
         "BSD License", "BSD-3-Clause"),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
         "GNU General Public License v3 (GPLv3)"),
        ("Summary: says nothing", None),
    ],
)  # fmt: skip
def test_a_license_is_read_from_whichever_field_has_it(
    tmp_path: Path, fields: str, expected: str | None
) -> None:
    """Old metadata has free text or a classifier, and some has nothing."""
    metadata = f"Metadata-Version: 2.1\nName: one\nVersion: 1\n{fields}\n"
    (tmp_path / "METADATA").write_text(metadata)
    assert licenses.license_of(Distribution.at(tmp_path)) == expected


def test_a_build_is_the_same_from_another_folder(tmp_path: Path) -> None:
    """Bit by bit, at another time of the files, with another mask; wheel and sdist are whole."""
    folder, dist = project(tmp_path / "project"), tmp_path / "dist"
    commit(folder)
    assert build.check_builds(folder, dist).count(" sha256:") == 2
    assert build.check_contents(folder, dist).startswith("5 files in the wheel")
    assert "license Apache-2.0" in build.check_metadata(dist)


def test_a_file_that_git_lacks_is_found(tmp_path: Path) -> None:
    """A forgotten module would be in the wheel of one machine only."""
    folder = project(tmp_path / "project")
    commit(folder)
    (folder / "src" / "tf2spark" / "forgotten.py").write_text("ONE = 1\n")
    with pytest.raises(Problem, match=r"isn't built from what git has: .*forgotten\.py"):
        build.check_builds(folder, tmp_path / "dist")


def write_archive(path: Path, files: dict[str, str], *, time: int = 0) -> Path:
    """Write files into an sdist or a wheel, by the ending of its name."""
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as wheel:
            for name, text in files.items():
                wheel.writestr(zipfile.ZipInfo(name, (2020, 1, 1 + time, 0, 0, 0)), text)
        return path
    with tarfile.open(path, "w:gz") as sdist:
        for name, text in files.items():
            member = tarfile.TarInfo(f"one-1/{name}")
            member.size, member.mtime = len(text), time
            sdist.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("name", ["one-1-py3-none-any.whl", "one-1.tar.gz"])
def test_two_builds_are_compared_bit_by_bit(tmp_path: Path, name: str) -> None:
    """The message says whether names, contents or only times differ."""
    first = write_archive(tmp_path / "a" / name, {"x": "1", "y": "2"})
    assert build.difference(first, first) == ""
    for folder, files, time, words in (
        ("b", {"x": "1", "y": "3"}, 0, r"the content of \['y'\]"),
        ("c", {"x": "1", "y": "2"}, 1, r"times, modes or order"),
        ("d", {"x": "1"}, 0, r"has, or lacks, \['y'\]"),
    ):
        second = write_archive(tmp_path / folder / name, files, time=time)
        assert re.search(words, build.difference(first, second)), words


def test_a_path_of_this_machine_is_found(tmp_path: Path) -> None:
    """The checkout's folder says where and by whom it was built."""
    assert build.own_path(tmp_path, f"built in {tmp_path}/x".encode()) == str(tmp_path)
    assert build.own_path(tmp_path, b"built somewhere") is None


def test_all_checks_run_and_one_that_fails_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that is wrong is shown at once."""

    def fail() -> str:
        raise Problem("write a date")

    monkeypatch.setattr(release, "checks", lambda *_, **__: {"one": fail, "two": lambda: "fine"})
    assert release.main([]) == 1
    assert capsys.readouterr().out == "FAILED  one: write a date\nok      two: fine\n"


@pytest.mark.parametrize(
    "path",
    [
        *(_ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"),
        _ROOT / "SECURITY.md",
        _ROOT / "CODE_OF_CONDUCT.md",
    ],
    ids=lambda path: path.name,
)
def test_pages_for_contributors_are_usable_anywhere(path: Path) -> None:
    """They name no host, so that they hold wherever the repository lies; a template has a title."""
    text = path.read_text()
    assert not re.search(r"https?://|\w@\w", text)
    if path.parent.name == "ISSUE_TEMPLATE":
        assert re.match(r"---\nname: .+\nabout: .+\nlabels: .+\n---\n", text)
