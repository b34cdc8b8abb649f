"""A standalone Spark master with two workers, from the pip package."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

import pyspark

from services.class_archive import java_options
from services.daemons import Daemon, daemon
from tf2spark.spark.java import ensure_java

_SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"


@contextmanager
def standalone(
    folder: Path,
    *,
    workers: int = 2,
    cores: int = 1,
    memory: str = "1500m",
    hosts: Sequence[str] = ("127.0.0.1",),
    environments: Sequence[Mapping[str, str]] = ({},),
) -> Iterator[str]:
    """Run a master and its workers, each with its own work folder; yields the master's URL.

    The workers take the hosts, which are addresses of this machine, in turn, and so the variables
    of the environment that their executors inherit.
    """
    ensure_java()
    with ExitStack() as stack:
        master = stack.enter_context(
            _spark_daemon(folder, "master", "master.Master", "--port", "0", "--webui-port", "0")
        )
        url = master.wait_for(r"Starting Spark master at (spark://\S+)")
        daemons = []
        for number in range(workers):
            name = f"worker-{number}"
            arguments = ["--webui-port", "0", "--cores", str(cores), "--memory", memory]
            arguments += ["--work-dir", str(folder / name), url]
            host = hosts[number % len(hosts)]
            variables = environments[number % len(environments)]
            daemons.append(
                stack.enter_context(
                    _spark_daemon(
                        folder,
                        name,
                        "worker.Worker",
                        *arguments,
                        host=host,
                        variables=variables,
                    )
                )
            )
        for worker in daemons:
            worker.wait_for(r"(Successfully registered with master)")
        yield url


def _spark_daemon(
    folder: Path,
    name: str,
    main: str,
    *arguments: str,
    host: str = "127.0.0.1",
    variables: Mapping[str, str] = MappingProxyType({}),
) -> AbstractContextManager[Daemon]:
    command = [str(_SPARK_CLASS), f"org.apache.spark.deploy.{main}", "--host", host]
    environment = {
        "SPARK_LOCAL_IP": host,
        "SPARK_NO_DAEMONIZE": "1",
        "SPARK_DAEMON_JAVA_OPTS": java_options(),
        "PYSPARK_PYTHON": sys.executable,
        **variables,
    }
    return daemon(folder, name, [*command, *arguments], environment)
