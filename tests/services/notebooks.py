"""Runs notebooks in a real kernel of Jupyter.

Run as ``python -m services.notebooks FOLDER``, it executes every notebook of a folder in a kernel
of its own and saves it with its outputs: `make notebooks` does that with ``examples/``.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat as _nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

nbformat: Any = _nbformat  # its functions have no types
# What conftest.py or a shell may set, and a user's Jupyter doesn't.
_NOT_FOR_KERNELS = ("PYTEST_CURRENT_TEST", "TF_CPP_MIN_LOG_LEVEL", "MPLBACKEND")
_TIMEOUT_SECONDS = 120
PROGRESS = re.compile(r"[\d,]+ tasks?(, [\d,]+ rows?)? in [\d,]+ s")
"""What the line of progress says at the end of a cell."""


@contextmanager
def kernel(folder: Path) -> Iterator[KernelManager]:
    """Yield a kernel that runs in a folder, and writes nowhere else."""
    environment = {key: os.environ[key] for key in os.environ if key not in _NOT_FOR_KERNELS}
    environment |= {
        "IPYTHONDIR": str(folder / ".ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / ".runtime"),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    manager = KernelManager()
    manager.start_kernel(cwd=str(folder), env=environment)
    try:
        yield manager
    finally:
        manager.shutdown_kernel(now=True)


def execute(notebook: Any, manager: KernelManager, folder: Path) -> Any:
    """Execute a notebook's cells, and return it with their outputs.

    The folder's name is left out of outputs, and cells are numbered from 1.
    """
    client = NotebookClient(notebook, km=manager, timeout=_TIMEOUT_SECONDS, record_timing=False)
    client.execute(reset_kc=False)
    text = nbformat.writes(notebook).replace(f"{folder}{os.sep}", "")
    done = nbformat.reads(text, as_version=4)
    for number, cell in enumerate((c for c in done.cells if c.cell_type == "code"), start=1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
            if "traceback" in output:
                lines = output.traceback
                output.traceback = [re.sub(r"In\[\d+\]", f"In[{number}]", line) for line in lines]
    return done


def without_progress(notebook: Any) -> Any:
    """Leave out the lines of progress, which depend on the machine; return the notebook."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
    return notebook


def _is_progress(output: Any) -> bool:
    text = output.get("data", {}).get("text/plain", "")
    return output.output_type == "display_data" and bool(PROGRESS.fullmatch(text))


def code_notebook(*sources: str, may_fail: bool = False) -> Any:
    """Return a notebook with these cells."""
    tags = {"tags": ["raises-exception"]} if may_fail else {}
    cells = [nbformat.v4.new_code_cell(source, metadata=tags) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def read(path: Path) -> Any:
    """Return the notebook in a file."""
    return nbformat.read(path, as_version=4)


def _main(folder: str) -> None:
    for path in sorted(Path(folder).glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as name, kernel(Path(name)) as manager:
            done = without_progress(execute(read(path), manager, Path(name)))
        nbformat.write(done, path)
        print(f"{path}: {len(done.cells)} cells")


if __name__ == "__main__":
    _main(*sys.argv[1:])
