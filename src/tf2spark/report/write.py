"""Where a report goes: a file of this machine, replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tf2spark.errors import OutputError
from tf2spark.locations.paths import is_uri
from tf2spark.package.run_id import new_run_id


def check_report_path(path: str, output: Path | None) -> Path:
    """Refuse a path where no report can be written, before a job has run.

    Args:
        path: Where the report goes.
        output: Where the job's table goes, if that is on this machine.

    Raises:
        OutputError: It isn't on this machine, is a folder, lies in the output, or can't be written.
    """
    if is_uri(path):
        raise OutputError(f"--report {path}: a report is written to a file of this machine")
    target = Path(path)
    with _explained(path):
        is_folder = path.endswith(os.sep) or target.is_dir()
    if is_folder:
        raise OutputError(f"--report {path} is a folder", f"write --report {target / 'job.html'}")
    if output is not None and output.resolve() in target.resolve().parents:
        raise OutputError(
            f"--report {path} lies in the output, where readers would take it for data",
            "write it beside the output",
        )
    with _staged(target) as staged, _explained(path):
        staged.touch()
    return target


def write_report(target: Path, page: str) -> None:
    """Write a page; whoever reads it meanwhile has the old one.

    Raises:
        OutputError: It can't be written.
    """
    with _staged(target) as staged, _explained(str(target)):
        staged.write_text(page, encoding="utf-8")
        os.replace(staged, target)


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    staged = target.with_name(f".{target.name}.tf2spark-{new_run_id()}")
    try:
        yield staged
    finally:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"--report {path} can't be written: {error.strerror}") from None
