"""docs/security.md: what it says of the check is tested."""

from __future__ import annotations

import re
from pathlib import Path

from tf2spark.saved_model import files
from tf2spark.saved_model.graph import reachable_nodes
from tf2spark.saved_model.safety import call_limits, hidden_graphs, message_scan, well_formed

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_in_the_tables_exists() -> None:
    """Each row of the tables names tests, and these are there."""
    named = set(re.findall(r"`(test_\w+)`", _PAGE))
    sources = (file.read_text(encoding="utf-8") for file in (_ROOT / "tests").rglob("test_*.py"))
    defined = {name for text in sources for name in re.findall(r"^def (test_\w+)", text, re.M)}
    assert len(named) > 40
    assert named <= defined


def test_the_limits_are_those_of_the_code() -> None:
    """The numbers on the page are the constants."""
    assert files.MAX_GRAPH_BYTES + 1 == 2 << 30
    assert well_formed.MAX_CONSTANT_ELEMENTS == 2**31 - 1
    assert message_scan.SCANNED_BYTES == 64 << 20
    for number in (
        well_formed.MAX_NODES,
        well_formed.MAX_INPUTS,
        call_limits.MAX_CALL_DEPTH,
        call_limits.MAX_INLINED_NODES,
        reachable_nodes.MAX_STEPS,
        hidden_graphs.MAX_NESTED_GRAPHS,
        hidden_graphs.MAX_PARSED_STRINGS,
        message_scan.MAX_MESSAGES,
    ):
        assert f"{number:,}" in _PAGE
