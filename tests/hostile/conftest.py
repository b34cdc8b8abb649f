"""A process that opens models, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hostile.harness import Opener


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    """Start a process that opens models one after another; it ends with the file's last test."""
    process = Opener(tmp_path_factory.mktemp("opener"))
    yield process
    process.close()
