"""`spark.tfrecord.storage`: where paths lead, by the settings of a session."""

from __future__ import annotations

from typing import Any

import pytest

from tf2spark.errors import StorageError
from tf2spark.spark.tfrecord.storage import BucketSettings, Storage

S3 = {
    "fs.s3a.endpoint": "http://127.0.0.1:1",
    "fs.s3a.access.key": "id",
    "fs.s3a.secret.key": "hidden",
    "fs.s3a.aws.credentials.provider": ("org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"),
    "fs.s3a.bucket.films.access.key": "id of films",
}


@pytest.mark.parametrize(
    ("default", "path", "qualified"),
    [
        ("hdfs://nn:8020", "/data/a b", "hdfs://nn:8020/data/a b"),
        ("hdfs://nn:8020/", "out/x", "hdfs://nn:8020/user/me/out/x"),
        ("hdfs://nn:8020", "hdfs:///x", "hdfs://nn:8020/x"),
        ("hdfs://nn:8020", "hdfs://other/x", "hdfs://other/x"),
        ("hdfs://nn:8020", "file:/x", "file:/x"),
        ("hdfs://nn:8020", "s3a://b/x?y#z", "s3a://b/x?y#z"),
        ("file:///", "/data/a:b", "/data/a:b"),
        ("file:///", "out", "out"),
    ],
)
def test_a_path_is_where_hadoop_finds_it(default: str, path: str, qualified: str) -> None:
    """On the default file system, if it names none."""
    assert Storage({"fs.defaultFS": default}, "me").qualify(path) == qualified


@pytest.mark.parametrize("scheme", ["s3a", "s3", "s3n"])
def test_a_bucket_is_opened_with_the_keys_of_the_session(scheme: str) -> None:
    """Those of its own before the others, and none is ever shown."""
    storage = Storage(S3)
    system, path = storage.open(f"{scheme}://films/a b/c")
    assert (system.type_name, path) == ("s3", "films/a b/c")
    assert BucketSettings(S3, "films").get("fs.s3a.access.key") == "id of films"
    assert BucketSettings(S3, "other").get("fs.s3a.access.key") == "id"
    assert "hidden" not in repr(storage) + repr(BucketSettings(S3, "films"))


@pytest.mark.parametrize(
    ("path", "settings", "reason"),
    [
        ("s3a://b/x", {"fs.s3a.aws.credentials.provider": "com.corp.Keys"}, "keys come from Keys"),
        ("s3a://b/x", {"fs.s3a.proxy.host": "proxy"}, "fs.s3a.proxy.host is set"),
        ("s3://b/x", {"fs.s3.impl": "com.amazon.ws.EmrFileSystem"}, "read by EmrFileSystem"),
        ("hdfs://nn/x", {"hadoop.security.authentication": "kerberos"}, "Kerberos"),
        ("s3a://id:key@b/x", {}, "has keys in it"),
        ("nofs://b/x", {}, "can't be reached from Python"),
    ],
)
def test_what_python_cannot_reach_is_said(path: str, settings: Any, reason: str) -> None:
    """In one sentence with the path, but without its keys."""
    with pytest.raises(StorageError, match=reason) as raised:
        Storage(S3 | settings).open(path)
    assert "id:key" not in str(raised.value)
    assert "\n" not in str(raised.value)
