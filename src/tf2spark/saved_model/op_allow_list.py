"""The list of ops that a model may run (``safe_ops.txt``), and why the others are refused."""

from __future__ import annotations

from functools import cache
from importlib import resources

UNKNOWN = "unknown to tf2spark: it comes from an op library or a newer TensorFlow"
_ALLOWED = "allowed"


def reason_refused(op: str) -> str | None:
    """Return why an op of this name is refused; None where the list allows it."""
    return None if op in _sections()[_ALLOWED] else refused().get(op, UNKNOWN)


@cache
def refused() -> dict[str, str]:
    """Return the ops that are known and refused, each with the reason."""
    return {op: why for why, ops in _sections().items() if why != _ALLOWED for op in ops}


@cache
def _sections() -> dict[str, frozenset[str]]:
    text = (resources.files("tf2spark") / "safe_ops.txt").read_text(encoding="utf-8")
    sections: dict[str, set[str]] = {}
    title = ""
    for line in text.splitlines():
        if line.startswith("["):
            title = line.strip("[]")
        elif line and not line.startswith("#"):
            sections.setdefault(title, set()).update(line.split())
    return {title: frozenset(ops) for title, ops in sections.items()}
