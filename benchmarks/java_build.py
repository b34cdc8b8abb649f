"""Build a peer's Java classes: fetch the jars of its `ivy.xml` with PySpark's Ivy, run javac."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyspark

from benchmarks.environments import Unavailable
from tf2spark.errors import SetupError
from tf2spark.spark.java import MINIMUM, find_java

_SPARK_JARS = Path(pyspark.__file__).parent / "jars"
_TIMEOUT_SECONDS = 800
_REASON = re.compile("not found|error|exception", re.IGNORECASE)


def class_path(sources: Path, folder: Path) -> list[str]:
    """Return the additions to Spark's class path, building those that are missing.

    Args:
        sources: A folder of Java files, with an `ivy.xml` of their dependencies and an
            `ivysettings.xml`.
        folder: The benchmark's folder.

    Raises:
        Unavailable: There is no javac, or the jars can't be fetched; the message says why.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Unavailable(
            f"its native libraries are for Linux on x86_64, not {platform.platform()}"
        )
    ivy_files = [sources / "ivy.xml", sources / "ivysettings.xml"]
    jars = _build(folder, "jars", ivy_files, lambda target: _fetch(ivy_files, target))
    java = sorted(sources.glob("*.java"))
    classes = _build(
        folder, "classes", [*ivy_files, *java], lambda target: _compile(java, jars, target)
    )
    return [str(classes), *sorted(map(str, jars.glob("*.jar")))]


def _build(folder: Path, name: str, inputs: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """Return a folder named by the digest of its inputs; if it exists, it is complete."""
    content = b"".join(file.read_bytes() for file in inputs) + pyspark.__version__.encode()
    target = folder / "java" / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as building:
            new = Path(building) / name
            make(new)
            shutil.move(new, target)
    return target


def _fetch(ivy_files: Sequence[Path], target: Path) -> None:
    ivy, settings = map(str, ivy_files)
    (jar,) = _SPARK_JARS.glob("ivy-[0-9]*.jar")
    try:
        java = str(find_java().home / "bin" / "java")
    except SetupError as error:
        raise Unavailable(str(error)) from error
    command = [java, f"-Duser.home={target.parent}", "-jar", str(jar), "-settings", settings]
    command += ["-ivy", ivy, "-cache", str(target.parent / "cache")]
    command += ["-retrieve", f"{target}/[artifact]-[revision](-[classifier]).[ext]"]
    _run("Ivy could not fetch TensorFlow Java", command)


def _compile(java: Sequence[Path], jars: Path, target: Path) -> None:
    next_to_java = find_java().home / "bin" / "javac"
    javac = str(next_to_java) if next_to_java.exists() else shutil.which("javac")
    if javac is None:
        raise Unavailable("there is no javac (on Debian: apt install openjdk-17-jdk-headless)")
    command = [javac, "--release", str(MINIMUM), "-d", str(target)]
    command += ["-cp", f"{jars}/*:{_SPARK_JARS}/*", *map(str, java)]
    _run("javac could not compile the peer", command)


def _run(failure: str, command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{failure}: not done after {_TIMEOUT_SECONDS} s") from error
    if done.returncode:
        raise Unavailable(f"{failure}: {' / '.join(_reasons(done.stdout + done.stderr))}")


def _reasons(output: str) -> list[str]:
    """Return the first lines that say what went wrong, without those that contain addresses."""
    lines = list(dict.fromkeys(line.strip(" :\t") for line in output.splitlines()))
    reasons = [line for line in lines if _REASON.search(line) and "://" not in line]
    return reasons[:3] or ["it gave no reason"]
