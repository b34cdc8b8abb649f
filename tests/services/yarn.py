"""A real YARN: one ResourceManager and one NodeManager on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.class_archive import java_options
from services.daemons import daemon, free_ports
from services.hadoop import daemon_command, write_settings
from services.jars import SPARK_JARS
from tf2spark.spark.java import ensure_java

_RESOURCE_MANAGER = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
_NODE_MANAGER = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"

_QUEUES = {
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    # An application's master may take half of the memory; the default is a tenth.
    "yarn.scheduler.capacity.maximum-am-resource-percent": "0.5",
}


@contextmanager
def yarn(
    folder: Path, default_fs: str, *, memory_mib: int = 4096, watches_memory: bool = False
) -> Iterator[Path]:
    """Run both daemons; yields a driver's HADOOP_CONF_DIR, with `default_fs` as file system.

    The NodeManager has `memory_mib`, and, if it watches, ends containers that use too much.
    """
    conf = folder / "yarn-conf"
    site = _resource_manager() | _node_manager(folder, memory_mib, watches_memory)
    core = {"fs.defaultFS": default_fs, "hadoop.tmp.dir": str(folder / "yarn-tmp")}
    write_settings(conf, core_site=core, yarn_site=site, capacity_scheduler=_QUEUES)
    java = {"JAVA_HOME": str(ensure_java().home)}
    with daemon(folder, "resourcemanager", daemon_command(conf, _RESOURCE_MANAGER), java) as master:
        master.wait_for(r"(Transitioned to active state)")
        # The NodeManager stops its containers at once, but would then wait 10 s for their logs.
        node_command = daemon_command(conf, _NODE_MANAGER)
        with daemon(folder, "nodemanager", node_command, java, grace_seconds=4) as node:
            node.wait_for(r"(Registered with ResourceManager)")
            yield conf


def spark_conf(staging: str) -> dict[str, str]:
    """Return the settings of a small job in client mode, which also needs HADOOP_CONF_DIR.

    A job puts its own files into the folder `staging`; Spark's default is the user's home.
    """
    return {
        "spark.master": "yarn",
        "spark.submit.deployMode": "client",
        "spark.driver.host": "127.0.0.1",
        # The nodes have PySpark at the driver's path, so nothing has to be uploaded.
        "spark.yarn.jars": f"local:{SPARK_JARS}/*",
        "spark.yarn.stagingDir": staging,
        "spark.yarn.am.memory": "256m",
        "spark.yarn.am.extraJavaOptions": java_options(),
        "spark.executor.instances": "1",
        "spark.executor.memory": "600m",
        # Python's memory is in here: YARN kills a container that uses more than it requested.
        "spark.executor.memoryOverhead": "1g",
        "spark.executorEnv.SPARK_LOCAL_IP": "127.0.0.1",
        "spark.yarn.appMasterEnv.SPARK_LOCAL_IP": "127.0.0.1",
    }


def _resource_manager() -> dict[str, str]:
    servers = ["address", "scheduler.address", "resource-tracker.address", "admin.address"]
    servers += ["webapp.address"]
    ports = zip(servers, free_ports(len(servers)), strict=True)
    return {
        "yarn.resourcemanager.hostname": "127.0.0.1",
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "200",
        "yarn.scheduler.minimum-allocation-mb": "256",
        **{f"yarn.resourcemanager.{name}": f"127.0.0.1:{port}" for name, port in ports},
    }


def _node_manager(folder: Path, memory_mib: int, watches_memory: bool) -> dict[str, str]:
    settings = {
        "hostname": "127.0.0.1",
        "address": "127.0.0.1:0",
        "localizer.address": "127.0.0.1:0",
        "webapp.address": "127.0.0.1:0",
        "collector-service.address": "127.0.0.1:0",
        "local-dirs": str(folder / "yarn-local"),
        "log-dirs": str(folder / "yarn-logs"),
        "resource.memory-mb": str(memory_mib),
        "resource.cpu-vcores": "4",
        "process-kill-wait.ms": "500",
        "container-monitor.interval-ms": "500",
        # By default, its check is on and leaves containers to cgroups, which are off.
        "resource.memory.enforced": str(not watches_memory).lower(),
        "vmem-check-enabled": "false",
        "disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
        "env-whitelist": "JAVA_HOME,HADOOP_CONF_DIR,PATH",
    }
    return {f"yarn.nodemanager.{name}": value for name, value in settings.items()}
