"""A package from HDFS to two executors, compared with the usual recipe.

Every run is a driver of its own (`benchmarks.shipping_driver`) with two executors that have no
model yet; the DataNode counts the bytes it sends. The peer is
``addFile(folder, recursive=True)`` and ``tf.saved_model.load`` of the same model.
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
    # The HDFS server belongs to the tests.
    sys.path.append(str(_ROOT / "tests"))
    from services.hdfs import bytes_sent, hdfs

    name = "embedding-1gb" if bench.scale == "full" else "embedding-64mb"
    model, package = models.path_of(bench.folder, name), models.package_of(bench.folder, name)
    report = Report("shipping: a package from HDFS to two executors")
    runs: dict[str, list[dict[str, Any]]] = {contender: [] for contender in _NAMES}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tf2spark-shipping-")))
        url = stack.enter_context(hdfs(folder))
        uris = {"ours": f"{url}/package", "peer": f"{url}/model"}
        for contender, source in (("ours", package), ("peer", model)):
            _driver("put", source, uris[contender])
        for turn in range(-1, bench.runs):
            for contender, uri in uris.items():
                before = bytes_sent(folder)
                result = _run_driver(contender, uri)
                result["read_bytes"] = bytes_sent(folder) - before
                report.agreed &= result["executors"] == 2
                if turn >= 0:
                    runs[contender].append(result)
    sizes = {"ours": _size_bytes(package), "peer": _size_bytes(model)}
    _add_table(report, runs, sizes, name)
    return report


def _add_table(
    report: Report, runs: dict[str, list[dict[str, Any]]], sizes: dict[str, int], name: str
) -> None:
    lines = []
    for contender, results in runs.items():
        seconds = [result["seconds"] for result in results]
        read_bytes = statistics.median(result["read_bytes"] for result in results)
        lines.append(
            [
                _NAMES[contender],
                f"{statistics.median(seconds):.1f}",
                f"{min(seconds):.1f} to {max(seconds):.1f}",
                f"{read_bytes / 1e6:,.0f}",
                f"{read_bytes / sizes[contender]:.2f}",
            ]
        )
    head = [name, "s until both have opened it", "range s", "MB read from HDFS", "times its size"]
    report.add(markdown_table(head, lines))
    report.add(
        "The two executors and the driver each read it once: Spark fetches added files on the "
        "driver too."
    )
    ours, theirs = (
        statistics.median(result["seconds"] for result in runs[contender]) for contender in _NAMES
    )
    report.add(
        f"The recipe takes {theirs / ours:.2f} x our time. Ours includes the SHA-256 of every file "
        "and the copy in the host cache, where later jobs find it."
    )


def _run_driver(contender: str, uri: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tf2spark-shipping-cache-") as cache:
        return dict(json.loads(_driver(contender, uri, cache).splitlines()[-1]))


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


def _size_bytes(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
