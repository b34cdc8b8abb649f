"""Many executors: the driver sends them a model once, and a host keeps one copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from cases.models import case, path_of
from chaos.sessions import run_program
from services.standalone import standalone

_EXECUTORS = 8


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_the_driver_sends_a_model_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight executors on hosts of their own, one fetches it from the driver."""
    monkeypatch.setenv("SPARK_DAEMON_MEMORY", "128m")
    hosts = [f"127.0.1.{number + 1}" for number in range(_EXECUTORS)]
    with standalone(tmp_path / "spark", workers=_EXECUTORS, memory="1g", hosts=hosts) as master:
        model, work = path_of(case("mlp_128")), tmp_path / "work"
        work.mkdir()
        arguments = [master, str(model), "64", "seeded", str(_EXECUTORS), str(work)]
        report = run_program("shipping_job.py", *arguments, seconds=600)
    assert report["executors"] == _EXECUTORS
    assert report["rows"] == 64 * _EXECUTORS
    assert report["copies"] == 1
    # All of its bytes pass the proxies, which count them.
    assert report["model_bytes"] <= sum(report["sent_bytes"]) < 2 * report["model_bytes"]
