"""The frame of the benchmarks: what it says of peers, answers and ratios; no number is a test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import results
from benchmarks.apart import Apart
from benchmarks.cases import CASES, PEERS
from benchmarks.contenders import APART
from benchmarks.environments import Environment, Unavailable
from benchmarks.peaks import Watch, processes_below
from benchmarks.reports import Growth, Report, compare
from benchmarks.timed import Timed

ROOT = Path(__file__).resolve().parent.parent


def timed(name: str, *seconds: float) -> Timed:
    return Timed(name, list(seconds), list(seconds))


def test_answers_that_differ_fail_the_case() -> None:
    """A case agrees with equal scores, and not with others, other numbers of rows, or NaN."""
    scores = np.array([0.1, 0.2, 0.3], np.float32)
    for other, agrees in (
        (scores.copy(), True),
        (scores + np.float32(1e-6), True),
        (scores + np.float32(1e-3), False),
        (scores[:2], False),
    ):
        report = Report("case: x")
        compare(report, {"we": scores, "they": other})
        assert report.agreed is agrees
    report = Report("case: x")
    compare(report, {"we": scores * np.nan, "they": scores * np.nan})
    assert not report.agreed


def test_ratios_are_a_row() -> None:
    """A peer that scored a tenth of the rows in the same time takes ten times as long."""
    report = Report("case: x")
    found = report.ratio("job", "peer", timed("peer", 1, 2, 3), timed("we", 1, 1, 2), 10, 100)
    assert found.times == 20
    assert (found.low, found.high) == (10, 20)
    assert report.ratios == [found]


def test_missed_targets_are_said() -> None:
    """What is asked and not reached is written as missed."""
    report = Report("case: x")
    report.target("Faster than peer", 2, 1.5)
    report.target("Faster than other", 1, 1.5)
    assert "**1.50 x** (asked: 2 x, **missed**)" in report.parts[0]
    assert "(asked: 1 x, met)" in report.parts[1]


def test_document_and_plots_come_from_the_results(tmp_path: Path) -> None:
    """RESULTS.md has every kept case, its ratios, what was missed, and a link to each plot."""
    report = Report("dense: a case")
    report.ratio("dense rows", "a peer", timed("peer", 3.0, 3.0), timed("we", 1.0, 2.0))
    report.target("Faster than a peer", 5, 2)
    report.growths.append(Growth("growth-x", "rows", "seconds", (1, 10), {"we": (1, 2)}))
    results.keep(tmp_path, report, "Written by hand.")
    results.write_document(tmp_path)
    text = (tmp_path / "RESULTS.md").read_text()
    for part in (
        "## dense: a case",
        "2.00",
        "**missed**",
        "plots/growth-x.svg",
        "Written by hand.",
    ):
        assert part in text
    assert results.growths(results.kept(tmp_path))[0].lines == {"we": (1, 2)}


def test_kept_results_are_of_cases_that_exist() -> None:
    """The committed results belong to cases that can be run again, and the document is theirs."""
    files = list((results.HERE / "results").glob("*.json"))
    assert {file.stem for file in files} <= set(CASES)
    document = (results.HERE / "RESULTS.md").read_text()
    for file in files:
        kept = json.loads(file.read_text())
        assert kept["text"] in document
        assert all(
            (results.HERE / "plots" / f"{one['name']}.svg").exists() for one in kept["growths"]
        )


def test_readme_has_the_numbers_of_the_results() -> None:
    """Each ratio in the README's table is the one that is kept, to two digits."""
    found = {(one.job, one.peer): one.times for one in results.ratios(results.kept(results.HERE))}
    readme = (ROOT / "README.md").read_text()
    lines = re.findall(r"^\| (.+?) \| (.+?) \| ([\d.,]+) x \|$", readme, re.MULTILINE)
    assert len(lines) > 5
    for job, peer, written in lines:
        times = found[job, peer.replace("`", "")]
        assert float(written.replace(",", "")) == float(f"{times:.2g}"), (job, peer, times)


def test_every_peer_that_can_be_asked_for_exists() -> None:
    """Each peer of a case is one that lives apart, or one in our own session."""
    own = {"predict_batch_udf", "als"}
    assert {peer for peers in PEERS.values() for peer in peers} == own | set(APART)
    assert set(PEERS) <= set(CASES)


def test_peer_that_cannot_run_says_why(tmp_path: Path) -> None:
    """Packages that can't be installed, and a process that ends, are a reason in one line."""
    none = Environment("none", ("tf2spark-has-no-such-package==1",))
    apart = Apart("benchmarks.peers.plain_tensorflow", {}, tmp_path / "log", environment=none)
    try:
        with pytest.raises(Unavailable, match="pip could not install"):
            apart.start()
    finally:
        subprocess.run(["rm", "-rf", str(none.folder)], check=True)
    gone = Apart("benchmarks.no_such_peer", {}, tmp_path / "log")
    with pytest.raises(Unavailable, match=r"its process ended: .*no_such_peer"):
        gone.start()
    gone.end()


def test_memory_of_a_process_is_watched() -> None:
    """The most private memory of a process is at least what it filled."""
    code = "x = bytearray(b'1') * 200_000_000; print(len(x), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert child.pid in processes_below(os.getpid())
    with Watch(lambda: processes_below(child.pid)) as watch:
        pass
    child.communicate(b"\n")
    assert watch.of_those_who_score(child.pid) > 200_000_000


@pytest.mark.cluster
def test_case_runs_and_agrees(tmp_path: Path) -> None:
    """One case, small, with a peer that lives apart: times, ratios, a bound, and equal answers."""
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "dense",
        "--peer",
        "tensorflow",
        "--rows",
        "3000",
    ]
    done = subprocess.run(
        [*command, "--runs", "1", "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "all answers agree" in done.stderr
    for part in ("TensorFlow in one process", "core-s a million", "What bounds us"):
        assert part in done.stdout
