"""The harness: it sees attacks that succeed, so that a green corpus means something."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hostile.attacks import ATTACKS
from hostile.corpus import CORPUS
from hostile.harness import Opener, Request, set_trap
from hostile.hiding_places import PLACES

pytestmark = pytest.mark.slow
# Every op at one place, and one op at every place.
_LIVE = [
    name
    for name, case in CORPUS.items()
    if case.attack_ops and (name.endswith("-control_edge") or name.startswith("WriteFile-"))
]


@pytest.mark.parametrize("name", _LIVE)
def test_an_attack_that_is_allowed_is_seen(name: str, opener: Opener) -> None:
    """With its ops allowed, the model of the corpus does harm, and the harness says so."""
    case = CORPUS[name]
    outcome = opener.attempt(case.write, {**case.options, "allow_ops": list(case.attack_ops)})
    assert outcome.harm or outcome.ending == "crashed", f"{name}: {outcome}"
    assert not outcome.is_harmless


def test_many_attacks_are_live() -> None:
    """Most ops and most places are proven to work, by at least 15 attacks each."""
    ops = {name.partition("-")[0] for name in _LIVE if name.endswith("-control_edge")}
    places = {name.partition("-")[2] for name in _LIVE if name.startswith("WriteFile-")}
    assert len(ops) >= 15
    assert len(places) >= 15
    assert ops <= set(ATTACKS)
    assert places <= set(PLACES)


# Answers by the name of the model's folder, as tf2spark's process would.
_STUB = r"""
import json, os, sys, time
good = {"ending": "scored", "result": '{"y": [2.0, 4.0]}', "text": "", "html": ""}
secret = "84, 79, 80, 45, 83, 69, 67, 82, 69, 84"
answers = {
    "wrong": {"result": '{"y": [2.0, 5.0]}'},
    "refused": {"ending": "refused", "result": "ModelError: no"},
    "raw": {"ending": "raw", "result": "KeyError: 1"},
    "leaked": {"ending": "refused", "result": "ModelError: TOP-SECRET-LINE-1"},
    "leaked_bytes": {"result": '{"y": [2.0, 4.0], "leak": [%s]}' % secret},
    "unescaped": {"ending": "refused", "result": "ModelError: \x1b[2J"},
    "unescaped_text": {"text": "y\r"},
    "unescaped_html": {"html": "<script>"},
}
for line in sys.stdin:
    name = os.path.basename(json.loads(line)["path"])
    if name == "hung":
        time.sleep(60)
    if name == "crashed":
        os.abort()
    print(json.dumps(good | answers.get(name, {})), flush=True)
"""


@pytest.mark.parametrize(
    ("name", "ending", "harm"),
    [
        ("right", "right", ()),
        ("wrong", "wrong", ()),
        ("refused", "refused", ()),
        ("raw", "raw", ()),
        ("hung", "hung", ()),
        ("crashed", "crashed", ()),
        ("leaked", "refused", ("leaked",)),
        ("leaked_bytes", "right", ("leaked",)),
        ("unescaped", "refused", ("unescaped",)),
        ("unescaped_text", "right", ("unescaped",)),
        ("unescaped_html", "right", ("unescaped",)),
    ],
)
def test_answers_are_classified(
    tmp_path: Path, name: str, ending: str, harm: tuple[str, ...]
) -> None:
    """Only a refusal or right scores, without a leak, count as harmless."""
    (tmp_path / "stub.py").write_text(_STUB)
    process = Opener(tmp_path, script=tmp_path / "stub.py")
    outcome = process.open(Request(tmp_path / name, seconds=1))
    assert (outcome.ending, outcome.harm) == (ending, harm)
    assert outcome.is_harmless == (name in ("right", "refused"))
    # After a hang or a crash there is a new process.
    assert process.open(Request(tmp_path / "right")).ending == "right"
    process.close()


def test_a_trap_sees_files_and_connections(tmp_path: Path) -> None:
    """Each kind of harm is noticed, and reported alone."""
    with set_trap(tmp_path / "untouched") as trap:
        assert trap.harm() == []
    with set_trap(tmp_path / "written") as trap:
        (trap.targets.canary / "folder").mkdir()
        assert trap.harm() == []
        (trap.targets.canary / "folder" / "file").touch()
        assert trap.harm() == ["wrote"]
    with set_trap(tmp_path / "opened") as trap:
        Path(trap.targets.secret).read_bytes()
        assert trap.harm() == ["opened"]
    with set_trap(tmp_path / "listed") as trap:
        list(trap.targets.secrets.iterdir())
        assert trap.harm() == ["opened"]
    with (
        set_trap(tmp_path / "connected") as trap,
        socket.create_connection(("127.0.0.1", trap.targets.port)),
    ):
        assert trap.harm() == ["connected"]
