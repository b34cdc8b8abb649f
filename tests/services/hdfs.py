"""A real HDFS: one NameNode and one DataNode on loopback."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from services.daemons import daemon, free_ports
from services.hadoop import daemon_command, write_settings

_NAME_NODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_DATA_NODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
_ADMIN = "org.apache.hadoop.hdfs.tools.DFSAdmin"
_DAEMONS = {
    "namenode": (_NAME_NODE, r"(NameNode RPC up at)"),
    "datanode": (_DATA_NODE, r"(Successfully sent block report)"),
}
_FORMAT_SECONDS = 90


@contextmanager
def hdfs(folder: Path) -> Iterator[str]:
    """Run a NameNode and a DataNode that keep their data in `folder`; yields the URL."""
    conf = folder / "hdfs-conf"
    # The NameNode takes any free port and logs which one.
    _configure(conf, "hdfs://127.0.0.1:0")
    _format(conf)
    with daemon(folder, "namenode", daemon_command(conf, _NAME_NODE)) as name_node:
        port = name_node.wait_for(r"NameNode RPC up at: \S*127\.0\.0\.1:(\d+)")
        url = f"hdfs://127.0.0.1:{port}"
        _configure(conf, url)
        with daemon(folder, "datanode", daemon_command(conf, _DATA_NODE)) as data_node:
            data_node.wait_for(r"(Successfully sent block report)")
            yield url


def bytes_sent(folder: Path) -> int:
    """Return how many bytes the DataNode in this folder has sent so far, as it reports."""
    log = (folder / "datanode.log").read_text(errors="replace")
    port = re.search(r"Listening HTTP traffic on /127\.0\.0\.1:(\d+)", log)
    assert port is not None
    query = "Hadoop:service=DataNode,name=DataNodeActivity-*"
    with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/jmx?qry={query}") as response:
        (activity,) = json.load(response)["beans"]
    return int(activity["BytesRead"])


def _configure(conf: Path, url: str, more: Mapping[str, str] | None = None) -> None:
    site = {
        "dfs.replication": "1",
        "dfs.permissions.enabled": "false",
        "dfs.namenode.name.dir": (conf.parent / "hdfs-name").as_uri(),
        "dfs.datanode.data.dir": (conf.parent / "hdfs-data").as_uri(),
        "dfs.namenode.http-address": "127.0.0.1:0",
        "dfs.datanode.address": "127.0.0.1:0",
        "dfs.datanode.ipc.address": "127.0.0.1:0",
        "dfs.datanode.http.address": "127.0.0.1:0",
        **(more or {}),
    }
    write_settings(conf, core_site={"fs.defaultFS": url}, hdfs_site=site)


def _format(conf: Path) -> None:
    process = subprocess.run(
        daemon_command(conf, _NAME_NODE, "-format", "-force", "-nonInteractive"),
        capture_output=True,
        text=True,
        timeout=_FORMAT_SECONDS,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(
            f"HDFS could not be formatted:\n{process.stdout[-2000:]}{process.stderr[-4000:]}"
        )


class DisturbedHdfs:
    """An HDFS whose daemons can be killed and started again, with the same data and address."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "hdfs-conf"
        self.url = f"hdfs://127.0.0.1:{free_ports(1)[0]}"
        self._daemons = {name: ExitStack() for name in _DAEMONS}
        self._starts = dict.fromkeys(_DAEMONS, 0)

    def __enter__(self) -> DisturbedHdfs:
        _configure(self.conf, self.url, {"dfs.permissions.enabled": "true"})
        _format(self.conf)
        for name in _DAEMONS:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        for daemons in self._daemons.values():
            daemons.close()

    def start(self, name: str) -> None:
        """Start the "namenode" or the "datanode", and wait until it works."""
        main_class, ready = _DAEMONS[name]
        self._starts[name] += 1
        log = f"{name}-{self._starts[name]}"
        command = daemon_command(self.conf, main_class)
        running = daemon(self.folder, log, command, stop_signal=signal.SIGKILL)
        self._daemons[name].enter_context(running).wait_for(ready)

    def kill(self, name: str) -> None:
        self._daemons[name].close()

    def admin(self, *arguments: str) -> str:
        """Run ``hdfs dfsadmin``."""
        command = daemon_command(self.conf, _ADMIN, *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def blocks(self) -> list[Path]:
        """Return the files in which the DataNode keeps blocks, the largest first."""
        files = [
            path
            for path in (self.folder / "hdfs-data").rglob("blk_*")
            if not path.name.endswith(".meta")
        ]
        return sorted(files, key=lambda path: path.stat().st_size, reverse=True)
