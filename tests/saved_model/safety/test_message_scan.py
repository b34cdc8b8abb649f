"""`message_scan`: files that would need far more memory than they have bytes."""

from __future__ import annotations

import pytest

from cases.wire_format import field
from tf2spark.errors import ModelError
from tf2spark.saved_model.protos import SavedModel
from tf2spark.saved_model.safety import message_scan
from tf2spark.saved_model.safety.message_scan import check_message_count


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_scan, "SCANNED_BYTES", 10)
    monkeypatch.setattr(message_scan, "MAX_MESSAGES", 100)


@pytest.mark.parametrize(
    "content",
    [
        b"\x12\x00" * 101,
        field(2, field(2, b"\x0a\x00" * 100)),
        field(2, field(2, field(1, b"\x2a\x00" * 100))),
        field(2, field(2, field(1, field(5, field(2, field(1, b"\x3a\x00" * 100)))))),
    ],
)
def test_many_messages_are_refused(content: bytes) -> None:
    """Graphs, nodes, attributes or shapes: the message names the limit."""
    with pytest.raises(ModelError, match=r'"m.pb" has \d+ bytes and more than 100 messages'):
        check_message_count(content, SavedModel, "m.pb")


def test_large_tensors_are_no_problem() -> None:
    """Bytes of a tensor and strings aren't messages, whatever they look like."""
    content = field(
        2, field(2, field(1, field(1, b"\x0a\x00" * 300) + field(3, b"\x12\x00" * 300)))
    )
    check_message_count(content, SavedModel, "m.pb")


@pytest.mark.parametrize(
    "content", [b"\xff" * 64, b"\x12\xff\xff", b"\x13" * 64, b"\x08" + b"\x80" * 9]
)
def test_what_is_no_message_is_left_to_the_parser(content: bytes) -> None:
    """The scan ends there; it raises nothing of its own."""
    check_message_count(content + b"\x80" * 10, SavedModel, "m.pb")
