from __future__ import annotations

import os
import sys

import pytest

from tf2spark.compile.quiet import silence
from tf2spark.demo.train import need_tensorflow
from tf2spark.errors import SetupError


class TestTrain:
    def test_missing_tensorflow_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without TensorFlow, the demo fails before it starts, with the command to run."""
        monkeypatch.setitem(sys.modules, "tensorflow", None)
        with pytest.raises(SetupError, match=r"pip install 'tf2spark\[local\]'"):
            need_tensorflow()

    def test_silence_keeps_what_explains_an_error(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Output on stderr is dropped on success and shown on failure."""
        with silence():
            os.write(2, b"chatter")
        with pytest.raises(ImportError):
            fail_aloud()
        assert capfd.readouterr().err == "the reason\n"


def fail_aloud() -> None:
    """Fail like a native library that can't be loaded."""
    with silence():
        os.write(2, b"the reason")
        raise ImportError
