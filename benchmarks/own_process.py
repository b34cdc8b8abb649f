"""A module of the benchmarks run in a process of its own, which prints its result as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent


def run_module(module: str, *arguments: str, action: str) -> Any:
    """Run a module, and return what its last line says.

    Args:
        module: Its name.
        arguments: What it is given.
        action: What it does, for the message where it fails.
    """
    paths = os.pathsep.join([str(_ROOT), str(_ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{action} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
