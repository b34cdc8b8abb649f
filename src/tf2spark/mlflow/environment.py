"""What a logged model needs elsewhere: pip's requirements, and tf2spark itself.

tf2spark travels with the model, below ``code/``. An installed tf2spark is preferred to the copy, so
that loading an old model doesn't bring its old code into a process that has a newer one.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

CODE = "code"
LOADER = "tf2spark_loader"
"""The module that MLflow imports to load a model; it lies in ``code/``."""

_OWN = Path(__file__).parent.parent
# One file: a store of artifacts takes longer for many small ones.
_COPY = "tf2spark.zip"
_LOADER_TEXT = f'''"""Loads the model by the installed tf2spark, or by the copy beside this file."""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
import zipfile

if importlib.util.find_spec("tf2spark") is None:
    _folder = tempfile.mkdtemp(prefix="tf2spark-code-")
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    _here = os.path.dirname(os.path.abspath(__file__))
    with zipfile.ZipFile(os.path.join(_here, "{_COPY}")) as _copy:
        _copy.extractall(_folder)
    sys.path.append(_folder)

from tf2spark.mlflow import _load_pyfunc  # noqa: E402, F401
'''
# As in pyproject.toml, and pandas, by which MLflow passes rows.
REQUIREMENTS = (
    "attrs>=23.2",
    "click>=8.1",
    "numpy>=1.26",
    "pandas>=2.2",
    "protobuf>=4.22",
    "pyarrow>=16.1",
    "rich>=13",
)
_TENSORFLOW = ("tensorflow-cpu", "tensorflow", "intel-tensorflow", "tensorflow-macos")


def write_code(model: Path) -> None:
    """Write tf2spark and the module that loads it below the folder of a logged model."""
    code = model / CODE
    code.mkdir()
    with zipfile.ZipFile(code / _COPY, "w", zipfile.ZIP_DEFLATED) as copy:
        for path in sorted(_OWN.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                copy.write(path, path.relative_to(_OWN.parent))
    (code / f"{LOADER}.py").write_text(_LOADER_TEXT)


def default_requirements() -> list[str]:
    """Return what pip installs for a logged model: the TensorFlow that is installed here."""
    for name in _TENSORFLOW:
        try:
            return [f"{name}=={version(name).partition('+')[0]}", *REQUIREMENTS]
        except PackageNotFoundError:
            continue
    return ["tensorflow-cpu", *REQUIREMENTS]


def write_environment(
    model: Path,
    pip_requirements: Sequence[str] | str | None,
    extra_pip_requirements: Sequence[str] | str | None,
) -> None:
    """Write the files by which MLflow makes an environment: pip's, conda's and virtualenv's."""
    from mlflow.utils.environment import _process_pip_requirements, _PythonEnv

    conda, requirements, constraints = _process_pip_requirements(
        default_requirements(), pip_requirements, extra_pip_requirements
    )
    (model / "conda.yaml").write_text(yaml.safe_dump(conda, default_flow_style=False))
    (model / "requirements.txt").write_text("\n".join(requirements))
    if constraints:
        (model / "constraints.txt").write_text("\n".join(constraints))
    _PythonEnv.current().to_yaml(str(model / "python_env.yaml"))
