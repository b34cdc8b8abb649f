"""A peer in a process of its own, with packages, and perhaps a Spark session, of its own.

It runs when it is told to, so that it can take turns with others; it is a child of this process, so
that its CPU time and memory are counted as theirs are.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from benchmarks.environments import Environment, Unavailable, python_of

_ROOT = Path(__file__).resolve().parent.parent
_LONGEST_SECONDS = 900.0


@define
class Apart:
    """A peer's process; it starts when it is first needed.

    Attributes:
        module: The peer's module; it ends with ``serve(make)`` (see `served`).
        given: The arguments of its `make`, as JSON can hold them.
        environment: Its packages; None for ours.
        log: Where it writes what it prints.
        versions_of: Packages whose versions the report names.
        variables: Environment variables of the process.
    """

    module: str
    given: Mapping[str, Any]
    log: Path
    environment: Environment | None = None
    versions_of: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(factory=dict)
    versions: Mapping[str, str] = field(factory=dict)
    _process: subprocess.Popen[str] | None = None
    _replies: int = -1
    _rest: str = ""

    @property
    def pid(self) -> int:
        """The process, for those who watch its memory."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and make its job.

        Raises:
            Unavailable: Its packages can't be installed, or it fails.
        """
        if self._process is not None:
            return
        python = python_of(self.environment)
        read, write = os.pipe()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        given = dict(self.given) | ({"packages": self.versions_of} if self.versions_of else {})
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [python, "-m", self.module, str(write), json.dumps(given)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[write],
                text=True,
                cwd=_ROOT,
                env=os.environ | _variables(python) | dict(self.variables),
            )
        os.close(write)
        self._replies = read
        self.versions = self._ask("make").get("versions", {})

    def run(self) -> None:
        """Let it do its whole job once."""
        self._ask("run")

    def answer(self, file: Path) -> None:
        """Let it write its answers to a file, as `served.Job.answer` says."""
        self._ask("answer", str(file))

    def end(self) -> None:
        """End the process and those below it."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._replies)
        self._process = None

    def _ask(self, *what: str) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
            reply: dict[str, Any] = json.loads(self._line())
        except (OSError, EOFError) as error:
            raise Unavailable(f"its process ended: {self._last_words()}") from error
        if "error" in reply:
            raise Unavailable(f"{what[0]}: {reply['error']}")
        return reply

    def _line(self) -> str:
        while "\n" not in self._rest:
            ready, _, _ = select.select([self._replies], [], [], _LONGEST_SECONDS)
            if not ready:
                raise EOFError("no answer")
            read = os.read(self._replies, 1 << 16)
            if not read:
                raise EOFError("closed")
            self._rest += read.decode()
        line, _, self._rest = self._rest.partition("\n")
        return line

    def _last_words(self) -> str:
        return " / ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])


def _variables(python: str) -> dict[str, str]:
    """Its Python, for Spark workers too; our packages are not in its way, this folder is."""
    return {
        "PYTHONPATH": str(_ROOT),
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
