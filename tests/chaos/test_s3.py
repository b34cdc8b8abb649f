"""An S3 that is disturbed: what passes is healed, and what stays is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cases.models import case, path_of
from chaos.figures import Figures, record
from chaos.sessions import run_program
from services.s3 import S3, s3

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
_FAULTS = ("reset", "truncate", "slow", "unavailable")
_WAYS = ("worker", "spark", "package", "output")
_ROWS, _MOST_SECONDS = 6_000, 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="module")
def report(server: S3) -> Any:
    """Run all faults in one session, in which a task may fail three times."""
    target = server.endpoint.removeprefix("http://")
    settings = [f"{key}={value}" for key, value in server.conf().items()]
    arguments = ["local[2,4]", str(path_of(case("mlp_128"))), server.path("m"), target, *settings]
    return run_program("s3_faults_job.py", *arguments, seconds=800)


def transient(report: dict[str, Any]) -> dict[str, Any]:
    return {name: seen for name, seen in report.items() if "injected" in seen}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("fault", _FAULTS)
def test_what_passes_is_healed(report: dict[str, Any], fault: str, way: str) -> None:
    """Resets, cut answers, slow ones and bursts of 503: rows and bits are the undisturbed ones."""
    seen = report[f"{fault} {way}"]
    assert seen["injected"] == 2
    assert seen["right"] is True


@pytest.mark.parametrize("way", ["worker", "spark"])
def test_a_restart_is_waited_for(report: dict[str, Any], way: str) -> None:
    """For seconds, no request is answered."""
    assert report[f"restart {way}"]["injected"] > 2
    assert report[f"restart {way}"]["right"] is True


@pytest.mark.parametrize("read", ["worker", "spark"])
def test_a_missing_object_is_named(report: dict[str, Any], read: str) -> None:
    """The job fails soon, and leaves no output."""
    seen = report[f"missing {read}"]
    assert "table/part-1.parquet" in seen["error"]
    assert seen["seconds"] < _MOST_SECONDS
    assert not seen["left"]


def test_a_missing_file_of_a_package_is_named(report: dict[str, Any]) -> None:
    """Before a task starts."""
    seen = report["missing package"]
    assert seen["error"].startswith('ModelNotFoundError: there is nothing at "s3a://tests/m/gone')
    assert seen["seconds"] < _MOST_SECONDS


def test_a_wrong_key_is_named(report: dict[str, Any]) -> None:
    """With the settings to check."""
    assert "spark.hadoop.fs.s3a.secret.key" in report["wrong key"]["error"]
    assert report["wrong key"]["seconds"] < _MOST_SECONDS


def test_figures(report: dict[str, Any]) -> None:
    """They go into docs/reliability.md."""
    jobs = transient(report)
    assert all(seen["right"] is True for seen in jobs.values())
    injected = sum(seen["injected"] for seen in jobs.values())
    record("s3", Figures(len(report), injected + len(report) - len(jobs), len(jobs) * _ROWS))
