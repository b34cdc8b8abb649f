"""Virtual environments for peers that need other packages than we do; made where they are missing.

Each is `.venv-bench-NAME` beside `.venv`, installed by pip from the usual registry.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

_ROOT = Path(__file__).resolve().parent.parent


class Unavailable(Exception):
    """A peer can't run here; the text says why."""


@frozen
class Environment:
    """Packages of a peer.

    Attributes:
        name: Its folder is ``.venv-bench-NAME``.
        packages: What pip installs together, pinned where results depend on it.
        without_needs: What pip installs after these, without what it says it needs.
    """

    name: str
    packages: tuple[str, ...]
    without_needs: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return _ROOT / f".venv-bench-{self.name}"


def python_of(environment: Environment | None) -> str:
    """Return the environment's Python, making the environment first where it isn't there yet.

    None is our own environment.

    Raises:
        Unavailable: pip could not install it; the text has pip's last words.
    """
    if environment is None:
        return sys.executable
    python = environment.folder / "bin" / "python"
    made = environment.folder / ".installed"
    wanted = "\n".join([*environment.packages, "", *environment.without_needs])
    if not made.exists() or made.read_text() != wanted:
        print(f"installing {environment.folder.name} ...", file=sys.stderr, flush=True)
        if not python.exists():
            venv.create(environment.folder, with_pip=True)
        _install(python, environment.packages)
        if environment.without_needs:
            _install(python, ("--no-deps", *environment.without_needs))
        made.write_text(wanted)
    return str(python)


def _install(python: Path, packages: tuple[str, ...]) -> None:
    command = [str(python), "-m", "pip", "install", "-q", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise Unavailable(f"pip could not install {', '.join(packages)}: {said}")


PLOTS = Environment("plots", ("matplotlib==3.11.2",))
MLFLOW = Environment("mlflow", ("mlflow==3.17.2", "tensorflow-cpu==2.21.0", "pyspark==4.3.0"))
RAY = Environment("ray", ("ray[data]==2.60.0", "tensorflow-cpu==2.21.0"))
IMPLICIT = Environment("implicit", ("implicit==0.7.3", "pyarrow==26.0.1"))
# Without what they need, which is the TensorFlow that isn't tensorflow-cpu.
TFRS = Environment(
    "tfrs",
    ("tensorflow-cpu==2.21.0", "pyarrow==26.0.1"),
    ("tf-keras==2.21.0", "tensorflow-recommenders==0.7.7"),
)
ONNX = Environment(
    "onnx",
    (
        "onnxruntime==1.32.0",
        "tf2onnx==1.17.0",
        "tensorflow-cpu==2.21.0",
        "pyspark==4.3.0",
        "pandas==2.3.3",
        "pyarrow==26.0.1",
    ),
)


def make_all() -> None:
    """Make what is missing of all environments, two at a time; who can't be made says so later."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_try, (MLFLOW, ONNX, RAY, TFRS, IMPLICIT, PLOTS)))


def _try(environment: Environment) -> None:
    try:
        python_of(environment)
    except Unavailable:
        return  # The peer's own case tries again and reports the reason.
