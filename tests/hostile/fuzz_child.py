"""A process that opens models again and again, each time with one file damaged at random.

It takes a JSON object as its argument, and prints one: how many inputs ended how, and the first
of those that ended in a raw exception. Before each input its seed is written to a file, so that
the input that hangs or crashes the process can be found.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hostile.mutations import mutate, mutate_json, mutate_message

_MEMORY_BYTES = 8 << 30
_SHOWN_FAILURES = 10
_PROGRESS_BYTES = 200


def _open(folder: Path, *, score: bool) -> str:
    """Return how opening the model ended."""
    import pandas as pd

    import tf2spark
    from tf2spark.errors import Tf2SparkError

    try:
        model = tf2spark.SavedModel(folder)
        f"{model!r} {model.contract} {model.contract._repr_html_()}"
        if score:
            columns = {"x": [1.0, 2.0], "s": ["a", "b"]}
            model.score(pd.DataFrame(columns).astype({"x": "float32"}))
    except Tf2SparkError:
        return "refused"
    return "scored" if score else "read"


def _damage(name: str, original: bytes, seed: int) -> bytes:
    """Return a damaged file; half of the graphs and manifests can still be parsed."""
    if seed // 2 % 2 and name == "saved_model.pb":
        return mutate_message(original, seed)
    if seed // 2 % 2 and name == "manifest.json":
        return _sign(json.loads(mutate_json(original, seed)))
    return mutate(original, seed)


def _sign(values: dict[str, Any]) -> bytes:
    """Return a manifest with the digest that fits what it says."""
    content = {name: values.get(name) for name in ("files", "tags", "weights")}
    encoded = json.dumps(content, sort_keys=True).encode()
    return json.dumps(values | {"digest": hashlib.sha256(encoded).hexdigest()}).encode()


def _fuzz(request: dict[str, Any]) -> dict[str, Any]:
    paths = [Path(folder) / name for folder, name in request["files"]]
    originals = [path.read_bytes() for path in paths]
    endings: Counter[str] = Counter()
    failures: list[tuple[str, int, str]] = []
    stop = time.monotonic() + request["seconds"]
    progress = os.open(request["progress"], os.O_WRONLY | os.O_CREAT)
    for seed in range(request["first"], request["first"] + request["count"]):
        if time.monotonic() > stop:
            break
        # Written at once and never shorter, so that the parent reads no half of it.
        text = json.dumps({"seed": seed, "endings": endings})
        os.pwrite(progress, text.ljust(_PROGRESS_BYTES).encode(), 0)
        position = seed % len(paths)
        folder, name = request["files"][position]
        paths[position].write_bytes(_damage(name, originals[position], seed))
        try:
            endings[_open(Path(folder), score=request["score"])] += 1
        except Exception as error:
            endings["raw"] += 1
            failures.append((name, seed, f"{type(error).__name__}: {error}"[:300]))
        paths[position].write_bytes(originals[position])
    os.close(progress)
    return {"endings": endings, "failures": failures[:_SHOWN_FAILURES]}


def main() -> None:
    """Fuzz as the argument says."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(_fuzz(json.loads(sys.argv[1])), answer)
    answer.flush()


if __name__ == "__main__":
    main()
