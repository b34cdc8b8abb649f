"""A Spark session for the command line and the demo: the running one, or a new quiet one."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from tf2spark.errors import ContractError, SetupError, first_line
from tf2spark.spark.java import MINIMUM, ensure_java
from tf2spark.spark.quiet_logs import own_logging, quiet_exceptions, stderr_filter

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What a local worker imports; tf2spark is shipped only to others.
_WORKER_PACKAGES = ("tf2spark", "attrs", "numpy", "pandas", "pyarrow", "tensorflow")


def get_or_create(
    master: str | None = None,
    conf: Mapping[str, str] | None = None,
    *,
    app_name: str = "tf2spark",
    quiet: bool = True,
    fallback: Mapping[str, str] | None = None,
) -> SparkSession:
    """Return the running Spark session, or start one.

    Args:
        master: Spark's master URL. By default the one that Spark's own configuration names, or
            all cores of this machine (``local[*]``) where it names none.
        conf: Spark settings; they take precedence over the defaults set here.
        app_name: The name of the application on the cluster.
        quiet: Keep Spark's log off stderr; errors that end a job are raised in any case.
        fallback: Settings for a session whose own configuration (spark-defaults.conf) has none.

    Raises:
        ContractError: Spark knows no such master.
        SetupError: PySpark or Java is missing, too old, or doesn't start.
    """
    spark_session = need_pyspark()
    active = current_session()
    if active is not None:
        return active
    settings = dict(conf or {})
    master = master or settings.pop("spark.master", None) or configured_master() or "local[*]"
    settings.pop("spark.master", None)
    _check_master(master)
    settings = _defaults(master) | settings
    _prepare_environment(master, settings)
    return _start(spark_session, master, app_name, settings, quiet, fallback or {})


def current_session() -> SparkSession | None:
    """Return this thread's active session, or else the process's; None where there is neither.

    A session is active only in the thread that made it. The other threads of a service or a
    scheduler still mean that one.

    Raises:
        SetupError: PySpark is missing.
    """
    spark_session = need_pyspark()
    from pyspark.errors import PySparkException

    try:
        session: SparkSession = spark_session.active()
    except PySparkException:
        return None
    # A context that was stopped without its session leaves the session behind.
    return None if _was_stopped(session) else session


def check_running(session: SparkSession) -> None:
    """Check that the session of a table wasn't stopped.

    Raises:
        SetupError: It was.
    """
    if _was_stopped(session):
        raise SetupError(
            "the Spark session of the table was stopped",
            "start another one, SparkSession.builder.getOrCreate(), and read the table with it",
        )


def _was_stopped(session: SparkSession) -> bool:
    """Say whether a session was stopped; of Spark Connect's nothing tells."""
    from tf2spark.spark.jvm.status import is_stopped
    from tf2spark.spark.recognize import is_connect

    return not is_connect(session) and is_stopped(session)


@contextmanager
def running(
    master: str | None = None,
    conf: Mapping[str, str] | None = None,
    *,
    quiet: bool = True,
    fallback: Mapping[str, str] | None = None,
) -> Iterator[SparkSession]:
    """Yield a session as `get_or_create` returns it, and stop it if it was started here."""
    was_active = current_session() is not None
    session = get_or_create(master, conf, quiet=quiet, fallback=fallback)
    try:
        with quiet_exceptions() if quiet else nullcontext():
            yield session
    finally:
        if not was_active:
            session.stop()


def configured_master() -> str | None:
    """Return the master that Spark's own configuration names, or None where it names none."""
    match = re.search(r"--master[ =](\S+)", os.environ.get("PYSPARK_SUBMIT_ARGS", ""))
    if match:
        return match[1]
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        # spark-submit started this process and knows the master.
        return os.environ.get("MASTER") or None
    return _in_defaults_file()


def _in_defaults_file() -> str | None:
    home = os.environ.get("SPARK_HOME")
    folder = os.environ.get("SPARK_CONF_DIR") or (home and f"{home}/conf")
    file = Path(folder or "/nowhere") / "spark-defaults.conf"
    if not file.is_file():
        return None
    match = re.search(r"^\s*spark\.master\s*[=\s]\s*(\S+)", file.read_text(), re.M)
    return match[1] if match else None


def is_local(master: str) -> bool:
    """Say whether this master runs everything on this machine."""
    return master.startswith("local")


def runs_here(master: str) -> bool:
    """Say whether tasks run in this process and its children, which ``local-cluster``'s don't."""
    return is_local(master) and not master.startswith("local-cluster")


def check_local_python(spark: SparkSession) -> None:
    """Check that local workers run a Python that has what scoring needs.

    They run the one that PYSPARK_PYTHON names when the session starts, or else ``python3``. That
    isn't the Python of an environment that was called by its path without being activated.

    Raises:
        SetupError: It is another Python, which lacks a package.
    """
    command = str(spark.sparkContext.pythonExec)
    path = shutil.which(command)
    if path is not None and _same_file(path, sys.executable):
        return
    missing = _missing_packages(path or command)
    if missing:
        raise SetupError(
            f'Spark\'s workers run "{command}" ({path or "there is no such program"}), which lacks '
            f"{', '.join(missing)}",
            f"set PYSPARK_PYTHON={sys.executable} before the session starts, in Python "
            'os.environ["PYSPARK_PYTHON"] = sys.executable; with spark-submit, --conf '
            f"spark.pyspark.python={sys.executable}",
        )


def _same_file(path: str, other: str) -> bool:
    # The Python of an environment is a link to another: what it imports depends on the link's path.
    folder, other_folder = (os.path.realpath(os.path.dirname(each)) for each in (path, other))
    return folder == other_folder and os.path.realpath(path) == os.path.realpath(other)


@functools.cache
def _missing_packages(python: str) -> tuple[str, ...]:
    """Return the packages that a Python lacks, of those that a local worker imports."""
    code = (
        "import importlib.util, sys; "
        "print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name) is None))"
    )
    try:
        found = subprocess.run(
            [python, "-c", code, *_WORKER_PACKAGES], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()  # Spark itself will say that it can't be started
    return tuple(found.stdout.split()) if found.returncode == 0 else ()


def java_range(pyspark_version: str) -> tuple[int, int | None]:
    """Return the oldest Java that a release of Spark runs on, and the newest if it has a limit.

    With PySpark 3.5.9 on Java 21, Spark's Arrow fails with "sun.misc.Unsafe or
    java.nio.DirectByteBuffer.<init>(long, int) not available".
    """
    return (8, 17) if pyspark_version.startswith("3.") else (MINIMUM, None)


def _check_master(master: str) -> None:
    if not re.match(r"(local(\[.+\]|-cluster\[.+\])?|yarn)$|(spark|k8s)://.+", master):
        raise ContractError(
            f'--master {master}: Spark knows "local[2]", "local[*]", "spark://HOST:PORT", "yarn" '
            'and "k8s://HOST:PORT"'
        )


def need_pyspark() -> type[SparkSession]:
    """Import PySpark.

    Raises:
        SetupError: It isn't installed.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SetupError(
            f"PySpark can't be imported ({error})",
            "on a laptop, pip install 'tf2spark[local]'; on a cluster, use the Python that its "
            "PySpark is installed for",
        ) from None
    return SparkSession


def _defaults(master: str) -> dict[str, str]:
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
    if is_local(master):
        # A laptop's memory is the limit, not Spark's 1 GiB; tests and small machines set less.
        settings["spark.driver.memory"] = "2g"
        # How often a progress bar gets the rows of running tasks.
        settings["spark.executor.heartbeatInterval"] = "2s"
    return settings


def _prepare_environment(master: str, settings: Mapping[str, str]) -> None:
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        ensure_java(*java_range(importlib.metadata.version("pyspark")))
    if python := settings.get("spark.pyspark.python"):
        # Only spark-submit reads the setting, and makes this of it.
        os.environ["PYSPARK_PYTHON"] = python
    if is_local(master):
        # Executors on other hosts have their own Python, which only the user knows.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def _start(
    spark_session: type[SparkSession],
    master: str,
    app_name: str,
    settings: Mapping[str, str],
    quiet: bool,
    fallback: Mapping[str, str],
) -> SparkSession:
    builder = spark_session.builder.appName(app_name)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        builder = builder.master(master)
    try:
        is_started = "PYSPARK_GATEWAY_PORT" not in os.environ and _start_context(
            master, app_name, settings, quiet, fallback
        )
        if fallback and not is_started:
            settings = _missing_in_configuration(fallback) | dict(settings)
        for key, value in settings.items():
            builder = builder.config(key, value)
        return builder.getOrCreate()
    except Exception as error:
        raise SetupError(_why_not_started(master, error)) from error


def _why_not_started(master: str, error: Exception) -> str:
    if "stopped SparkContext" in str(error):
        return f"Spark's master {master} doesn't answer, or rejected the application"
    match = re.search(
        r"^Caused by: [\w.$]+: (.+)$|: [\w.$]+(?:Exception|Error): (.+)$", str(error), re.M
    )
    reason = (match[1] or match[2]) if match else first_line(error)
    return f"Spark doesn't start with master {master}: {reason.strip()}"


def _start_context(
    master: str,
    app_name: str,
    settings: Mapping[str, str],
    quiet: bool,
    fallback: Mapping[str, str],
) -> bool:
    """Start a context whose JVM's log passes through us, if the JVM can be launched that way."""
    from pyspark import SparkConf, SparkContext

    from tf2spark.spark.jvm.launch import launch_driver

    def configure(conf: SparkConf) -> SparkConf:
        return conf.setMaster(master).setAppName(app_name).setAll(list(settings.items()))

    with stderr_filter(quiet) as descriptor, own_logging() if quiet else nullcontext():
        launched = launch_driver(configure(SparkConf(loadDefaults=False)), descriptor)
    if launched:
        # With a JVM running, SparkConf() reads spark-defaults.conf and the like in it.
        conf = configure(SparkConf())
        for key, value in fallback.items():
            conf.setIfMissing(key, value)
        SparkContext(conf=conf)
    return launched


def _missing_in_configuration(fallback: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that Spark's own configuration lacks, in a JVM that runs already."""
    from pyspark import SparkConf, SparkContext

    if getattr(SparkContext, "_gateway", None) is None:
        return dict(fallback)
    known = SparkConf()
    return {key: value for key, value in fallback.items() if not known.contains(key)}
