"""A session without TensorFlow for `recommend`'s loops, which read files next to the model."""

from __future__ import annotations

from attrs import define

from tf2spark.testing import FakeSession


@define(eq=False)
class FakeFolderSession(FakeSession):
    """A fake session whose model is in a folder."""

    path: str = ""
