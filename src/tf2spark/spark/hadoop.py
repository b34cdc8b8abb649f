"""Files on any file system that Hadoop's API reaches, with the session's own configuration.

Failures become one message that says what to add: the coordinate of a jar, or a setting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from tf2spark.errors import ModelError, ModelNotFoundError, SetupError, StorageError
from tf2spark.shown_text import Lines
from tf2spark.spark.jvm.access import JavaError, hadoop_configuration, hadoop_path, java_array, jvm

# Which artifact has the file system of a scheme, in the version of the cluster's Hadoop.
_ARTIFACTS = {
    "s3a": "org.apache.hadoop:hadoop-aws",
    "oss": "org.apache.hadoop:hadoop-aliyun",
    "abfs": "org.apache.hadoop:hadoop-azure",
    "abfss": "org.apache.hadoop:hadoop-azure",
    "gs": "com.google.cloud.bigdataoss:gcs-connector",
}
_KEYS = {
    "s3a": "spark.hadoop.fs.s3a.access.key, spark.hadoop.fs.s3a.secret.key and "
    "spark.hadoop.fs.s3a.endpoint",
    "oss": "spark.hadoop.fs.oss.accessKeyId, spark.hadoop.fs.oss.accessKeySecret and "
    "spark.hadoop.fs.oss.endpoint",
}
OBJECT_STORES = frozenset({"s3a", "oss", "gs", "abfs", "abfss", "wasb", "wasbs", "cosn", "obs"})
"""Schemes where a rename copies, and a file is visible only once it is complete."""


@frozen
class RemoteFile:
    """A file anywhere in a folder.

    Attributes:
        path: Its path relative to the folder.
        size_bytes: Its size.
        modified_ms: When it was last modified, in milliseconds since 1970.
    """

    path: str
    size_bytes: int
    modified_ms: int


def scheme_of(path: str) -> str | None:
    """Return the scheme of a URI, ``s3a`` for ``s3``; None for a path on this machine."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", path)
    scheme = match[1].lower() if match else None
    return None if scheme in (None, "file") else ("s3a" if scheme in ("s3", "s3n") else scheme)


def as_hadoop(path: str) -> str:
    """Return a URI with the scheme that Hadoop knows: ``s3a://`` for ``s3://``."""
    return re.sub(r"^s3n?:/", "s3a:/", path, flags=re.IGNORECASE).rstrip("/")


def resolve(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return Hadoop's FileSystem of a path, and the path, absolute and with its scheme."""
    unqualified = hadoop_path(spark, as_hadoop(path))
    file_system = unqualified.getFileSystem(hadoop_configuration(spark))
    return file_system, file_system.makeQualified(unqualified)


def exists(spark: SparkSession, path: str) -> bool:
    """Say whether a file or folder exists, on the file system that `path` names."""
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        return bool(file_system.exists(resolved))


def size_bytes(spark: SparkSession, path: str) -> int:
    """Return the size of a file."""
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        return int(file_system.getFileStatus(resolved).getLen())


def folders(spark: SparkSession, path: str) -> list[str]:
    """Return the names of the folders in a folder."""
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        statuses = file_system.listStatus(resolved)
        return sorted(status.getPath().getName() for status in statuses if status.isDirectory())


def file_names(spark: SparkSession, path: str) -> list[str]:
    """Return the names of the files in a folder, without those in its folders."""
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        statuses = file_system.listStatus(resolved)
        return sorted(status.getPath().getName() for status in statuses if status.isFile())


def is_file(spark: SparkSession, path: str) -> bool:
    """Say whether there is a file at a path."""
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        return bool(file_system.exists(resolved) and file_system.getFileStatus(resolved).isFile())


def ends_of(spark: SparkSession, path: str, head: int, end: int) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file, as many as it has."""
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        size = int(file_system.getFileStatus(resolved).getLen())
        read = jvm(spark).org.apache.commons.io.IOUtils.toByteArray
        stream = file_system.open(resolved)
        try:
            first = bytes(read(stream, min(head, size)))
            stream.seek(max(0, size - end))
            return first, bytes(read(stream, min(end, size)))
        finally:
            stream.close()


def files(spark: SparkSession, path: str, *, limit: int | None = None) -> list[RemoteFile]:
    """Return every file anywhere in a folder, sorted by path.

    Raises:
        ModelNotFoundError: There is no such folder.
        ModelError: It has more than `limit` files.
    """
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        prefix = resolved.toUri().getPath().rstrip("/") + "/"
        statuses, remote_files = file_system.listFiles(resolved, True), []
        while statuses.hasNext():
            status = statuses.next()
            name = status.getPath().toUri().getPath().removeprefix(prefix)
            remote_files.append(RemoteFile(name, status.getLen(), status.getModificationTime()))
            if limit is not None and len(remote_files) > limit:
                raise ModelError(f'"{path}" has more than {limit:,} files')
        return sorted(remote_files, key=lambda file: file.path)


def download(spark: SparkSession, path: str, target: Path) -> None:
    """Copy one file to this machine; it appears complete or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        # The last argument leaves out the checksum file that Hadoop writes next to local files.
        local = hadoop_path(spark, partial.as_uri())
        file_system.copyToLocalFile(False, resolved, local, True)
    partial.rename(target)


def upload(spark: SparkSession, source: Path, path: str) -> None:
    """Copy one file of this machine to a path, and overwrite what is there."""
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        local = hadoop_path(spark, source.as_uri())
        file_system.copyFromLocalFile(False, True, local, resolved)


def rename_new(spark: SparkSession, source: str, target: str) -> None:
    """Rename a file or folder, never onto or into another; in one step except on object stores.

    Raises:
        FileExistsError: There is something at `target`.
    """
    with explain_java_errors(spark, target):
        file_system, from_path = resolve(spark, source)
        _, to_path = resolve(spark, target)
        if scheme_of(target) in OBJECT_STORES:
            _rename_and_check(spark, file_system, from_path, to_path)
            return
        try:
            _rename_in_one_step(spark, from_path, to_path, "NONE")
        except JavaError as error:
            if "FileAlreadyExistsException" in str(error):
                raise FileExistsError(target) from None
            if "UnsupportedFileSystemException" not in str(error):
                raise
            _rename_and_check(spark, file_system, from_path, to_path)


def _rename_and_check(spark: SparkSession, file_system: Any, source: Any, target: Any) -> None:
    """Rename by Hadoop's older interface, which moves a folder *into* one that exists.

    An empty folder counts as nothing: some object stores keep one where a table was.
    """
    if file_system.exists(target) and not _is_empty_folder(file_system, target):
        raise FileExistsError(target.toString())
    # A path that the target has only if the source is in it; the source may hold its own name.
    inner = source.getName()
    while file_system.exists(hadoop_path(spark, source, inner)):
        inner += f"/{source.getName()}"
    if not file_system.rename(source, target):
        raise StorageError(f"can't rename {source.toString()} to {target.toString()}")
    if file_system.exists(hadoop_path(spark, target, inner)):  # it appeared after the check
        file_system.rename(hadoop_path(spark, target, source.getName()), source)
        raise FileExistsError(target.toString())


def _is_empty_folder(file_system: Any, path: Any) -> bool:
    is_folder = file_system.getFileStatus(path).isDirectory()
    return is_folder and not len(file_system.listStatus(path))


def replace(spark: SparkSession, source: str, target: str) -> None:
    """Rename a file over another, atomically where the file system can do that."""
    with explain_java_errors(spark, target):
        (_, from_path), (_, to_path) = resolve(spark, source), resolve(spark, target)
        _rename_in_one_step(spark, from_path, to_path, "OVERWRITE")


def _rename_in_one_step(spark: SparkSession, source: Any, target: Any, option: str) -> None:
    context = jvm(spark).org.apache.hadoop.fs.FileContext.getFileContext(
        target.toUri(), hadoop_configuration(spark)
    )
    options = getattr(jvm(spark), "org.apache.hadoop.fs.Options$Rename")
    chosen = getattr(options, option)
    context.rename(source, target, java_array(spark, options, [chosen]))


def delete(spark: SparkSession, path: str) -> None:
    """Delete a file or folder, if it exists."""
    with explain_java_errors(spark, path):
        file_system, resolved = resolve(spark, path)
        file_system.delete(resolved, True)


@contextmanager
def explain_java_errors(spark: SparkSession, path: str) -> Iterator[None]:
    """Turn Hadoop's exceptions into errors whose one message says what to do."""
    try:
        yield
    except (JavaError, PySparkException) as error:  # PySpark converts some of Java's
        raise _explain(spark, path, str(error)) from JavaFailure(str(error))


class JavaFailure(Exception):
    """The text of a Java exception for tracebacks, where the exception itself may show a secret."""

    def __init__(self, text: str) -> None:
        super().__init__(Lines.of(text.expandtabs(4).splitlines()))


def _explain(spark: SparkSession, path: str, java_message: str) -> Exception:
    scheme = scheme_of(path) or "file"
    if re.search(
        r"No FileSystem for scheme|ClassNotFoundException|NoClassDefFoundError", java_message
    ):
        return SetupError(_missing_jar(spark, path, scheme))
    if "FileNotFoundException" in java_message:
        return ModelNotFoundError(f'there is nothing at "{path}"')
    if re.search(
        r"AccessDenied|AccessControlException|InvalidAccessKeyId|SignatureDoesNotMatch|Forbidden"
        r"|NoAuthWithAWSException|NoAwsCredentials|status code:? 403|Status Code: 403",
        java_message,
    ):
        keys = f": check {_KEYS[scheme]}" if scheme in _KEYS else ""
        return StorageError(
            f'"{path}" may not be read with these credentials{keys} ({_cause(java_message)})'
        )
    if re.search(r"NoSuchBucket|bucket does not exist", java_message):
        return StorageError(f'"{path}" is in a bucket that does not exist')
    if re.search(r"UnknownHostException|ConnectException|Connection refused", java_message):
        return StorageError(f'the service behind "{path}" doesn\'t answer: {_cause(java_message)}')
    return StorageError(f'"{path}": {_cause(java_message)}')


def _missing_jar(spark: SparkSession, path: str, scheme: str) -> str:
    hadoop = jvm(spark).org.apache.hadoop.util.VersionInfo.getVersion()
    artifact = _ARTIFACTS.get(scheme)
    if artifact is None:
        known = ", ".join(f"{known_scheme}://" for known_scheme in ("hdfs", *_ARTIFACTS))
        return (
            f'Hadoop here knows no file system for "{path}"; usual ones are {known}, and any other '
            f"needs its jar (spark.jars.packages) and spark.hadoop.fs.{scheme}.impl"
        )
    version = hadoop if artifact.startswith("org.apache.hadoop") else "VERSION"
    return (
        f'"{path}" needs a jar that this Spark lacks: start the session with '
        f"spark.jars.packages={artifact}:{version}"
    )


def _cause(java_message: str) -> str:
    """Return the message of a Java exception, without its class and its stack."""
    lines = [line.strip() for line in java_message.splitlines() if line.strip()]
    # The first line may be py4j's own, which names only the Java object that was called.
    if len(lines) > 1 and lines[0].startswith("An error occurred while calling"):
        del lines[0]
    line = lines[0] if lines else "no message"
    return re.sub(r"^:?\s*([\w.$]+(?:Exception|Error)): ", "", line)
