"""Virtual environments for peers that need other packages than ours, created on first use.

Each is a `.venv-bench-NAME` next to `.venv`, installed by pip from its default registry.
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
    """A peer can't run here; the message says why."""


@frozen
class Environment:
    """Packages of a peer.

    Attributes:
        name: Its folder is ``.venv-bench-NAME``.
        packages: What pip installs in one go, pinned where results depend on the version.
        without_dependencies: What pip installs after these, without its dependencies.
    """

    name: str
    packages: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return _ROOT / f".venv-bench-{self.name}"


def python_of(environment: Environment | None) -> str:
    """Return the environment's Python, creating the environment if it is missing.

    None is our own environment.

    Raises:
        Unavailable: pip couldn't install it; the message has the end of pip's output.
    """
    if environment is None:
        return sys.executable
    python = environment.folder / "bin" / "python"
    marker = environment.folder / ".installed"
    packages = "\n".join([*environment.packages, "", *environment.without_dependencies])
    if not marker.exists() or marker.read_text() != packages:
        print(f"installing {environment.folder.name} ...", file=sys.stderr, flush=True)
        if not python.exists():
            venv.create(environment.folder, with_pip=True)
        _install(python, environment.packages)
        if environment.without_dependencies:
            _install(python, ("--no-deps", *environment.without_dependencies))
        marker.write_text(packages)
    return str(python)


def _install(python: Path, packages: tuple[str, ...]) -> None:
    command = [str(python), "-m", "pip", "install", "-q", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        output = " / ".join(done.stderr.strip().splitlines()[-3:])
        raise Unavailable(f"pip could not install {', '.join(packages)}: {output}")


PLOTS = Environment("plots", ("matplotlib==3.11.2",))
MLFLOW = Environment("mlflow", ("mlflow==3.17.2", "tensorflow-cpu==2.21.0", "pyspark==4.3.0"))
RAY = Environment("ray", ("ray[data]==2.60.0", "tensorflow-cpu==2.21.0"))
IMPLICIT = Environment("implicit", ("implicit==0.7.3", "pyarrow==26.0.1"))
# Without dependencies, because these include `tensorflow` in addition to `tensorflow-cpu`.
TFRS = Environment(
    "tfrs",
    ("tensorflow-cpu==2.21.0", "pyarrow==26.0.1"),
    ("tf-keras==2.21.0", "tensorflow-recommenders==0.7.7"),
)
SURVEY = Environment(
    "survey",
    ("tensorflow-cpu==2.21.0", "jax==0.10.2", "flax==0.12.8", "dm-haiku==0.0.17"),
    ("tf-keras==2.21.0", "tensorflow-recommenders==0.7.7", "deepctr==0.9.4"),
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
    """Create all missing environments, two at a time; the cases report those that fail."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_try, (MLFLOW, ONNX, RAY, TFRS, IMPLICIT, PLOTS)))


def _try(environment: Environment) -> None:
    try:
        python_of(environment)
    except Unavailable:
        return  # the case of the peer tries again, and reports the reason
