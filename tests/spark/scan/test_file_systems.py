"""File systems as Hadoop's configuration describes them."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession

from tf2spark.spark.jvm.access import hadoop_configuration
from tf2spark.spark.scan.file_systems import describe
from tf2spark.spark.scan.not_readable import NotReadable
from tf2spark.worker.reading.file_systems import HdfsFiles, S3Files, S3Keys

_S3A = "org.apache.hadoop.fs.s3a.S3AFileSystem"
_OSS = "org.apache.hadoop.fs.aliyun.oss.AliyunOSSFileSystem"
_HDFS = "org.apache.hadoop.hdfs.DistributedFileSystem"
_PROVIDER, _S3A_AUTH = "aws.credentials.provider", "org.apache.hadoop.fs.s3a."
_KEYS = {"access.key": "a", "secret.key": "s"}


def configuration(spark: SparkSession, settings: dict[str, str]) -> Any:
    conf = hadoop_configuration(spark)
    for name in ("endpoint", "endpoint.region", "aws.credentials.provider"):
        conf.unset(f"fs.s3a.{name}")
    for name, value in settings.items():
        conf.set(name, value)
    return conf


def s3a(spark: SparkSession, settings: dict[str, str]) -> Any:
    conf = configuration(spark, {f"fs.s3a.{name}": value for name, value in settings.items()})
    return describe(_S3A, "b", conf)


def test_s3a_is_described_as_hadoop_would_open_it(spark: SparkSession) -> None:
    """Endpoint, region, scheme, path style and keys; the bucket's own region where none is set."""
    keys = S3Keys("a", "s")
    settings = {
        **_KEYS, "endpoint": "http://minio:9000/", "path.style.access": "true",
        "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
    }  # fmt: skip
    expected = S3Files("b", (keys,), "minio:9000", "http", "us-east-1", path_style=True)
    assert s3a(spark, settings) == expected
    assert s3a(spark, _KEYS) == S3Files("b", (keys, "environment", "machine"))
    central = {"endpoint": "s3.amazonaws.com", "endpoint.region": "eu-west-1"}
    assert s3a(spark, _KEYS | central).region == "eu-west-1"
    regional = s3a(spark, _KEYS | {"endpoint": "s3.eu-central-1.amazonaws.com"})
    assert (regional.region, regional.scheme, regional.path_style) == (
        "eu-central-1",
        "https",
        False,
    )
    assert (
        s3a(spark, _KEYS | {"endpoint": "h:1", "connection.ssl.enabled": "false"}).scheme == "http"
    )


@pytest.mark.parametrize(
    ("providers", "credentials"),
    [
        ("org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider", (S3Keys("a", "s", "t"),)),
        ("org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider", (S3Keys("a", "s"),)),
        ("org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider", ("anonymous",)),
        (
            "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider,\n"
            "  org.apache.hadoop.fs.s3a.auth.IAMInstanceCredentialsProvider",
            ("environment", "machine"),
        ),
        ("com.amazonaws.auth.WebIdentityTokenCredentialsProvider", ("machine",)),
    ],
)
def test_credentials_are_asked_for_in_hadoops_order(
    spark: SparkSession, providers: str, credentials: Any
) -> None:
    """Keys of the configuration travel; others are asked for by the workers."""
    settings = {**_KEYS, "session.token": "t", "aws.credentials.provider": providers}
    assert s3a(spark, settings).credentials == credentials


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({_PROVIDER: "com.corp.SimpleAWSCredentialsProvider"}, "come from Simple"),
        ({_PROVIDER: _S3A_AUTH + "auth.AssumedRoleCredentialProvider"},
         "AssumedRole"),
        ({_PROVIDER: _S3A_AUTH + "TemporaryAWSCredentialsProvider"},
         "has no keys"),
        ({"encryption.algorithm": "SSE-C"}, "encryption.algorithm"),
        ({"proxy.host": "secret-proxy"}, "proxy.host is set"),
        ({"requester.pays.enabled": "true"}, "requester.pays"),
        ({"endpoint": "vpce-1.s3.amazonaws.com"}, "region"),
    ],
)  # fmt: skip
def test_what_isnt_known_is_left_to_spark(
    spark: SparkSession, settings: dict[str, str], reason: str
) -> None:
    """The reason names the setting, and never a value that may be secret."""
    with pytest.raises(NotReadable, match=reason) as raised:
        s3a(spark, _KEYS | settings)
    assert "secret-" not in str(raised.value)


def test_oss_is_read_by_the_protocol_of_s3(spark: SparkSession) -> None:
    """With the endpoint and the keys that Hadoop's OSS client has, and the bucket in the host."""
    settings = {
        "fs.oss.endpoint": "oss-cn-hangzhou-internal.aliyuncs.com",
        "fs.oss.accessKeyId": "a",
        "fs.oss.accessKeySecret": "s",
    }
    files = describe(_OSS, "b", configuration(spark, settings))
    endpoint = "oss-cn-hangzhou-internal.aliyuncs.com"
    assert files == S3Files("b", (S3Keys("a", "s"),), endpoint, "https", "oss-cn-hangzhou")
    with pytest.raises(NotReadable, match="has no keys"):
        describe(_OSS, "b", configuration(spark, {"fs.oss.endpoint": "h"}))


def test_hdfs_is_described_with_all_its_name_nodes(spark: SparkSession) -> None:
    """A name that stands for two; Kerberos is left to Spark."""
    settings = {
        "dfs.ha.namenodes.ha": "a, b",
        "dfs.namenode.rpc-address.ha.a": "h1:8020",
        "dfs.namenode.rpc-address.ha.b": "h2:8020",
    }
    files = describe(_HDFS, "ha", configuration(spark, settings))
    assert files == HdfsFiles("hdfs://ha", tuple(settings.items()))
    with pytest.raises(NotReadable, match="Kerberos"):
        describe(_HDFS, "h", configuration(spark, {"hadoop.security.authentication": "kerberos"}))
    with pytest.raises(NotReadable, match="read by ViewFileSystem"):
        describe("org.apache.hadoop.fs.viewfs.ViewFileSystem", "h", configuration(spark, {}))
