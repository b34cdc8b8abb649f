"""A model of 1 GiB of variables by broadcast to four executors, and the memory that it takes.

Run as ``PYTHONPATH=tests python -m chaos.large_broadcast [MEBIBYTES]``. It isn't a test: it prints
what docs/clusters.md has.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from chaos.large_models import write_large_model
from chaos.sessions import run_program
from services.standalone import standalone

_EXECUTORS = 4


def main(mebibytes: str = "1024") -> None:
    os.environ["SPARK_DAEMON_MEMORY"] = "128m"
    os.environ["SPARK_SUBMIT_OPTS"] = ""  # JVMs as they are outside of tests
    hosts = [f"127.0.1.{number + 1}" for number in range(_EXECUTORS)]
    with tempfile.TemporaryDirectory(prefix="tf2spark-large-") as name:
        folder = Path(name)
        model = write_large_model(folder / "model", int(mebibytes), "features")
        (folder / "work").mkdir()
        with standalone(folder / "spark", workers=_EXECUTORS, memory="1g", hosts=hosts) as master:
            arguments = [master, str(model), "0", "seeded", str(_EXECUTORS), str(folder / "work")]
            report = run_program("shipping_job.py", *arguments, seconds=900)
    assert report["wrong"] == 0
    for name, value in (report | report.pop("peaks")).items():
        print(f"{name:20} {value}")
    print(f"{'copies sent':20} {sum(report['sent_bytes']) / report['model_bytes']:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
