"""Which file systems workers can open, described from Hadoop's configuration as Spark uses it.

Keys that stand in the configuration travel to the workers in the task, as Spark sends its own
configuration to its executors. Keys that Hadoop keeps encrypted (a credential provider) stay there.
Whatever isn't known to lead to the same files is left to Spark.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult

from attrs import evolve
from pyspark.sql import SparkSession

from tf2spark.spark.jvm.access import hadoop_configuration, hadoop_path, hadoop_user
from tf2spark.spark.scan.hdfs_native import check_hdfs_native
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.worker.reading.file_systems import (
    LOCAL,
    Credentials,
    Files,
    HdfsFiles,
    S3Files,
    S3Keys,
)

Conf = Callable[[str], str | None]
"""Returns a setting; None where it is missing or empty."""

_S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
_HDFS = "org.apache.hadoop.hdfs.DistributedFileSystem"
_OSS = "org.apache.hadoop.fs.aliyun.oss.AliyunOSSFileSystem"
JAVA_CLASSES = {"hdfs": _HDFS, "s3a": _S3A, "s3": _S3A, "s3n": _S3A, "oss": _OSS}
"""By scheme, the class by which Spark reads it unless its settings name another."""
# Who asks for credentials, by the class's short name: it has been in several packages.
_KEYS_IN_CONFIGURATION = {
    "TemporaryAWSCredentialsProvider": True,  # with a session token
    "SimpleAWSCredentialsProvider": False,
}
_ASKED_BY_WORKERS: dict[str, Credentials] = {
    "AnonymousAWSCredentialsProvider": "anonymous",
    "AnonymousCredentialsProvider": "anonymous",
    "EnvironmentVariableCredentialsProvider": "environment",
    # pyarrow asks for all of these in turn, as the SDK's default provider does.
    "IAMInstanceCredentialsProvider": "machine",
    "InstanceProfileCredentialsProvider": "machine",
    "EC2ContainerCredentialsProviderWrapper": "machine",
    "ContainerCredentialsProvider": "machine",
    "WebIdentityTokenFileCredentialsProvider": "machine",
    "WebIdentityTokenCredentialsProvider": "machine",
    "DefaultCredentialsProvider": "machine",
    "DefaultAWSCredentialsProviderChain": "machine",
}
_KNOWN_PACKAGES = ("org.apache.hadoop.", "software.amazon.awssdk.", "com.amazonaws.")
_DEFAULT_PROVIDERS = (
    "TemporaryAWSCredentialsProvider,SimpleAWSCredentialsProvider,"
    "EnvironmentVariableCredentialsProvider,IAMInstanceCredentialsProvider"
)
# Settings with which requests differ in a way that pyarrow's don't; the values that are harmless.
_HARMLESS_S3A: dict[str, tuple[str, ...]] = {
    "security.credential.provider.path": (),
    "delegation.token.binding": (),
    "proxy.host": (),
    "accesspoint.arn": (),
    "signing-algorithm": (),
    "s3.signing-algorithm": (),
    "custom.signers": (),
    "http.signer.enabled": ("false",),
    "requester.pays.enabled": ("false",),
    "endpoint.fips": ("false",),
    "access.grants.enabled": ("false",),
    "s3.client.factory.impl": ("org.apache.hadoop.fs.s3a.DefaultS3ClientFactory",),
    # These are decrypted by the store, with keys that readers don't send.
    "encryption.algorithm": ("AES256", "SSE-S3", "SSE-KMS", "DSSE-KMS"),
    "server-side-encryption-algorithm": ("AES256", "SSE-S3", "SSE-KMS", "DSSE-KMS"),
}
_CENTRAL_ENDPOINT = "s3.amazonaws.com"


class FileSystems:
    """Describes the file systems of a session, each once."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._known: dict[tuple[str, str], Files] = {}

    def of(self, url: SplitResult) -> Files:
        """Return the file system of a file.

        Raises:
            NotReadable: Workers can't open it, or it isn't known whether they can.
        """
        key = (url.scheme, url.netloc)
        if key not in self._known:
            self._known[key] = self._describe(url)
        return self._known[key]

    def _describe(self, url: SplitResult) -> Files:
        # Workers on other hosts find it only where all hosts mount it, as Spark's own tasks do.
        if url.scheme == "file" and not url.netloc:
            return LOCAL
        if "@" in url.netloc:
            raise NotReadable(f'its files are on "{url.scheme}:", with keys in their path')
        if url.scheme not in ("hdfs", "s3a", "s3", "s3n", "oss"):
            raise NotReadable(
                f'its files are on "{url.scheme}:", and the workers read "file:", "hdfs:", "s3a:", '
                '"s3:", "s3n:" and "oss:" only'
            )
        # The configuration of the file system itself has the bucket's own settings in place.
        root = hadoop_path(self._spark, f"{url.scheme}://{url.netloc}/")
        file_system = root.getFileSystem(hadoop_configuration(self._spark))
        class_name = file_system.getClass().getName()
        files = describe(class_name, url.netloc, file_system.getConf())
        if isinstance(files, HdfsFiles):
            check_hdfs_native(self._spark)
            return evolve(files, user=hadoop_user(self._spark))
        return files


def describe(class_name: str, name: str, configuration: Any) -> Files:
    """Return the description of a file system.

    Args:
        class_name: The Java class that Spark reads it by.
        name: The bucket, or the host and port of the NameNode.
        configuration: Hadoop's `Configuration`, with the bucket's own settings in place.

    Raises:
        NotReadable: Workers can't open it, or it isn't known whether they can.
    """

    def setting(name: str) -> str | None:
        return (configuration.get(name) or "").strip() or None

    if class_name != _HDFS and setting("hadoop.security.credential.provider.path"):
        raise NotReadable(
            "hadoop.security.credential.provider.path is set, so keys are kept where workers "
            "don't look"
        )
    if class_name == _S3A:
        return _s3a(name, setting)
    if class_name == _OSS:
        return _oss(name, setting)
    if class_name == _HDFS:
        return _hdfs(name, setting)
    raise NotReadable(f"its files are read by {class_name.rpartition('.')[2]}")


def _s3a(bucket: str, setting: Conf) -> S3Files:
    for name, harmless in _HARMLESS_S3A.items():
        value = setting(f"fs.s3a.{name}")
        if value is not None and value not in harmless:
            raise NotReadable(f"fs.s3a.{name} is set, which workers don't know")
    scheme, endpoint = _endpoint(
        setting("fs.s3a.endpoint"), setting("fs.s3a.connection.ssl.enabled") != "false"
    )
    region = setting("fs.s3a.endpoint.region")
    on_aws = endpoint is None or endpoint.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    if endpoint == _CENTRAL_ENDPOINT:
        endpoint = None
    if region is None and endpoint is not None:
        found = re.match(r"s3[.-](?:dualstack\.)?([a-z]+(?:-[a-z]+)+-\d+)\.", endpoint)
        if on_aws and found is None:
            raise NotReadable("the region of its bucket is unknown (fs.s3a.endpoint.region)")
        # Other stores don't mind which.
        region = found[1] if found else "us-east-1"
    return S3Files(
        bucket,
        tuple(_credentials(setting)),
        endpoint,
        scheme,
        region,
        path_style=setting("fs.s3a.path.style.access") == "true",
    )


def _endpoint(endpoint: str | None, https: bool) -> tuple[str, str | None]:
    """Return the scheme and the "host:port" of an endpoint, which may have a scheme itself."""
    scheme = "https" if https else "http"
    if endpoint is None:
        return scheme, None
    prefix, separator, rest = endpoint.partition("://")
    if separator:
        scheme, endpoint = prefix.lower(), rest
    endpoint = endpoint.rstrip("/")
    if scheme not in ("http", "https") or not re.fullmatch(r"[\w.\-\[\]:]+", endpoint):
        raise NotReadable("its endpoint isn't the host of a store")
    return scheme, endpoint


def _credentials(setting: Conf) -> list[Credentials]:
    """Return what S3A tries in turn, without the keys that the configuration doesn't have."""
    listed = setting("fs.s3a.aws.credentials.provider") or _DEFAULT_PROVIDERS
    credentials: list[Credentials] = []
    for class_name in filter(None, re.split(r"[\s,]+", listed)):
        package, _, name = class_name.rpartition(".")
        name = name.rpartition("$")[2]
        known = name in _KEYS_IN_CONFIGURATION or name in _ASKED_BY_WORKERS
        if not known or (package and not package.startswith(_KNOWN_PACKAGES)):
            raise NotReadable(f"its keys come from {name}, which workers can't ask")
        if name in _ASKED_BY_WORKERS:
            credentials.append(_ASKED_BY_WORKERS[name])
            continue
        keys = _keys(setting, "fs.s3a.access.key", "fs.s3a.secret.key", "fs.s3a.session.token")
        if keys is None:
            continue
        # SimpleAWSCredentialsProvider sends no token, even if there is one.
        if not _KEYS_IN_CONFIGURATION[name]:
            credentials.append(S3Keys(keys.access_key, keys.secret_key))
        elif keys.session_token:
            credentials.append(keys)
    if not credentials:
        raise NotReadable("the configuration has no keys for its bucket")
    return credentials


def _keys(setting: Conf, access: str, secret: str, token: str) -> S3Keys | None:
    access_key, secret_key = setting(access), setting(secret)
    if access_key is None or secret_key is None:
        return None
    return S3Keys(access_key, secret_key, setting(token))


def _oss(bucket: str, setting: Conf) -> S3Files:
    """Describe a bucket of Alibaba's OSS, whose endpoints speak the protocol of S3 as well."""
    for name in ("fs.oss.credentials.provider", "fs.oss.proxy.host"):
        if setting(name) is not None:
            raise NotReadable(f"{name} is set, which workers don't know")
    https = setting("fs.oss.connection.secure.enabled") != "false"
    scheme, endpoint = _endpoint(setting("fs.oss.endpoint"), https)
    if endpoint is None:
        raise NotReadable("fs.oss.endpoint is not set")
    keys = _keys(setting, "fs.oss.accessKeyId", "fs.oss.accessKeySecret", "fs.oss.securityToken")
    if keys is None:
        raise NotReadable("the configuration has no keys for its bucket")
    found = re.match(r"(?:s3\.)?(oss-[a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com$", endpoint)
    # OSS has the bucket in the host's name, unless the host is a number.
    is_number = re.fullmatch(r"[\d.]+(:\d+)?", endpoint) is not None
    return S3Files(
        bucket, (keys,), endpoint, scheme, found[1] if found else "us-east-1", path_style=is_number
    )


def _hdfs(name: str, setting: Conf) -> HdfsFiles:
    """Describe a NameNode, or several under one name, without Kerberos."""
    if setting("hadoop.security.authentication") not in (None, "simple"):
        raise NotReadable("its HDFS asks for Kerberos tickets, which workers don't have")
    if setting("hadoop.rpc.protection") not in (None, "authentication"):
        raise NotReadable("hadoop.rpc.protection is set, which workers don't know")
    if setting("dfs.client.use.datanode.hostname") == "true":
        raise NotReadable("dfs.client.use.datanode.hostname is set, which workers don't know")
    nodes = setting(f"dfs.ha.namenodes.{name}")
    names = [f"dfs.ha.namenodes.{name}"]
    if nodes is not None:
        names += [f"dfs.namenode.rpc-address.{name}.{node.strip()}" for node in nodes.split(",")]
    settings = tuple((key, value) for key in names if (value := setting(key)) is not None)
    return HdfsFiles(f"hdfs://{name}", settings)
