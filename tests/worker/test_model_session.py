from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import define, evolve, field

from tf2spark.errors import ModelError
from tf2spark.package.manifest import Weight
from tf2spark.plan.score import ModelRef
from tf2spark.tensorflow_c import process
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker import model_session

MODEL = ModelRef("/model", ("serve",), "digest", storage="own")


@define(eq=False)
class Session:
    """A stand-in for a session that records what it is fed and whether it is closed."""

    path: str
    tags: tuple[str, ...]
    threads: int
    fed: dict[str, list[float]] = field(factory=dict)
    closed: bool = False

    def feed_always(self, name: str, tensor: Tensor) -> None:
        self.fed[name] = tensor.data.tolist()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """Sessions in the order in which they were opened."""
    sessions: list[Session] = []

    def open_session(path: str, tags: tuple[str, ...], *, threads: int) -> Session:
        sessions.append(Session(path, tags, threads))
        return sessions[-1]

    monkeypatch.setattr(model_session, "open_session", open_session)
    monkeypatch.setattr(process, "_sessions", OrderedDict())
    return sessions


def weight(name: str, values: int) -> Weight:
    return Weight(tensor=f"{name}:0", path=name, code=1, shape=(values,))


def write(path: Path, *values: float) -> None:
    path.write_bytes(np.array(values, np.float32).tobytes())


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({}, True),
        ({"path": "/another/copy"}, True),
        ({"digest": "other"}, False),
        ({"tags": ("serve", "gpu")}, False),
        ({"threads": 2}, False),
    ],
)
def test_a_session_serves_equal_models_only(
    change: dict[str, Any], shared: bool, opened: list[Session]
) -> None:
    """Equal are models of the same content, tags and threads, wherever their files lie."""
    first = model_session.session_of(MODEL)
    other = evolve(MODEL, **change)
    assert (model_session.session_of(other) is first) == shared
    sessions = [MODEL] if shared else [MODEL, other]
    assert [(session.path, session.tags, session.threads) for session in opened] == [
        (model.path, model.tags, model.threads) for model in sessions
    ]


def test_weights_are_fed_in_every_run(opened: list[Session], tmp_path: Path) -> None:
    """They come from the model's folder, or from the one that is named."""
    write(tmp_path / "w", 1.0, 2.0)
    model = evolve(MODEL, weights=(weight("w", 2),))
    model_session.open_model(model, tmp_path)
    model_session.open_model(model, Path("/elsewhere"), weights=tmp_path)
    assert [session.fed for session in opened] == [{"w:0": [1.0, 2.0]}] * 2
    assert [session.path for session in opened] == [str(tmp_path), "/elsewhere"]


@pytest.mark.parametrize("size", [1, 3])
def test_a_session_whose_weights_cannot_be_mapped_is_closed(
    size: int, opened: list[Session], tmp_path: Path
) -> None:
    """A retry in the same worker must not find its memory taken by the last attempt."""
    write(tmp_path / "w", *range(size))
    model = evolve(MODEL, path=str(tmp_path), weights=(weight("w", 2),))
    for _ in range(2):
        with pytest.raises(ModelError, match=rf"has {size * 4} bytes, w:0 needs 8"):
            model_session.session_of(model)
    assert [session.closed for session in opened] == [True, True]
