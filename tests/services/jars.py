"""Jars that PySpark lacks, fetched once from Maven Central by the Ivy that PySpark ships.

Each set is a folder in the user's cache, named by its content; a folder that exists is complete.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pyspark

from tf2spark.spark.java import ensure_java

SPARK_JARS = Path(pyspark.__file__).parent / "jars"

_FETCH_SECONDS = 900


def spark_jar(artifact: str) -> Path:
    """Return PySpark's own jar with this name, whatever its version."""
    return next(SPARK_JARS.glob(f"{artifact}-[0-9]*.jar"))


# The daemons and S3A must be of the same Hadoop release as PySpark's Hadoop client.
HADOOP_VERSION = spark_jar("hadoop-client-api").stem.removeprefix("hadoop-client-api-")

_DAEMONS = (
    f"org.apache.hadoop:hadoop-client-minicluster:{HADOOP_VERSION}",
    "ch.qos.reload4j:reload4j:1.2.25",
    "org.slf4j:slf4j-reload4j:1.7.36",
    "org.slf4j:slf4j-api:1.7.36",
    "commons-logging:commons-logging:1.3.0",
    "org.xerial.snappy:snappy-java:1.1.10.4",
    "com.google.code.findbugs:jsr305:3.0.2",
    "org.bouncycastle:bcprov-jdk18on:1.78.1",
    "org.bouncycastle:bcpkix-jdk18on:1.78.1",
    "org.bouncycastle:bcutil-jdk18on:1.78.1",
)

# Hadoop depends on a bundle of all of Amazon's services, 686 MB; these modules are all that S3A
# loads. Netty and the HTTP client are PySpark's.
_AWS_VERSION = "2.35.4"
_AWS = (
    "annotations apache-client arns auth aws-core aws-query-protocol aws-xml-protocol checksums "
    "checksums-spi crt-core endpoints-spi http-auth http-auth-aws http-auth-aws-eventstream "
    "http-auth-spi http-client-spi identity-spi json-utils metrics-spi netty-nio-client profiles "
    "protocol-core regions retries retries-spi s3 s3-transfer-manager sdk-core sts "
    "third-party-jackson-core utils utils-lite"
)
_S3A = (
    f"org.apache.hadoop:hadoop-aws:{HADOOP_VERSION}",
    *(f"software.amazon.awssdk:{name}:{_AWS_VERSION}" for name in _AWS.split()),
    "software.amazon.eventstream:eventstream:1.0.1",
    "software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3:1.3.1",
    "org.reactivestreams:reactive-streams:1.0.4",
)

# Ivy knows where Maven Central is, so no address is given here.
_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="false"/></resolvers>
</ivysettings>
"""


def daemon_jars() -> list[Path]:
    """Return the class path of Hadoop's daemons."""
    from_spark = [spark_jar("hadoop-client-api"), spark_jar("hadoop-client-runtime")]
    return [*fetch("hadoop", _DAEMONS), *from_spark]


def s3a_jars() -> list[Path]:
    """Return the jars that PySpark lacks for ``s3a://``."""
    return fetch("s3a", _S3A)


def fetch(name: str, coordinates: Sequence[str]) -> list[Path]:
    """Return one jar per ``group:artifact:version``; the first call downloads them."""
    digest = hashlib.sha256("\n".join(coordinates).encode()).hexdigest()[:12]
    folder = _cache() / f"{name}-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
        try:
            _retrieve(coordinates, building)
            _publish(building / "jars", folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return [folder / _file_name(coordinate) for coordinate in coordinates]


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tf2spark-tests"


def _file_name(coordinate: str) -> str:
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def _publish(built: Path, folder: Path) -> None:
    try:
        built.rename(folder)
    except OSError:
        # Another process was faster, and fetched the same jars.
        if not folder.exists():
            raise


def _retrieve(coordinates: Sequence[str], folder: Path) -> None:
    """Have Ivy put the jars into ``folder/jars``; it verifies the checksum of each."""
    (folder / "settings.xml").write_text(_SETTINGS)
    (folder / "ivy.xml").write_text(_ivy_module(coordinates))
    command = [str(ensure_java().home / "bin" / "java"), f"-Duser.home={folder}"]
    command += ["-jar", str(spark_jar("ivy")), "-settings", str(folder / "settings.xml")]
    command += ["-ivy", str(folder / "ivy.xml"), "-cache", str(folder / "cache")]
    command += ["-retrieve", f"{folder}/jars/[artifact]-[revision].[ext]"]
    process = subprocess.run(
        command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
    )
    missing = [
        coordinate
        for coordinate in coordinates
        if not (folder / "jars" / _file_name(coordinate)).exists()
    ]
    if process.returncode or missing:
        raise RuntimeError(f"Ivy didn't fetch {missing}:\n{process.stdout[-6000:]}{process.stderr}")


def _ivy_module(coordinates: Sequence[str]) -> str:
    lines = []
    for coordinate in coordinates:
        group, artifact, version = (quoteattr(part) for part in coordinate.split(":"))
        lines.append(
            f'    <dependency org={group} name={artifact} rev={version} transitive="false"/>'
        )
    head = '<ivy-module version="2.0">\n  <info organisation="tf2spark" module="tests"/>\n'
    return "\n".join([f"{head}  <dependencies>", *lines, "  </dependencies>", "</ivy-module>", ""])
