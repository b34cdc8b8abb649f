"""Suppresses what TensorFlow's C++ code writes to stderr."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tf2spark.errors import Tf2SparkError
from tf2spark.shown_text import Lines


@contextmanager
def silence() -> Iterator[None]:
    """Suppress output to stderr, but show it if an unexpected error is raised."""
    sys.stderr.flush()
    # C++ writes to the descriptor, which replacing sys.stderr would not redirect.
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        except Tf2SparkError:
            raise
        except BaseException:
            buffer.seek(0)
            lines = buffer.read().decode(errors="replace").expandtabs(4).splitlines()
            os.write(stderr, f"{Lines.of(lines)}\n".encode())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
