"""The other end of `peer_process`, in the peer's own process and environment.

It imports nothing but the standard library. A peer's module ends with
``if __name__ == "__main__": serve(make)``.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol


class Job(Protocol):
    """A peer's job; the first `run` loads the model and starts the workers."""

    def run(self) -> None:
        """Do the whole job once: read the table, score it, and discard the result."""

    def answer(self, file: str) -> None:
        """Do it once more and write the result to `file` (``.npz``).

        For rows, the arrays `id` and `score`. For recommendations, `user_id` [users], and
        `item_id` and `score` [users, k].
        """


def serve(make: Callable[..., Job]) -> None:
    """Make the job from JSON arguments, then follow the commands on stdin, one per line.

    Replies go to the file descriptor in the first argument, so that what libraries print to stdout
    and stderr doesn't mix with them.
    """
    replies = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    arguments = json.loads(sys.argv[2])
    job: Job | None = None
    for line in sys.stdin:
        command, *options = json.loads(line)
        reply: dict[str, Any] = {"done": command}
        try:
            if command == "make":
                job = make(**arguments)
                reply["versions"] = _versions(arguments.get("packages", ()))
            elif command == "run":
                assert job is not None
                job.run()
            elif command == "answer":
                assert job is not None
                job.answer(*options)
        except BaseException as error:
            traceback.print_exc()
            reply["error"] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        print(json.dumps(reply), file=replies, flush=True)
        if command == "end":
            break


def _versions(packages: list[str]) -> dict[str, str]:
    return {package: version(package) for package in packages}


def table_files(path: str) -> list[str]:
    """Return the Parquet files of a table."""
    return sorted(str(file) for file in Path(path).glob("*.parquet"))
