"""An S3 server: SeaweedFS, from PyPI, with one bucket and one user."""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from services.daemons import daemon, free_ports
from services.jars import s3a_jars

_WEED = Path(sys.executable).parent / "weed"
_START_SECONDS = 60

# Each of these servers listens twice, for HTTP and for gRPC.
_SERVERS = ("master", "volume", "filer", "s3")


@frozen
class S3:
    """A running S3 server, and what a client needs to know about it."""

    endpoint: str
    bucket: str
    access_key: str = "tests"
    secret_key: str = "of-tests-only"

    def path(self, name: str) -> str:
        """Return the URI of `name` in the bucket, as Spark writes it."""
        return f"s3a://{self.bucket}/{name}"

    def conf(self) -> dict[str, str]:
        """Return the settings that a Spark session needs to read and write ``s3a://``."""
        settings = {
            "endpoint": self.endpoint,
            "endpoint.region": "us-east-1",
            "access.key": self.access_key,
            "secret.key": self.secret_key,
            "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            "path.style.access": "true",
            "connection.ssl.enabled": "false",
        }
        conf = {f"spark.hadoop.fs.s3a.{name}": value for name, value in settings.items()}
        return {"spark.jars": ",".join(str(jar) for jar in s3a_jars()), **conf}


@contextmanager
def s3(folder: Path, bucket: str = "tests") -> Iterator[S3]:
    """Run a server that keeps its objects in `folder`."""
    data = folder / "s3"
    data.mkdir(parents=True)
    ports = free_ports(2 * len(_SERVERS))
    http = dict(zip(_SERVERS, ports, strict=False))
    server = S3(f"http://127.0.0.1:{http['s3']}", bucket)
    (folder / "s3.json").write_text(json.dumps(_user_settings(server)))
    command = [*_command(folder, data), *_port_options(ports)]
    try:
        # A clean stop would take 15 s, to save data that nobody reads again.
        with daemon(folder, "weed", command, stop_signal=signal.SIGKILL) as seaweed:
            seaweed.wait_for(r"(Start Seaweed S3 API Server)")
            _make_bucket(f"http://127.0.0.1:{http['filer']}/buckets/{bucket}/")
            yield server
    finally:
        _remove_sockets(ports)


def _user_settings(server: S3) -> dict[str, object]:
    keys = {"accessKey": server.access_key, "secretKey": server.secret_key}
    return {"identities": [{"name": "tests", "credentials": [keys], "actions": ["Admin"]}]}


def _command(folder: Path, data: Path) -> list[str]:
    return [
        *(str(_WEED), "server", f"-dir={data}", "-filer", "-s3"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={folder / 's3.json'}"),
        # By default it sends telemetry, and opens two catalogs that nobody uses.
        *("-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-master.volumeSizeLimitMB=256", "-volume.max=20"),
    ]


def _port_options(ports: list[int]) -> list[str]:
    http, grpc = ports[: len(_SERVERS)], ports[len(_SERVERS) :]
    options = [f"-{name}.port={port}" for name, port in zip(_SERVERS, http, strict=True)]
    return options + [
        f"-{name}.port.grpc={port}" for name, port in zip(_SERVERS, grpc, strict=True)
    ]


def _make_bucket(url: str) -> None:
    """Make a bucket, which is a folder in the filer's folder of buckets."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):
                return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _remove_sockets(ports: list[int]) -> None:
    # The folder of the sockets can't be set, and a test's own may be too long a path for one.
    for port in ports:
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            path.unlink(missing_ok=True)
