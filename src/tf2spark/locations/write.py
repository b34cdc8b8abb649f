"""Models written to folders of this machine, and packages to wherever their target is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tf2spark import other_formats
from tf2spark.locations.fetch import fetch_to_this_machine
from tf2spark.locations.optional_imports import need_pyspark
from tf2spark.locations.paths import local_package
from tf2spark.package.folder import copy_files, read_manifest, write
from tf2spark.package.manifest import FILES, Manifest
from tf2spark.package.staging import staging_folder
from tf2spark.plan.score import ModelRef


@contextmanager
def package_folder(target: str, *, overwrite: bool) -> Iterator[Path]:
    """Yield the local folder to write a package to; a remote target is uploaded at the end.

    Raises:
        OutputError: The target exists, or can't be written.
    """
    local = local_package(target)
    if local is not None:
        yield local
        return
    other_formats.check_address(target)
    need_pyspark()
    from tf2spark.spark import remote_models

    spark = remote_models.session_for(target)
    # Before anything is compiled, which may take minutes.
    remote_models.check_package_free(spark, target, overwrite=overwrite)
    with tempfile.TemporaryDirectory(prefix="package-", dir=staging_folder()) as folder:
        package = Path(folder) / "package"
        yield package
        remote_models.write_remote(
            spark,
            read_manifest(package),
            lambda entry: package / FILES / entry.stored,
            target,
            overwrite=overwrite,
        )


def write_files(model: ModelRef, package: Manifest | None, folder: Path) -> None:
    """Write a model's files to a new folder of this machine, and verify them.

    Args:
        model: The model, wherever it is.
        package: Its manifest, if it is a package.
        folder: The folder.

    Raises:
        ModelError: The model has changed since it was read.
    """
    from tf2spark.worker.model_session import source_on_this_machine

    reference = fetch_to_this_machine(model)
    source = source_on_this_machine(reference)
    if package is not None:
        write(source, folder, package)
    else:
        folder.mkdir(exist_ok=True)
        copy_files(source, reference.files, folder)
        _share(folder)


def _share(folder: Path) -> None:
    """Let those read the files in a folder who may read the folder, as for any folder."""
    mode = folder.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        path.chmod(mode if path.is_dir() else mode & 0o666)
