"""Programs that run next to a test: started with a log, waited for, stopped."""

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
    """A running program, and the file that its output goes to."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, pattern: str) -> str:
        """Return the first group of `pattern` as soon as the log has a match."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            has_ended = self.process.poll() is not None
            if match := re.search(pattern, self._text()):
                return match[1]
            if has_ended:
                raise RuntimeError(f"{self.log.name}: the program ended:\n{self._text()[-4000:]}")
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
    stop_signal: signal.Signals = signal.SIGTERM,
    grace_seconds: float = _STOP_SECONDS,
) -> Iterator[Daemon]:
    """Run `command` until the block ends, with its output in ``folder/name.log``.

    It is stopped by `stop_signal`, and killed if it still runs `grace_seconds` seconds later.
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
        _stop(process, stop_signal, grace_seconds)


def _stop(
    process: subprocess.Popen[bytes], stop_signal: signal.Signals, grace_seconds: float
) -> None:
    if process.poll() is None:
        os.killpg(process.pid, stop_signal)
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_ports(count: int) -> list[int]:
    """Return distinct ports of loopback on which nothing listens."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for port_holder in sockets:
            port_holder.bind(("127.0.0.1", 0))
        return [int(port_holder.getsockname()[1]) for port_holder in sockets]
