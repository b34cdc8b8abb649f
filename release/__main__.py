"""Check everything that a release needs: ``python -m release [--final]``.

Each check prints a line, and those that fail say what to change. The exit status is 1 if one does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from release import build, install, licenses, public_api, versions
from release.problem import Problem

ROOT = Path(__file__).resolve().parent.parent

# A check returns what it has seen, for the line that it prints, or raises a `Problem`.
Check = Callable[[], str]


def checks(target: Path, *, final: bool) -> dict[str, Check]:
    """Return the checks by name, in their order; the built files are put into `target`."""
    return {
        "version": lambda: versions.check_version(ROOT),
        "changelog": lambda: versions.check_changelog(ROOT, final=final),
        "deprecations": lambda: versions.check_deprecations(ROOT),
        "public surface": public_api.check,
        "licenses": lambda: licenses.check("tf2spark"),
        "builds": lambda: build.check_builds(ROOT, target),
        "contents": lambda: build.check_contents(ROOT, target),
        "metadata": lambda: build.check_metadata(target),
        "installation": lambda: install.check(ROOT, target),
    }


def main(arguments: Sequence[str]) -> int:
    """Run all checks; one that fails doesn't keep the others from running."""
    parser = argparse.ArgumentParser(prog="make release-check", description=__doc__)
    parser.add_argument(
        "--final",
        action="store_true",
        help="on the day of the release: the changelog's entry has its date",
    )
    parser.add_argument("--dist", type=Path, help="where the wheel and the sdist are put")
    options = parser.parse_args(arguments)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="tf2spark-release-") as folder:
        target = options.dist or Path(folder)
        for name, check in checks(target.absolute(), final=options.final).items():
            try:
                result = "ok", check()
            except Problem as problem:
                failed += 1
                result = "FAILED", str(problem)
            print(f"{result[0]:6}  {name}: {result[1]}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
