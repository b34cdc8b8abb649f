from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cases.session_contract import SessionContract
from tf2spark.tensorflow_c.open_session import open_session
from tf2spark.tensorflow_c.session import CApiSession


class TestCApiSession(SessionContract):
    """The session of TensorFlow's C API."""

    @pytest.fixture
    def session(self, models: Path) -> Iterator[CApiSession]:
        """Open the suite's model."""
        session = open_session(str(models / "contract"), ["serve"], threads=1)
        yield session
        session.close()
