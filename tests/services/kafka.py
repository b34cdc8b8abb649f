"""A Kafka broker (KRaft mode, no ZooKeeper), and the jars of Spark's source and sink for it."""

from __future__ import annotations

import contextlib
import socket
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.daemons import Daemon, daemon, free_ports
from services.jars import fetch
from tf2spark.spark.java import ensure_java

_START_SECONDS = 60
_VERSION = "4.1.0"
_MODULES = (
    "kafka_2.13 kafka-clients kafka-coordinator-common kafka-group-coordinator "
    "kafka-group-coordinator-api kafka-metadata kafka-raft kafka-server kafka-server-common "
    "kafka-share-coordinator kafka-storage kafka-storage-api kafka-tools-api "
    "kafka-transaction-coordinator"
)
_BROKER = (
    *(f"org.apache.kafka:{name}:{_VERSION}" for name in _MODULES.split()),
    "com.dynatrace.hash4j:hash4j:0.22.0",
    "com.fasterxml.jackson.core:jackson-annotations:2.19.0",
    "com.fasterxml.jackson.core:jackson-core:2.19.0",
    "com.fasterxml.jackson.core:jackson-databind:2.19.0",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-csv:2.19.0",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-yaml:2.19.0",
    "com.fasterxml.jackson.datatype:jackson-datatype-jdk8:2.19.0",
    "com.github.ben-manes.caffeine:caffeine:3.2.0",
    "com.github.luben:zstd-jni:1.5.6-10",
    "com.google.re2j:re2j:1.8",
    "com.typesafe.scala-logging:scala-logging_2.13:3.9.5",
    "com.yammer.metrics:metrics-core:2.2.0",
    "commons-validator:commons-validator:1.9.0",
    "net.sf.jopt-simple:jopt-simple:5.0.4",
    "net.sourceforge.argparse4j:argparse4j:0.7.0",
    "org.apache.logging.log4j:log4j-api:2.24.3",
    "org.apache.logging.log4j:log4j-core:2.24.3",
    "org.bitbucket.b_c:jose4j:0.9.6",
    "org.hdrhistogram:HdrHistogram:2.2.2",
    "org.lz4:lz4-java:1.8.0",
    "org.pcollections:pcollections:4.0.2",
    "org.scala-lang:scala-library:2.13.16",
    "org.scala-lang:scala-reflect:2.13.16",
    "org.slf4j:slf4j-api:1.7.36",
    "org.xerial.snappy:snappy-java:1.1.10.7",
    "org.yaml:snakeyaml:2.4",
)
# The source has no release for Spark 4.3 yet.
_SOURCE = (
    "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
    "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.2.0",
    "org.apache.kafka:kafka-clients:3.9.2",
    "org.apache.commons:commons-pool2:2.13.1",
)
_SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def source_jars() -> list[Path]:
    """Return the jars that PySpark lacks for the format ``kafka``."""
    return fetch("kafka-source", _SOURCE)


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """Run a broker with its data in a folder; yields its address."""
    broker, controller = free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "server.properties"
    settings.write_text(
        _SETTINGS.format(broker=broker, controller=controller, folder=folder / "data")
    )
    java = [str(ensure_java().home / "bin" / "java"), "-Xmx256m", "-XX:+UseSerialGC"]
    java += ["-XX:TieredStopAtLevel=1", "-cp", ":".join(map(str, fetch("kafka", _BROKER)))]
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    formatting = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(settings)]
    with daemon(folder, "format", formatting) as formatted:
        formatted.process.wait(60)
    with daemon(folder, "broker", [*java, "kafka.Kafka", str(settings)]) as running:
        _wait_for_port(running, broker)
        yield f"127.0.0.1:{broker}"


def _wait_for_port(running: Daemon, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise RuntimeError(f"the broker ended:\n{running.log.read_text()[-4000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}:\n{running.log.read_text()[-4000:]}")
