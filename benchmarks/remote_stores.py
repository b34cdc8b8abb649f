"""A real HDFS and a real S3 server, outside of the processes whose CPU time a case measures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import frozen

_ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 180


@frozen
class Store:
    """Where tables lie, and the settings of a session that reads them."""

    name: str
    url: str
    conf: Mapping[str, str]


@contextmanager
def remote_stores() -> Iterator[list[Store]]:
    """Run both servers; they end with the block, or with this process."""
    with tempfile.TemporaryDirectory(prefix="tf2spark-stores-") as folder:
        answer = Path(folder) / "stores.json"
        read_end, write_end = os.pipe()
        # The shell ends at once, so that the servers are nobody's children: what they do isn't
        # counted as the work of a contender. They end when the pipe is closed.
        command = f'"$@" <&{read_end} >/dev/null 2>{folder}/log &'
        arguments = ["sh", "-c", command, "sh", sys.executable, __file__, folder]
        subprocess.run(arguments, check=True, pass_fds=[read_end], cwd=_ROOT)
        os.close(read_end)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not answer.exists():
                if time.monotonic() > deadline:
                    raise RuntimeError((Path(folder) / "log").read_text()[-3000:])
                time.sleep(0.2)
            yield [Store(**store) for store in json.loads(answer.read_text())]
        finally:
            os.close(write_end)
            time.sleep(2)


def s3a_jars() -> str:
    """Return what Spark needs for ``s3a://``, as the value of ``spark.jars``."""
    sys.path.append(str(_ROOT / "tests"))
    from services.jars import s3a_jars

    return ",".join(map(str, s3a_jars()))


def main(folder: Path) -> None:
    # The servers belong to the tests.
    sys.path += [str(_ROOT / "tests"), str(_ROOT / "src")]
    from services.hdfs import hdfs
    from services.s3 import s3

    with ExitStack() as stack:
        url = stack.enter_context(hdfs(folder / "hdfs"))
        server = stack.enter_context(s3(folder / "s3"))
        # Keys that a session takes at any time, without "spark.hadoop."; the jars are there before.
        conf = {
            name.removeprefix("spark.hadoop."): value
            for name, value in server.conf().items()
            if name.startswith("spark.hadoop.")
        }
        stores = [
            {"name": "HDFS", "url": url, "conf": {}},
            {"name": "S3", "url": server.path(""), "conf": conf},
        ]
        partial = folder / "partial.json"
        partial.write_text(json.dumps(stores))
        partial.rename(folder / "stores.json")
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
