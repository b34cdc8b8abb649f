"""A TCP proxy on loopback that counts bytes and injects the faults of networks and services."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from attrs import define, field

Fault = Literal["reset", "truncate", "slow", "unavailable"]
"""What happens to a request: its connection is reset, its answer ends in the middle or takes
seconds, or the service answers that it is unavailable (503)."""
_REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) ([^ ]*) HTTP/1")
_BODY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_UNAVAILABLE = b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
_UNAVAILABLE += b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
_BLOCK_BYTES = 1 << 16


@define(eq=False)
class Proxy:
    """A running proxy.

    Attributes:
        port: Where it listens.
        target: What it forwards to.
        sent_bytes: How many bytes the target has sent through it.
        fault: What happens to requests from now on; None for nothing.
        times: How many more requests it happens to.
        path: A pattern of the paths that it happens to.
        injected: How often it has happened.
        slow_seconds: How long a slow answer takes.
    """

    port: int
    target: tuple[str, int]
    sent_bytes: int = 0
    fault: Fault | None = None
    times: int = 0
    path: str = ""
    injected: int = 0
    slow_seconds: float = 3.0
    _lock: threading.Lock = field(factory=threading.Lock)

    def inject(self, fault: Fault, times: int, path: str = "") -> None:
        """Disturb the next requests for paths with a pattern."""
        with self._lock:
            self.fault, self.times, self.path = fault, times, path

    def take_fault(self, data: bytes) -> Fault | None:
        """Return what happens to these bytes of a client."""
        request = _REQUEST.match(data)
        if request is None:
            return None
        with self._lock:
            if self.times <= 0 or not re.search(self.path, request[2].decode("latin-1")):
                return None
            self.times -= 1
            self.injected += 1
            return self.fault

    def count(self, size_bytes: int) -> None:
        with self._lock:
            self.sent_bytes += size_bytes


@contextmanager
def proxy(target: tuple[str, int], host: str = "127.0.0.1", port: int = 0) -> Iterator[Proxy]:
    """Run a proxy in front of a service until the block ends."""
    with socket.create_server((host, port), backlog=128) as server:
        running = Proxy(server.getsockname()[1], target)
        threading.Thread(target=_accept, args=(server, running), daemon=True).start()
        yield running


def _accept(server: socket.socket, running: Proxy) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # the block has ended
            return
        threading.Thread(target=_serve, args=(client, running), daemon=True).start()


def _serve(client: socket.socket, running: Proxy) -> None:
    try:
        upstream = socket.create_connection(running.target)
    except OSError:
        _reset(client)
        return
    state = _Connection(client, upstream)
    threading.Thread(target=_answer, args=(state, running), daemon=True).start()
    with suppress(OSError):
        while data := client.recv(_BLOCK_BYTES):
            fault = running.take_fault(data)
            if fault == "reset":
                _reset(client)
                break
            if fault == "unavailable":
                client.sendall(_UNAVAILABLE)
                break
            state.fault = fault
            upstream.sendall(data)
    state.close()


@define(eq=False)
class _Connection:
    client: socket.socket
    upstream: socket.socket
    fault: Fault | None = None

    def close(self) -> None:
        for end in (self.client, self.upstream):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _answer(state: _Connection, running: Proxy) -> None:
    with suppress(OSError):
        while data := state.upstream.recv(_BLOCK_BYTES):
            if state.fault == "slow":
                time.sleep(running.slow_seconds)
                state.fault = None
            if state.fault == "truncate":
                state.client.sendall(data[: len(data) // 2])
                break
            running.count(len(data))
            state.client.sendall(data)
    state.close()


def _reset(client: socket.socket) -> None:
    """Close a connection so that the other side sees a reset instead of an end."""
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
