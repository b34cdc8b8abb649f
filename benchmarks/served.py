"""The other end of `apart`: what runs in a peer's own process. Imports nothing that a peer lacks.

A peer's module ends with ``if __name__ == "__main__": serve(make)``.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol


class Job(Protocol):
    """A peer's job, ready to run: models are loaded and workers started by the first `run`."""

    def run(self) -> None:
        """Do the whole job once: read the table, score it, let the result go."""

    def answer(self, file: str) -> None:
        """Do it once more and write what came of it to `file` (``.npz``).

        Rows: arrays `id` and `score`. Recommendations: `user_id` [users], `item_id` and `score`
        [users, k].
        """


def serve(make: Callable[..., Job]) -> None:
    """Make the job from the arguments in JSON, then do what comes, a line at a time, on fd 0.

    Replies go to the file descriptor that the first argument names: what libraries print on
    stdout and stderr is in nobody's way.
    """
    replies = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    given = json.loads(sys.argv[2])
    job: Job | None = None
    for line in sys.stdin:
        what, *rest = json.loads(line)
        reply: dict[str, Any] = {"done": what}
        try:
            if what == "make":
                job = make(**given)
                reply["versions"] = _versions(given.get("packages", ()))
            elif what == "run":
                assert job is not None
                job.run()
            elif what == "answer":
                assert job is not None
                job.answer(*rest)
        except BaseException as error:
            traceback.print_exc()
            reply["error"] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(json.dumps(reply), file=replies, flush=True)
        if what == "end":
            break


def _versions(packages: Any) -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in packages}


def table_files(path: str) -> list[str]:
    """Return the Parquet files of a table."""
    return sorted(str(file) for file in Path(path).glob("*.parquet"))
