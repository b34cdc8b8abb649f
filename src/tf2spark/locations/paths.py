"""Paths of this machine, and URIs of what is reached through Spark or MLflow."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tf2spark import other_formats


def local_path(path: str) -> Path:
    """Return a path of this machine, which may be a ``file://`` URI."""
    return Path(path.removeprefix("file://")).expanduser()


def is_uri(path: str) -> bool:
    """Return whether a path is on a file system other than this machine's, or in MLflow."""
    return re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:/", path) is not None


def needs_spark(path: str) -> bool:
    """Return whether a path can only be reached through a Spark session."""
    return is_uri(path) and not other_formats.is_mlflow_uri(path)


def is_of_mlflow(path: str) -> bool:
    """Return whether a path is a URI of MLflow, or a folder in its format."""
    if other_formats.is_mlflow_uri(path):
        return True
    folder = os.path.expanduser(path.removeprefix("file://"))
    return not is_uri(path) and os.path.isfile(os.path.join(folder, other_formats.MLMODEL))


def local_package(target: str) -> Path | None:
    """Return the folder of a package on this machine, or None for one on another file system."""
    if is_uri(target):
        return None
    return Path(os.path.abspath(os.path.expanduser(target.removeprefix("file://"))))
