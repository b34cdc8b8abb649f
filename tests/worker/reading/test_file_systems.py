from __future__ import annotations

import pickle

import pytest

from tf2spark.worker.reading import file_systems
from tf2spark.worker.reading.file_systems import S3Files, S3Keys


def test_keys_travel_and_are_not_shown() -> None:
    """A pickled description has the keys; its text has none of them."""
    files = S3Files("b", (S3Keys("access-1", "secret-1", "token-1"),), "127.0.0.1:1", "http")
    assert pickle.loads(pickle.dumps(files)) == files
    for word in ("access-1", "secret-1", "token-1"):
        assert word not in repr(files)


def test_the_first_credentials_that_a_worker_has_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of the environment where there are any; otherwise what comes next."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    assert file_systems._choose(("environment", "machine")) == "machine"
    with pytest.raises(OSError, match="no keys of S3 in the environment"):
        file_systems._choose(("environment",))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert file_systems._choose(("environment", "machine")) == S3Keys("a", "s")
    assert file_systems._choose(("anonymous", "environment")) == "anonymous"


def test_damaged_blocks_are_told_in_one_sentence() -> None:
    """Without all that the NameNode knows about each DataNode."""

    def fail() -> None:
        with file_systems._hdfs_errors():
            raise RuntimeError('DataTransferError("All DataNodes failed: [DatanodeInfoProto {...')

    with pytest.raises(OSError, match=r"^none of its DataNodes answers with an undamaged block$"):
        fail()
