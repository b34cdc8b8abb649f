"""A peer in a process of its own, with its own packages and, where it needs one, its own session.

It runs on command, so that it can alternate with others. It is a child of this process, so that
its CPU time and memory are counted like those of the other contenders.
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
_REPLY_TIMEOUT_SECONDS = 900.0


@define
class PeerProcess:
    """A peer's process, which starts when it is first needed.

    Attributes:
        module: The peer's module, which ends with ``serve(make)`` (see `peer_server`).
        arguments: The arguments of its `make`, JSON values.
        log: Where its stdout and stderr go.
        environment: Its packages; None for ours.
        versions_of: Packages whose versions the report lists.
        variables: Environment variables of the process.
        versions: The versions of those packages, once it has started.
    """

    module: str
    arguments: Mapping[str, Any]
    log: Path
    environment: Environment | None = None
    versions_of: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(factory=dict)
    versions: Mapping[str, str] = field(factory=dict)
    _process: subprocess.Popen[str] | None = None
    _replies: int = -1
    _unread: str = ""

    @property
    def pid(self) -> int:
        """The process id, for watching its memory."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process and make its job.

        Raises:
            Unavailable: Its packages can't be installed, or it fails.
        """
        if self._process is not None:
            return
        python = python_of(self.environment)
        read, write = os.pipe()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        arguments = dict(self.arguments)
        if self.versions_of:
            arguments["packages"] = self.versions_of
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [python, "-m", self.module, str(write), json.dumps(arguments)],
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
        self.versions = self._send("make").get("versions", {})

    def run(self) -> None:
        """Do the whole job once."""
        self._send("run")

    def answer(self, file: Path) -> None:
        """Write the peer's answer to a file, as `peer_server.Job.answer` describes."""
        self._send("answer", str(file))

    def end(self) -> None:
        """End the process and its children."""
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

    def _send(self, *command: str) -> dict[str, Any]:
        """Send a command and return the reply."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            reply: dict[str, Any] = json.loads(self._read_line())
        except (OSError, EOFError) as error:
            raise Unavailable(f"its process ended: {self._last_output()}") from error
        if "error" in reply:
            raise Unavailable(f"{command[0]}: {reply['error']}")
        return reply

    def _read_line(self) -> str:
        while "\n" not in self._unread:
            ready, _, _ = select.select([self._replies], [], [], _REPLY_TIMEOUT_SECONDS)
            if not ready:
                raise EOFError("no reply")
            read = os.read(self._replies, 1 << 16)
            if not read:
                raise EOFError("closed")
            self._unread += read.decode()
        line, _, self._unread = self._unread.partition("\n")
        return line

    def _last_output(self) -> str:
        return " / ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])


def _variables(python: str) -> dict[str, str]:
    """Return variables that select its Python, for Spark workers too.

    They keep our packages off its path, but not this folder.
    """
    return {
        "PYTHONPATH": str(_ROOT),
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
