"""A peer's Java classes: the jars its `ivy.xml` names, by the Ivy that PySpark ships, and javac."""

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
_FETCH_SECONDS = 800
_REASON = re.compile("not found|error|exception", re.IGNORECASE)


def class_path(sources: Path, folder: Path) -> list[str]:
    """Return what Spark's class path needs on top, made where it isn't there yet.

    Args:
        sources: A folder of Java files with the `ivy.xml` and `ivysettings.xml` of their needs.
        folder: The benchmark's folder.

    Raises:
        Unavailable: There is no javac, or the jars can't be had; the text says why.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Unavailable(f"its natives are for Linux on x86_64, not {platform.platform()}")
    wishes = [sources / "ivy.xml", sources / "ivysettings.xml"]
    jars = _made(folder, "jars", wishes, lambda to: _fetch(wishes, to))
    java = sorted(sources.glob("*.java"))
    classes = _made(folder, "classes", [*wishes, *java], lambda to: _compile(java, jars, to))
    return [str(classes), *sorted(map(str, jars.glob("*.jar")))]


def _made(folder: Path, name: str, of: Sequence[Path], make: Callable[[Path], None]) -> Path:
    """Return the folder named by the digest of what it is made of; one that exists is whole."""
    read = b"".join(file.read_bytes() for file in of) + pyspark.__version__.encode()
    whole = folder / "java" / f"{name}-{hashlib.sha256(read).hexdigest()[:12]}"
    if not whole.exists():
        whole.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=whole.parent) as building:
            made = Path(building) / name
            make(made)
            shutil.move(made, whole)
    return whole


def _fetch(wishes: Sequence[Path], to: Path) -> None:
    ivy, settings = map(str, wishes)
    (jar,) = _SPARK_JARS.glob("ivy-[0-9]*.jar")
    try:
        java = str(find_java().home / "bin" / "java")
    except SetupError as error:
        raise Unavailable(str(error)) from error
    command = [java, f"-Duser.home={to.parent}", "-jar", str(jar), "-settings", settings]
    command += ["-ivy", ivy, "-cache", str(to.parent / "cache")]
    command += ["-retrieve", f"{to}/[artifact]-[revision](-[classifier]).[ext]"]
    _run("Ivy could not fetch TensorFlow Java", command)


def _compile(java: Sequence[Path], jars: Path, to: Path) -> None:
    beside = find_java().home / "bin" / "javac"
    javac = str(beside) if beside.exists() else shutil.which("javac")
    if javac is None:
        raise Unavailable("there is no javac (on Debian: apt install openjdk-17-jdk-headless)")
    command = [javac, "--release", str(MINIMUM), "-d", str(to)]
    command += ["-cp", f"{jars}/*:{_SPARK_JARS}/*", *map(str, java)]
    _run("javac could not compile the peer", command)


def _run(what: str, command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what}: not done after {_FETCH_SECONDS} s") from error
    if done.returncode:
        raise Unavailable(f"{what}: {' / '.join(_reasons(done.stdout + done.stderr))}")


def _reasons(said: str) -> list[str]:
    """Return the first lines that say what went wrong; addresses are for the log alone."""
    lines = list(dict.fromkeys(line.strip(" :\t") for line in said.splitlines()))
    reasons = [line for line in lines if _REASON.search(line) and "://" not in line]
    return reasons[:3] or ["it doesn't say why"]
