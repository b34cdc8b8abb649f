"""What TensorFlow's C++ code writes to stderr, held back."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tf2spark.errors import Tf2SparkError


@contextmanager
def silence() -> Iterator[None]:
    """Hold back what is written to stderr, and show it only where an unknown error comes of it."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Tf2SparkError:
            raise
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
