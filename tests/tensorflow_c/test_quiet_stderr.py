from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from tf2spark.tensorflow_c.quiet_stderr import INFORMATION, StderrFilter


@pytest.mark.parametrize(
    ("line", "dropped"),
    [
        (b"WARNING: All log messages before absl::InitializeLog() is called are written", True),
        (b"2026-11-29 14:03:11.123456: I tensorflow/cc/saved_model/reader.cc:83] Reading", True),
        (b"I0000 00:00:1732889000.123456 4242 mlir_graph.cc:425] MLIR V1 optimization", True),
        (b"2026-11-29 14:03:11.123456: W tensorflow/core/x.cc:1] out of memory", False),
        (b"E0000 00:00:1732889000.123456 4242 file.cc:1] something failed", False),
        (b"26/11/29 14:03:11 ERROR TaskSchedulerImpl: Lost executor 1", False),
        (b"I think that this is not a log", False),
    ],
)
def test_information_is_told_from_the_rest(line: bytes, dropped: bool) -> None:
    """Warnings and errors stay."""
    assert bool(INFORMATION.match(line)) is dropped


def test_descriptor_2_is_filtered_for_the_process_and_its_children(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Chatter is left out, all else is passed on as it is, also a line that has no end yet."""
    kept = StderrFilter(re.compile(b"chatter"))
    try:
        os.write(2, b"chatter: x\nthis process\n")
        child = "import sys; sys.stderr.write('chatter: x\\nchild 50 %')"
        subprocess.run([sys.executable, "-c", child], check=True)
        printed = ""
        deadline = time.monotonic() + 60
        while "child 50 %" not in printed and time.monotonic() < deadline:
            printed += capfd.readouterr().err
    finally:
        kept.remove()
    assert printed == "this process\nchild 50 %"
    os.write(2, b"chatter: x\n")
    assert capfd.readouterr().err == "chatter: x\n"
