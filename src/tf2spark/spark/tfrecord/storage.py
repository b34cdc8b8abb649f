"""The file systems of a session as Python opens them: on the driver, and in every task.

The data source runs in processes without a session, so Hadoop's settings travel with it, as Spark
sends its own to its executors. They may hold keys, which no repr and no message shows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from urllib.parse import urlsplit

from attrs import evolve, field, frozen
from pyarrow import fs

from tf2spark.errors import StorageError, Tf2SparkError, first_line
from tf2spark.shown_text import redact
from tf2spark.spark.scan.file_systems import JAVA_CLASSES, describe
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.tfrecord.files import open_system
from tf2spark.worker.reading.file_systems import HdfsFiles, S3Files, s3_client

# These copy and delete instead of renaming, and know no folders.
_OBJECT_STORES = frozenset({"s3", "gcs", "abfs"})


@frozen
class BucketSettings:
    """Hadoop's settings, those of one bucket before the others, as `describe` reads them."""

    settings: Mapping[str, str] = field(repr=False)
    name: str

    def get(self, key: str) -> str | None:
        own = re.sub(r"^fs\.s3a\.", f"fs.s3a.bucket.{self.name}.", key)
        return self.settings.get(own) or self.settings.get(key)


@frozen
class Storage:
    """Where paths lead.

    Attributes:
        settings: Hadoop's settings of the file systems, by name.
        user: Whose permissions are used on HDFS, unless the process's environment says.
    """

    settings: Mapping[str, str] = field(factory=dict, repr=False)
    user: str | None = None

    def qualify(self, path: str) -> str:
        """Return a path with its file system, as Hadoop does; on this machine, as it is."""
        default = self.settings.get("fs.defaultFS", "").rstrip("/")
        scheme, host, rest = re.fullmatch(
            r"(?:(\w[\w+.-]*):)?(?://([^/]*))?(.*)", path, re.S
        ).groups()  # type: ignore[union-attr]
        if scheme is None and default and not default.startswith("file:"):
            return default + (path if path.startswith("/") else f"/user/{self.user}/{path}")
        if scheme is not None and not host and default.startswith(f"{scheme}://"):
            return default + rest
        return path

    def open(self, path: str) -> tuple[fs.FileSystem, str]:
        """Return the file system of a path or URI, and the path on it.

        Raises:
            StorageError: It can't be reached from Python.
        """
        path = self.qualify(path)
        url = urlsplit(path)
        if url.scheme not in JAVA_CLASSES or not url.netloc:
            return open_system(path)
        if "@" in url.netloc:
            raise StorageError(f"{redact(path)} has keys in it, which belong into the settings")
        inner = path.partition("://")[2]
        settings = BucketSettings(self.settings, url.netloc)
        class_name = settings.get(f"fs.{url.scheme}.impl") or JAVA_CLASSES[url.scheme]
        try:
            files = describe(class_name, url.netloc, settings)
            if isinstance(files, HdfsFiles):
                system = _hdfs(evolve(files, user=self.user))
                return system, inner.removeprefix(url.netloc)
            assert isinstance(files, S3Files)
            return s3_client(files), inner
        except (NotReadable, OSError) as error:
            if isinstance(error, Tf2SparkError):
                raise
            raise StorageError(
                f"{redact(path)} can't be reached from Python: {first_line(error)}"
            ) from None


def renames(system: fs.FileSystem) -> bool:
    """Return whether a file system renames a folder in one step."""
    return system.type_name not in _OBJECT_STORES


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn what a file system says in a block into an error that names the path.

    Raises:
        StorageError: It failed, or refused.
    """
    try:
        yield
    except Tf2SparkError:
        raise
    except Exception as error:  # hdfs-native has no class of its own for most errors
        raise StorageError(f"{redact(path)}: {first_line(error)}") from None


@lru_cache(maxsize=32)
def _hdfs(files: HdfsFiles) -> fs.FileSystem:
    """Return HDFS by hdfs-native, or by libhdfs where only that is installed."""
    host, _, port = files.url.removeprefix("hdfs://").partition(":")
    try:
        from hdfs_native.fsspec import HdfsFileSystem
    except ImportError:
        try:
            return fs.HadoopFileSystem(host, int(port or 0), user=files.user)
        except OSError:
            raise OSError(
                "this Python has neither hdfs-native nor libhdfs: install tf2spark[hdfs] on every "
                "host"
            ) from None
    if files.user is not None:
        os.environ.setdefault("HADOOP_USER_NAME", files.user)
    options = dict(files.settings)
    system = HdfsFileSystem(host, int(port) if port else None, skip_instance_cache=True, **options)
    return fs.PyFileSystem(fs.FSSpecHandler(system))
