"""A real HDFS: one NameNode and one DataNode on loopback."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.daemons import daemon
from services.hadoop import daemon_command, write_settings

_NAME_NODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_DATA_NODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
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


def _configure(conf: Path, url: str) -> None:
    site = {
        "dfs.replication": "1",
        "dfs.permissions.enabled": "false",
        "dfs.namenode.name.dir": (conf.parent / "hdfs-name").as_uri(),
        "dfs.datanode.data.dir": (conf.parent / "hdfs-data").as_uri(),
        "dfs.namenode.http-address": "127.0.0.1:0",
        "dfs.datanode.address": "127.0.0.1:0",
        "dfs.datanode.ipc.address": "127.0.0.1:0",
        "dfs.datanode.http.address": "127.0.0.1:0",
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
