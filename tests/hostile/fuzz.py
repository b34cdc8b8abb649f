"""Fuzzes what reads models: small real models, of which one file is damaged at random.

The suite runs a few hundred inputs. A long run by hand, of the readers alone:

    PYTHONPATH=tests python -m hostile.fuzz --inputs 100000 --seconds 3600
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from attrs import Factory, frozen

from hostile import fuzz_child
from hostile.model_files import stored, weight, write_package
from hostile.package_tricks import weighted_graph

File: TypeAlias = tuple[Path, str]
"""A file to damage: the folder of its model, and its name there."""

_TESTS = Path(__file__).parent.parent
# A single input may take this long, and a process that starts.
_INPUT_SECONDS, _START_SECONDS = 30, 120


@frozen
class Result:
    """How inputs ended.

    Attributes:
        endings: How many were "read", "scored", "refused", "raw", "hung" or "crashed".
        failures: Of the last three kinds, some: file, seed and message.
    """

    endings: Counter[str] = Factory(Counter)
    failures: list[tuple[str, int, str]] = Factory(list)

    @property
    def count(self) -> int:
        return sum(self.endings.values())

    def __add__(self, other: Result) -> Result:
        return Result(self.endings + other.endings, self.failures + other.failures)


def fuzz(
    files: Sequence[File], first: int, count: int, seconds: float, *, score: bool = False
) -> Result:
    """Open models `count` times in other processes, each time with another damage to one file.

    Args:
        files: What to damage, in turn; at the end all are as they were.
        first: The first seed; `count` follow.
        count: How many inputs.
        seconds: The time after which it stops.
        score: Whether to score two rows too.
    """
    originals = [(folder / name, (folder / name).read_bytes()) for folder, name in files]
    result, end, stop = Result(), first + count, time.monotonic() + seconds
    try:
        while first < end and time.monotonic() < stop:
            request = {"first": first, "count": end - first, "score": score}
            part, first = _run(files, request | {"seconds": stop - time.monotonic()})
            result += part
    finally:
        for path, content in originals:
            path.write_bytes(content)
    return result


def _run(files: Sequence[File], request: dict[str, Any]) -> tuple[Result, int]:
    """Run one process; return how inputs ended, and the seed with which to go on."""
    with tempfile.TemporaryDirectory(prefix="tf2spark-fuzz-") as scratch:
        progress = Path(scratch) / "progress.json"
        request["files"] = [(str(folder), name) for folder, name in files]
        request["progress"] = str(progress)
        environment = os.environ | {"TF2SPARK_CACHE": f"{scratch}/cache", "TMPDIR": scratch}
        paths = [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-P", fuzz_child.__file__, json.dumps(request)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        answer = _answer_of(process, progress)
        if isinstance(answer, dict):
            failures = [(name, seed, text) for name, seed, text in answer["failures"]]
            # It has come to the end, of the seeds or of its time.
            return Result(Counter(answer["endings"]), failures), request["first"] + request["count"]
        if not progress.exists():
            raise RuntimeError(f"the process that opens models {answer} as it started")
        last = json.loads(progress.read_text())
        endings = Counter(last["endings"]) + Counter([answer])
        name = files[last["seed"] % len(files)][1]
        return Result(endings, [(name, last["seed"], answer)]), last["seed"] + 1


def _answer_of(process: subprocess.Popen[bytes], progress: Path) -> dict[str, Any] | str:
    """Return what a process answers; "hung" or "crashed" if it doesn't."""
    last, waits = "", _START_SECONDS
    while True:
        try:
            out, _ = process.communicate(timeout=waits)
            return json.loads(out) if process.returncode == 0 else "crashed"
        except subprocess.TimeoutExpired:
            now = progress.read_text() if progress.exists() else ""
            # The same seed as half a minute ago, or none two minutes after the start.
            if now == last:
                process.kill()
                process.communicate()
                return "hung"
            last, waits = now, _INPUT_SECONDS


def make_models(folder: Path) -> Iterator[File]:
    """Write small real models; yield each of their files."""
    import tensorflow as tf

    import tf2spark

    (folder / "words.txt").write_text("a\nb\n")
    index = tf.lookup.TextFileIndex
    lines = tf.lookup.TextFileInitializer(
        str(folder / "words.txt"), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
    )
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(lines, -1)
    module.weights = tf.Variable(tf.ones([3]))

    def score(x: Any, s: Any) -> Any:
        total = tf.while_loop(lambda i, t: i < 2, lambda i, t: (i + 1, t + x), [0, x])[1]
        positions = tf.cast(module.table.lookup(s), tf.float32)
        return {"y": total * tf.reduce_sum(module.weights) + positions}

    inputs = [tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([None], tf.string, "s")]
    module.score = tf.function(score, input_signature=inputs)
    tf2 = folder / "tf2"
    tf.saved_model.save(module, str(tf2), signatures=module.score)
    warmup = b"\x05" + b"\0" * 11 + b"\x0a\x03abc" + b"\0" * 4
    (tf2 / "assets.extra").mkdir()
    (tf2 / "assets.extra" / "tf_serving_warmup_requests").write_bytes(warmup * 4)
    tf2spark.SavedModel(tf2).compile(folder / "package")
    _write_weighted(folder / "weighted")
    for name in sorted(path.relative_to(tf2).as_posix() for path in tf2.rglob("*")):
        if (tf2 / name).is_file() and not name.startswith("fingerprint"):
            yield tf2, name
    for package in (folder / "package", folder / "weighted"):
        for path in sorted(package.rglob("*")):
            if path.is_file():
                yield package, path.relative_to(package).as_posix()


def _write_weighted(folder: Path) -> None:
    """Write a package with a weight, as only large models have them."""
    content = b"ordinary bytes"
    files = [
        stored("saved_model.pb", weighted_graph(len(content))),
        stored("weights/0.bin", content),
    ]
    write_package(folder, files, [weight("weights/0.bin", 4, [len(content)])])


def main() -> None:
    """Fuzz the readers for a time, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--first", type=int, default=1_000_000, help="the first seed")
    arguments = parser.parse_args()
    total, first = Result(), arguments.first
    with tempfile.TemporaryDirectory(prefix="tf2spark-fuzz-models-") as folder:
        files = list(make_models(Path(folder)))
        share = arguments.inputs // len(files)
        for model, name in files:
            part = fuzz([(model, name)], first, share, arguments.seconds / len(files))
            print(f"{model.name}/{name}: {dict(part.endings)} {part.failures}", flush=True)
            total, first = total + part, first + share
    print(f"{total.count:,} inputs: {dict(total.endings)}")
    sys.exit(bool(total.failures))


if __name__ == "__main__":
    main()
