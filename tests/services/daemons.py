"""Programs that run beside a test: started with a log, waited for, ended."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import frozen

_START_SECONDS = 90
_STOP_SECONDS = 15


@frozen
class Daemon:
    """A program that runs, and the file that has all it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, pattern: str) -> str:
        """Return the first group of `pattern` as soon as a line of the log has it."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if found := re.search(pattern, self._text()):
                return found[1]
            if ended:
                raise RuntimeError(f"{self.log.name}: it ended:\n{self._text()[-4000:]}")
            time.sleep(0.1)
        raise TimeoutError(f"{self.log.name} has no {pattern!r}:\n{self._text()[-4000:]}")

    def _text(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def daemon(
    folder: Path,
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    stop: signal.Signals = signal.SIGTERM,
    patience: float = _STOP_SECONDS,
) -> Iterator[Daemon]:
    """Run `command` until the block ends, with what it says in ``folder/name.log``.

    It is ended by the signal `stop`, and killed if it still runs `patience` seconds later.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield Daemon(process, log)
    finally:
        _end(process, stop, patience)


def _end(process: subprocess.Popen[bytes], stop: signal.Signals, patience: float) -> None:
    if process.poll() is None:
        os.killpg(process.pid, stop)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
