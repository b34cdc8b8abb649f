"""Opens and scores hostile models in another process, and sees what they do to this machine."""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

from attrs import Factory, evolve, frozen

from hostile import child
from hostile.attacks import Targets

Ending = Literal["refused", "right", "wrong", "raw", "hung", "crashed"]
Way = Literal["score", "compile", "open"]
SECRET = "TOP-SECRET-LINE-1\nTOP-SECRET-LINE-2\n"
# What an answer may contain only if the secret was read: its text, or the values of its bytes.
_LEAKS = ("TOP-SECRET", ", ".join(str(byte) for byte in SECRET[:10].encode()))
# Characters that a terminal acts upon; line breaks and tabs are part of messages.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_IN_ACCESS, _IN_OPEN = 0x1, 0x20
_START_SECONDS = 120


@frozen
class Outcome:
    """What became of a model.

    Attributes:
        ending: "refused", by an error of tf2spark's own; "right", scored y = 2x; "wrong", scored
            otherwise; "raw", any other exception; "hung", no answer in time; "crashed", the process
            ended.
        text: The scores, or the message.
        harm: What it did: "wrote", "opened", "connected", "leaked", "unescaped".
    """

    ending: Ending
    text: str
    harm: tuple[str, ...] = ()

    @property
    def is_harmless(self) -> bool:
        return self.ending in ("refused", "right") and not self.harm

    def __str__(self) -> str:
        return f"{self.ending} {list(self.harm)}: {self.text[:600]!r}"


class _OpenWatch:
    """Sees whether any process opens a file of a folder, through Linux's inotify."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = _IN_OPEN | _IN_ACCESS
        if libc.inotify_add_watch(self._fd, os.fsencode(folder), mask) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch failed", str(folder))

    def has_opened(self) -> bool:
        try:
            return bool(os.read(self._fd, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._fd)


@frozen
class Trap:
    """Targets of an attack, watched.

    Attributes:
        targets: What the attack aims at.
    """

    targets: Targets
    _watch: _OpenWatch
    _listener: socket.socket

    def harm(self) -> list[str]:
        """Return what was done to the targets so far."""
        signs = {
            "wrote": any(path.is_file() for path in self.targets.canary.rglob("*")),
            "opened": self._watch.has_opened(),
            "connected": bool(select.select([self._listener], [], [], 0)[0]),
        }
        return [name for name, seen in signs.items() if seen]


@contextmanager
def set_trap(folder: Path) -> Iterator[Trap]:
    """Yield new targets in a folder that doesn't exist yet."""
    targets_folder = folder / "targets"
    (targets_folder / "canary").mkdir(parents=True)
    secrets = targets_folder / "secrets"
    secrets.mkdir()
    for name in ("secret.txt", "secret.index", "secret.data-00000-of-00001"):
        (secrets / name).write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        targets = Targets(targets_folder / "canary", secrets, listener.getsockname()[1])
        watch = _OpenWatch(secrets)
        try:
            yield Trap(targets, watch, listener)
        finally:
            watch.close()


@frozen
class Request:
    """What the other process is asked to do.

    Attributes:
        path: The model's folder.
        options: Arguments of `SavedModel`.
        way: "score" it; "compile" it first, and score with the package; or only "open" it.
        seconds: The time limit.
    """

    path: Path
    options: Mapping[str, Any] = Factory(dict)
    way: Way = "score"
    seconds: float = 30


Write = Callable[[Path, Targets], Path]
"""A function that writes a model to a folder that doesn't exist yet, and returns what to open."""


def _outcome_of(answer: Mapping[str, str]) -> Outcome:
    ending, result = answer["ending"], answer["result"]
    if ending == "scored":
        ending = "right" if json.loads(result).get("y") == [2.0, 4.0] else "wrong"
    shown = answer["text"] + (result if ending == "refused" else "")
    harm = {
        "leaked": any(secret in result + shown for secret in _LEAKS),
        "unescaped": _CONTROL.search(shown) is not None or "<script>" in answer["html"],
    }
    harms = tuple(name for name, seen in harm.items() if seen)
    return Outcome(cast(Ending, ending), result, harms)


class Opener:
    """A process that opens models one after another; a new one where it hangs or ends."""

    def __init__(self, folder: Path, script: Path = Path(child.__file__)) -> None:
        """`folder` is for models, its cache and temporary files; `script` is what it runs."""
        self._folder = folder
        self._script = script
        self._attempts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def attempt(
        self,
        write: Write,
        options: Mapping[str, Any],
        way: Way = "score",
    ) -> Outcome:
        """Write a model in reach of new targets, open it, and see what it does to them."""
        self._attempts += 1
        folder = self._folder / f"attempt{self._attempts}"
        with set_trap(folder) as trap:
            path = write(folder / "model", trap.targets)
            # Writing the model may have read the secrets' folder.
            trap.harm()
            outcome = self.open(Request(path, options, way))
            outcome = evolve(outcome, harm=(*outcome.harm, *trap.harm()))
        shutil.rmtree(folder, ignore_errors=True)
        return outcome

    def open(self, request: Request) -> Outcome:
        """Open a model, print its contract and score two rows, x = 1 and 2."""
        process = self._start()
        line = self._ask(process, request)
        if line is None:
            self.close()
            return Outcome("hung", f"no answer in {request.seconds:g} s")
        if not line:
            status = process.wait()
            self.close()
            name = f" ({signal.Signals(-status).name})" if status < 0 else ""
            return Outcome("crashed", f"exit status {status}{name}")
        return _outcome_of(json.loads(line))

    def _ask(self, process: subprocess.Popen[bytes], request: Request) -> bytes | None:
        """Return the answer; None if there was none in time, nothing if the process ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        message = {
            "path": str(request.path),
            "options": dict(request.options),
            "way": request.way,
        }
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
        except BrokenPipeError:  # it ended after its last answer
            return b""
        if not select.select([process.stdout], [], [], request.seconds)[0]:
            return None
        return process.stdout.readline()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is not None:
            return self._process
        temporary = self._folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        cache = str(self._folder / "cache")
        environment = {**os.environ, "TF2SPARK_CACHE": cache, "TMPDIR": str(temporary)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(self._script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
        # So that the time limits of models don't include loading TensorFlow.
        self._warm_up(self._process)
        return self._process

    def _warm_up(self, process: subprocess.Popen[bytes]) -> None:
        from hostile.graphs import doubling_model
        from hostile.model_files import Model

        model = self._folder / "warm_up"
        if not model.exists():
            Model((doubling_model(),)).write(model)
        line = self._ask(process, Request(model, seconds=_START_SECONDS))
        if not line or json.loads(line)["ending"] != "scored":
            self.close()
            raise RuntimeError(f"a good model isn't scored: {line!r}")

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
