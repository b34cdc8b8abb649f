"""A Python like an executor's: TensorFlow's library, NumPy and Arrow, but no tf2spark or attrs."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

_MISSING = ("tf2spark", "__editable__", "_tf2spark", "attr", "attrs", "keras", "protobuf")


def lean_python(folder: Path) -> Path:
    """Write a command that runs this Python with the site-packages that an executor has."""
    import pyarrow

    packages = folder / "packages"
    packages.mkdir(parents=True)
    for package in Path(pyarrow.__file__).parent.parent.iterdir():
        if not package.name.startswith(_MISSING):
            (packages / package.name).symlink_to(package)
    command = folder / "python"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH="{packages}:$PYTHONPATH" exec "{sys.executable}" -S "$@"\n'
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return command
