"""A package from HDFS to two executors, against the recipe that everyone uses.

Every run is a driver of its own (`benchmarks.shipping_driver`) with two executors that have nothing
yet; the DataNode counts what it has sent. The peer is ``addFile(folder, recursive=True)`` and
``tf.saved_model.load`` of the same model.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.harness import Bench
from benchmarks.reports import Report, markdown_table

_ROOT = Path(__file__).resolve().parents[2]
_NAMES = {"ours": "tf2spark", "peer": "addFile and TensorFlow"}


def run(bench: Bench) -> Report:
    # The tests have the servers.
    sys.path.append(str(_ROOT / "tests"))
    from services.hdfs import bytes_sent, hdfs

    name = "embedding-1gb" if bench.scale == "full" else "embedding-64mb"
    model, package = models.path_of(bench.folder, name), models.package_of(bench.folder, name)
    report = Report("shipping: a package from HDFS to two executors")
    found: dict[str, list[dict[str, Any]]] = {which: [] for which in _NAMES}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tf2spark-shipping-")))
        url = stack.enter_context(hdfs(folder))
        places = {"ours": f"{url}/package", "peer": f"{url}/model"}
        for which, source in (("ours", package), ("peer", model)):
            _driver("put", source, places[which])
        for turn in range(-1, bench.runs):
            for which, place in places.items():
                before = bytes_sent(folder)
                one = _fresh(which, place)
                one["read"] = bytes_sent(folder) - before
                report.agreed &= one["executors"] == 2
                if turn >= 0:
                    found[which].append(one)
    sizes = {"ours": _size(package), "peer": _size(model)}
    _tell(report, found, sizes, name)
    return report


def _tell(
    report: Report, found: dict[str, list[dict[str, Any]]], sizes: dict[str, int], name: str
) -> None:
    lines = []
    for which, runs in found.items():
        seconds = [one["seconds"] for one in runs]
        read = statistics.median(one["read"] for one in runs)
        lines.append(
            [
                _NAMES[which],
                f"{statistics.median(seconds):.1f}",
                f"{min(seconds):.1f} to {max(seconds):.1f}",
                f"{read / 1e6:,.0f}",
                f"{read / sizes[which]:.2f}",
            ]
        )
    head = ["", "s until both have it open", "range s", "MB read from HDFS", "of its size"]
    report.add(markdown_table([f"{name}{head[0]}", *head[1:]], lines))
    report.add(
        "The two executors and the driver each read it once: Spark fetches what it sends for the "
        "driver too."
    )
    ours, theirs = (statistics.median(one["seconds"] for one in found[w]) for w in _NAMES)
    report.add(
        f"The recipe takes {theirs / ours:.2f} x our time. Ours includes the SHA-256 of every file "
        "and the copy in the host's cache, where later jobs find it."
    )


def _fresh(which: str, place: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tf2spark-shipping-cache-") as cache:
        return dict(json.loads(_driver(which, place, cache).splitlines()[-1]))


def _driver(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.shipping_driver", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": f"{_ROOT}:{_ROOT / 'src'}",
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
    )
    if done.returncode:
        raise RuntimeError(f"the driver failed:\n{done.stderr[-4000:]}")
    return done.stdout


def _size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
