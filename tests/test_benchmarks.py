"""The benchmarks' framework: peers, answers and ratios. No test asserts a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import core_hours, results
from benchmarks.cases import CASES, PEERS
from benchmarks.contenders import PEER_PROCESSES
from benchmarks.environments import Environment, Unavailable
from benchmarks.memory_watch import MemorySamples, MemoryWatch, process_tree
from benchmarks.peer_process import PeerProcess
from benchmarks.reports import Growth, Report, compare
from benchmarks.timing import Timing

ROOT = Path(__file__).resolve().parent.parent


def timing(name: str, *seconds: float) -> Timing:
    return Timing(name, list(seconds), list(seconds))


def test_answers_that_differ_fail_the_case() -> None:
    """Nearly equal scores agree; other scores, other row counts and NaN don't."""
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


def test_ratios_are_per_row() -> None:
    """A peer that scored a tenth of the rows in the same time takes ten times as long."""
    report = Report("case: x")
    ratio = report.ratio("job", "peer", timing("peer", 1, 2, 3), timing("we", 1, 1, 2), 10, 100)
    assert ratio.times == 20
    assert (ratio.low, ratio.high) == (10, 20)
    assert report.ratios == [ratio]


def test_missed_goals_are_reported() -> None:
    """A ratio below its goal is reported as missed."""
    report = Report("case: x")
    report.target("Faster than peer", 2, 1.5)
    report.target("Faster than other", 1, 1.5)
    assert "**1.50 x** (goal: 2 x, **missed**)" in report.parts[0]
    assert "(goal: 1 x, met)" in report.parts[1]


def test_document_and_plots_come_from_the_results(tmp_path: Path) -> None:
    """RESULTS.md has every saved case, its ratios, missed goals, and a link to each plot."""
    report = Report("dense: a case")
    report.ratio("dense rows", "a peer", timing("peer", 3.0, 3.0), timing("we", 1.0, 2.0))
    report.target("Faster than a peer", 5, 2)
    report.growths.append(Growth("growth-x", "rows", "seconds", (1, 10), {"we": (1, 2)}))
    results.save(tmp_path, report, "Written by hand.")
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
    assert results.growths(results.load(tmp_path))[0].lines == {"we": (1, 2)}


def test_saved_results_belong_to_existing_cases() -> None:
    """Every committed result has a case that can run again, and the document contains it."""
    files = list((results.HERE / "results").glob("*.json"))
    assert {file.stem for file in files} <= set(CASES)
    document = (results.HERE / "RESULTS.md").read_text()
    for file in files:
        result = json.loads(file.read_text())
        assert result["text"] in document
        for growth in result["growths"]:
            assert (results.HERE / "plots" / f"{growth['name']}.svg").exists()


def readme_ratios(page: str) -> list[tuple[str, str, str]]:
    """Return the rows of the page's table of ratios: job, peer, ratio."""
    text = (ROOT / page).read_text()
    return re.findall(r"^\| (.+?) \| (.+?) \| ([\d.,]+) x \|$", text, re.MULTILINE)


def test_readme_has_the_numbers_of_the_results() -> None:
    """Each ratio in the README's table is that of the saved results, to two digits."""
    ratios = results.ratios(results.load(results.HERE))
    times = {(ratio.job, ratio.peer): ratio.times for ratio in ratios}
    lines = readme_ratios("README.md")
    assert len(lines) > 5
    for job, peer, written in lines:
        saved = times[job, peer.replace("`", "")]
        assert float(written.replace(",", "")) == float(f"{saved:.2g}"), (job, peer, saved)


def test_chinese_readme_has_the_same_numbers() -> None:
    """Its table of ratios has the rows of the English one, in the same order."""
    english, chinese = readme_ratios("README.md"), readme_ratios("README.zh-CN.md")
    assert [times for *_, times in chinese] == [times for *_, times in english]


def test_plots_of_ratios_are_those_of_the_results(tmp_path: Path) -> None:
    """The committed plots, that of the README among them, are what the saved results draw."""
    (tmp_path / "results").symlink_to(results.HERE / "results")
    results.write_ratio_plots(tmp_path, tmp_path / "speed.svg")
    drawn, committed = tmp_path / "plots" / "ratios.svg", results.HERE / "plots" / "ratios.svg"
    assert drawn.read_text() == committed.read_text(), "run `python -m benchmarks --draw`"
    assert (tmp_path / "speed.svg").read_text() == results.README_PLOT.read_text()


def test_every_selectable_peer_exists() -> None:
    """Each peer of a case has a process of its own, or runs in our session."""
    in_our_session = {"predict_batch_udf", "als"}
    assert {peer for peers in PEERS.values() for peer in peers} == in_our_session | set(
        PEER_PROCESSES
    )
    assert set(PEERS) <= set(CASES)


def test_peer_that_cannot_run_says_why(tmp_path: Path) -> None:
    """A failed installation and a process that ends are reported as a reason in one line."""
    environment = Environment("none", ("tf2spark-has-no-such-package==1",))
    process = PeerProcess(
        "benchmarks.peers.plain_tensorflow", {}, tmp_path / "log", environment=environment
    )
    try:
        with pytest.raises(Unavailable, match="pip could not install"):
            process.start()
    finally:
        subprocess.run(["rm", "-rf", str(environment.folder)], check=True)
    missing = PeerProcess("benchmarks.no_such_peer", {}, tmp_path / "log")
    with pytest.raises(Unavailable, match=r"its process ended: .*no_such_peer"):
        missing.start()
    missing.end()


def test_memory_of_a_process_is_watched() -> None:
    """The peak private memory of a process is at least what it has filled."""
    code = "x = bytearray(b'1') * 200_000_000; print(len(x), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert child.pid in process_tree(os.getpid())
    with MemoryWatch(lambda: process_tree(child.pid)) as watch:
        pass
    child.communicate(b"\n")
    assert watch.scoring_peak(child.pid) > 200_000_000


def test_memory_is_sampled_by_kind_of_process() -> None:
    """Each sample has the largest process of a kind; children of another name are workers."""
    code = "x = bytearray(b'1') * 100_000_000; print(len(x), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with MemorySamples(0.01) as memory:
            pass
        child.communicate(b"\n")
    assert len(memory.samples["driver"]) == len(memory.samples["worker"]) >= 1
    assert min(memory.samples["worker"]) > 100_000_000


def test_figures_are_saved_with_the_results(tmp_path: Path) -> None:
    """What the manual cites is in a case's JSON as numbers."""
    report = Report("dense: a case")
    report.figures["users"] = 10
    results.save(tmp_path, report, "Written by hand.")
    assert results.load(tmp_path)[0]["figures"] == {"users": 10}


def test_core_hours_of_the_manual_are_those_of_the_results() -> None:
    """The page has the tables that the saved results give: `--draw` writes them."""
    tables = core_hours.tables(results.load(results.HERE))
    assert f"{core_hours.BEGIN}{tables}{core_hours.END}" in core_hours.PAGE.read_text(), (
        "run `python -m benchmarks --draw`"
    )


def test_core_hours_come_from_our_row_of_a_case(tmp_path: Path) -> None:
    """A million users x 5,000 items at 0.36 core-s per million pairs take half a core-hour."""
    head = "|          | users | core-s per million pairs |\n|----|---:|---:|\n"
    rows = "| tf2spark |    10 | {} |\n| a peer   |    10 | 99 |\n"
    results_of: dict[str, dict[str, Any]] = {
        name: {"name": name, "text": head + rows.format(cost)}
        for name, cost in (
            ("recommend-deepfm", 0.36),
            ("recommend-wide-deep", 0.18),
            ("recommend-towers", 0.0036),
        )
    }
    scale = "### 1,000,000 users x 1,000 items\n" + head + rows.format(0.0072)
    results_of["recommend-scale"] = {"name": "recommend-scale", "text": scale}
    figures = {"users": 10**6, "few_users": 20_000, "items": 5_000, "core_seconds": 1980.0}
    figures["few_core_seconds"] = 36.0
    results_of["recommend-million"] = {"name": "recommend-million", "text": "", "figures": figures}
    page = tmp_path / "page.md"
    page.write_text(f"before\n{core_hours.BEGIN}old\n{core_hours.END}after\n")
    core_hours.write_page(list(results_of.values()), page)
    text = re.sub(" +", " ", page.read_text())
    assert re.search(r"DeepFM, 40 fields.+ \| 0.36 \| 0.05 \| 0.5 \| 100 \|", text)
    for line in (
        "| DeepFM, 20,000 x 5,000 | 0.01 | 0.01 |",
        "| DeepFM, 1,000,000 x 5,000 | 0.5 | 0.55 |",
        "| two towers, 1,000,000 x 1,000 | 0.001 | 0.002 |",
        "before",
        "after",
    ):
        assert line in text
    assert "old" not in text


@pytest.mark.cluster
def test_case_runs_and_agrees(tmp_path: Path) -> None:
    """A small case with a peer process reports times, ratios and bottlenecks, and answers agree."""
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "strings",
        "--peer",
        "tensorflow",
        "--rows",
        "3000",
        "--cores",
        "1",
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
    for part in ("TensorFlow in one process", "core-s per million rows", "Bottlenecks"):
        assert part in done.stdout
