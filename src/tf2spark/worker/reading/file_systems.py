"""The file systems that workers read from: what a plan says of one, and how a worker opens it.

A description travels in the plan, as Spark sends Hadoop's configuration to its executors. It may
hold keys, which no repr and no message shows. Clients are opened once a process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal

import pyarrow as pa
from attrs import field, frozen

from tf2spark.worker.reading.read_ahead import RemoteFile

_CONNECT_SECONDS = 10.0
_REQUEST_SECONDS = 60.0
# A request of S3 takes long to be answered. HDFS answers at once, and the memory of larger answers
# would be taken from the system and returned each time, at half as much CPU time again.
_S3_REQUEST_BYTES = 4 << 20
_HDFS_REQUEST_BYTES = 2 << 20
_ENVIRONMENT_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@frozen
class LocalFiles:
    """Files of this machine, or that every machine mounts at the same path."""

    def open(self, path: str) -> pa.NativeFile:
        return pa.OSFile(path)


@frozen
class S3Keys:
    """Keys of S3, with the token of temporary ones; none of them is ever shown."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


Credentials = S3Keys | Literal["anonymous", "environment", "machine"]
"""Keys; none; those in the worker's environment; or the role of its machine, pod or container."""


@frozen
class S3Files:
    """A bucket of S3, or of a store with the protocol of S3.

    Attributes:
        bucket: Its name.
        credentials: The kinds of credentials to try; the first that the worker has is used.
        endpoint: The store's "host" or "host:port"; None for AWS itself.
        scheme: "https" or "http".
        region: The region that requests are signed for; None for the bucket's own, on AWS.
        path_style: The bucket is part of the path, not of the host's name. Only with `endpoint`.
    """

    bucket: str
    credentials: tuple[Credentials, ...]
    endpoint: str | None = None
    scheme: str = "https"
    region: str | None = None
    path_style: bool = False

    def open(self, path: str) -> RemoteFile:
        file = s3_client(self).open_input_file(f"{self.bucket}/{path.lstrip('/')}")

        def request(start: int, buffer: memoryview) -> int:
            return int(file.get_stream(start, len(buffer)).readinto(buffer))

        return RemoteFile(request, file.size(), _S3_REQUEST_BYTES)


@frozen
class HdfsFiles:
    """A NameNode of HDFS, or a name that stands for several.

    Attributes:
        url: "hdfs://host:port", or "hdfs://name".
        settings: What Hadoop's configuration says about the NameNodes of that name.
        user: Whose permissions are used, unless the worker's environment says (HADOOP_USER_NAME).
    """

    url: str
    settings: tuple[tuple[str, str], ...] = ()
    user: str | None = None

    def open(self, path: str) -> RemoteFile:
        with _hdfs_errors():
            file = _hdfs_client(self).read(path)

        def request(start: int, buffer: memoryview) -> int:
            position = 0
            with _hdfs_errors():
                # It has packets of 64 KB, whose memory stays in the process and in the CPU's cache.
                for packet in file.read_range_stream(start, len(buffer)):
                    end = position + len(packet)
                    buffer[position:end] = packet
                    position = end
            return position

        return RemoteFile(request, len(file), _HDFS_REQUEST_BYTES)


@contextmanager
def _hdfs_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # hdfs-native has no class of its own for most errors
        # The NameNode's errors come with its stack, and those of DataNodes with all about them.
        text = str(error).partition("\n")[0]
        if "All DataNodes failed" in text:
            text = "none of its DataNodes answers with an undamaged block"
        raise OSError(text) from None


Files = LocalFiles | S3Files | HdfsFiles
LOCAL = LocalFiles()


@lru_cache(maxsize=32)
def s3_client(files: S3Files) -> Any:
    """Return pyarrow's file system of a bucket.

    Raises:
        OSError: The process has none of the credentials.
    """
    from pyarrow.fs import S3FileSystem, resolve_s3_region

    chosen = _choose(files.credentials)
    options: dict[str, Any] = {"anonymous": chosen == "anonymous"}
    if isinstance(chosen, S3Keys):
        options |= {"access_key": chosen.access_key, "secret_key": chosen.secret_key}
        options["session_token"] = chosen.session_token
    if files.endpoint is not None:
        options["endpoint_override"] = files.endpoint
        options["force_virtual_addressing"] = not files.path_style
    region = files.region
    if region is None and files.endpoint is None:
        region = resolve_s3_region(files.bucket)
    return S3FileSystem(
        **options,
        region=region,
        scheme=files.scheme,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
    )


@lru_cache(maxsize=32)
def _hdfs_client(files: HdfsFiles) -> Any:
    """Return hdfs-native's client of HDFS, which needs neither Java nor libhdfs."""
    try:
        from hdfs_native import Client
    except ImportError:
        raise OSError(
            "this Python lacks hdfs-native: install tf2spark[hdfs] on every host"
        ) from None
    if files.user is not None:
        os.environ.setdefault("HADOOP_USER_NAME", files.user)
    return Client(files.url, dict(files.settings))


def _choose(credentials: tuple[Credentials, ...]) -> Credentials:
    for kind in credentials:
        if kind != "environment":
            return kind
        access_key, secret_key, token = map(os.environ.get, _ENVIRONMENT_KEYS)
        if access_key and secret_key:
            return S3Keys(access_key, secret_key, token or None)
    raise OSError("there are no keys of S3 in the environment of this process")
