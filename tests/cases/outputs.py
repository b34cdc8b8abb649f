"""Small tables as outputs, and the ids of runs that wrote them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OTHER_MACHINE = "00000000-1-1-00000000"
"""The id of a run of another machine."""


def table(folder: Path, text: str) -> Path:
    """Write a table of one file."""
    folder.mkdir(parents=True)
    (folder / "part").write_text(text)
    return folder


def content(target: Path) -> str:
    """Return what is in a table: one text, of one file."""
    (file,) = target.iterdir()
    return file.read_text()


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def ended_run() -> str:
    """Return the id of a process that has ended."""
    program = "from tf2spark.package.run_id import new_run_id; print(new_run_id())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return done.stdout.strip()
