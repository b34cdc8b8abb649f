"""The wheel, as a user installs it: into an environment of its own, with its dependencies."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from release.build import built_files
from release.problem import Problem
from release.versions import project_version

# What has to work without Spark and TensorFlow, and is what a user does first.
_PROGRAM = """
import tf2spark, tf2spark.errors, tf2spark.testing
for name in tf2spark.__all__:
    getattr(tf2spark, name)
print(tf2spark.__version__, tf2spark.__file__)
"""


def check(root: Path, target: Path) -> str:
    """Install the wheel from an index as users do, import it, and run its command.

    Raises:
        Problem: Something of it fails.
    """
    (wheel,) = (file for file in built_files(target) if file.suffix == ".whl")
    with tempfile.TemporaryDirectory(prefix="tf2spark-installed-") as folder:
        environment = Path(folder) / "venv"
        python = str(environment / "bin" / "python")
        _run([sys.executable, "-m", "venv", str(environment)], folder)
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "-q", "-c", str(root / "constraints.txt"), str(wheel)], folder)
        _run([*pip, "check"], folder)
        version, file = _run([python, "-c", _PROGRAM], folder).split()
        if version != project_version(root) or not Path(file).is_relative_to(environment):
            raise Problem(f"the environment imports version {version} from {file}")
        if "recommend" not in _run([str(environment / "bin" / "tf2spark"), "--help"], folder):
            raise Problem("tf2spark --help names no commands")
        packages = len(_run([*pip, "freeze"], folder).splitlines()) - 1
    return f"tf2spark {version} imports and runs beside {packages} packages"


def _run(command: list[str], folder: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Problem(f"{' '.join(command[:4])} failed: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
