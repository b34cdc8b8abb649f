"""A cluster whose workers have different Pythons, of which the driver knows one path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

VARIABLE = "TF2SPARK_TEST_PYTHON"


def dispatcher(folder: Path) -> Path:
    """Write the Python that the driver names; on each worker, it runs that worker's own."""
    return _write_command(folder / "python", f'exec "${VARIABLE}" "$@"')


def python_without(folder: Path, *missing: str) -> Path:
    """Write a command that runs this Python without some packages of its own."""
    packages = folder / "packages"
    packages.mkdir(parents=True)
    import pyarrow

    for package in Path(pyarrow.__file__).parent.parent.iterdir():
        if not package.name.startswith(missing):
            (packages / package.name).symlink_to(package)
    return _with_packages(folder, packages)


def with_tensorflow(python: Path, requirement: str) -> Path:
    """Give such a Python another TensorFlow, of which only its library and version are used."""
    packages = python.parent / "packages"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(packages)]
    subprocess.run([*install, requirement], check=True, timeout=600)
    return python


def with_other_tf2spark(python: Path) -> Path:
    """Give such a Python a tf2spark of another version, none of whose modules can be imported."""
    package = python.parent / "packages" / "tf2spark"
    package.mkdir()
    (package / "__init__.py").write_text('raise ImportError("the tf2spark of this host")\n')
    metadata = package.with_name("tf2spark-0.0.9.dist-info")
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tf2spark\nVersion: 0.0.9\n")
    return python


def on_host(python: Path, name: str) -> Path:
    """Have such a Python see a host's name of its own; it takes a namespace of Linux."""
    inner = python.rename(python.with_name("python-of-host"))
    unshare = "unshare --uts" if os.getuid() == 0 else "unshare --user --map-root-user --uts"
    script = 'hostname "$0" && exec "$@"'
    return _write_command(python, f'exec {unshare} sh -c \'{script}\' {name} "{inner}" "$@"')


def _with_packages(folder: Path, packages: Path) -> Path:
    paths = f'PYTHONPATH="{packages}:$PYTHONPATH"'
    return _write_command(folder / "python", f'{paths} exec "{sys.executable}" -S "$@"')


def _write_command(path: Path, line: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path
