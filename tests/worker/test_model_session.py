from __future__ import annotations

import gc
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import define, evolve, field

from tf2spark.errors import ModelError
from tf2spark.package import cache_locks, file_source
from tf2spark.package.file_source import ModelFolder
from tf2spark.package.folder import entries_of, write
from tf2spark.package.manifest import Manifest, Weight
from tf2spark.plan.score import ModelRef
from tf2spark.tensorflow_c import process
from tf2spark.tensorflow_c.tensor import Tensor
from tf2spark.worker import model_session

MODEL = ModelRef("/model", ("serve",), "digest", storage="own")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A host cache of which this process holds nothing yet."""
    monkeypatch.setattr(cache_locks, "_in_use", {})
    yield str(tmp_path / "cache")
    for descriptor, _ in cache_locks._in_use.values():
        os.close(descriptor)


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

    def move(self, path: str) -> None:
        self.path = path

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """Sessions in the order in which they were opened."""
    sessions: list[Session] = []

    def open_session(
        path: str,
        tags: tuple[str, ...],
        *,
        threads: int,
        divides_ops: bool,
        optimizes: bool,
        name: str,
    ) -> Session:
        sessions.append(Session(path, tags, threads))
        return sessions[-1]

    monkeypatch.setattr(model_session, "open_session", open_session)
    monkeypatch.setattr(process, "_sessions", OrderedDict())
    return sessions


def weight(name: str, values: int) -> Weight:
    return Weight(tensor=f"{name}:0", path=name, code=1, shape=(values,))


def write_numbers(path: Path, *values: float) -> None:
    path.write_bytes(np.array(values, np.float32).tobytes())


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({}, True),
        ({"path": "/another/copy"}, True),
        ({"digest": "other"}, False),
        ({"tags": ("serve", "gpu")}, False),
        ({"threads": 2}, False),
        ({"divides_ops": True}, False),
    ],
)
def test_a_session_serves_equal_models_only(
    change: dict[str, Any], shared: bool, opened: list[Session]
) -> None:
    """Equal are models of the same content, tags and threads, wherever their files lie.

    The session takes the folder that was named last for its own, as the first may be gone by then.
    """
    first = model_session.session_of(MODEL)
    other = evolve(MODEL, **change)
    assert (model_session.session_of(other) is first) == shared
    sessions = [other] if shared else [MODEL, other]
    assert [(session.path, session.tags, session.threads) for session in opened] == [
        (model.path, model.tags, model.threads) for model in sessions
    ]


def test_weights_are_fed_in_every_run(opened: list[Session], tmp_path: Path) -> None:
    """They come from the model's folder, or from the one that is named."""
    write_numbers(tmp_path / "w", 1.0, 2.0)
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
    write_numbers(tmp_path / "w", *range(size))
    model = evolve(MODEL, path=str(tmp_path), weights=(weight("w", 2),))
    for _ in range(2):
        with pytest.raises(ModelError, match=rf"has {size * 4} bytes, w:0 needs 8"):
            model_session.session_of(model)
    assert [session.closed for session in opened] == [True, True]


@pytest.fixture
def model(tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch) -> ModelRef:
    """A SavedModel's folder whose weights are large, with a host cache of its own."""
    monkeypatch.setattr(file_source, "LARGE_BYTES", 10)
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"d" * 10)
    return ModelRef(str(folder), ("serve",), "f" * 64, files=entries_of(folder), cache=root)


def test_a_session_opens_verified_copies(model: ModelRef, opened: list[Session]) -> None:
    """It never opens the model's own folder, which others may overwrite."""
    model_session.session_of(model)
    (session,) = opened
    assert session.path == f"{model.cache}/{model.digest}"
    assert (Path(session.path) / "saved_model.pb").read_bytes() == b"graph"


def test_a_model_that_changed_opens_no_session(model: ModelRef, opened: list[Session]) -> None:
    """What was checked is gone, so nothing runs."""
    (Path(model.path) / "saved_model.pb").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"changed after it was read: saved_model\.pb has other"):
        model_session.session_of(model)
    assert opened == []


def test_a_package_is_opened_from_the_cache(
    model: ModelRef, opened: list[Session], tmp_path: Path
) -> None:
    """Its files are found under their stored names, and those of a job where the job says."""
    write(ModelFolder(Path(model.path)), tmp_path / "p", Manifest(model.files, ("serve",)))
    packaged = evolve(model, path=str(tmp_path / "p"), storage="package", digest="e" * 64)
    model_session.session_of(packaged)
    shipped = evolve(model, storage="shipped", digest="d" * 64)
    model_session.session_of(shipped, lambda entry: tmp_path / "p" / "files" / entry.stored)
    assert [Path(session.path).name[0] for session in opened] == ["e", "d"]


def test_weights_that_change_while_tensorflow_loads_them_close_the_session(
    model: ModelRef, opened: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has loaded by then may not be what was verified."""
    open_session = vars(model_session)["open_session"]  # the stand-in

    def overwrite_and_open(*arguments: Any, **options: Any) -> Any:
        (Path(model.path) / "variables" / "data").write_bytes(b"x" * 10)
        return open_session(*arguments, **options)

    monkeypatch.setattr(model_session, "open_session", overwrite_and_open)
    with pytest.raises(ModelError, match="changed while the model was being loaded"):
        model_session.session_of(model)
    assert [session.closed for session in opened] == [True]
    assert not cache_locks._in_use


def test_a_session_that_is_dropped_releases_its_model(
    model: ModelRef, opened: list[Session]
) -> None:
    """While it is open, the cache keeps the model; after that, it may be evicted."""
    session = model_session.session_of(model)
    assert len(cache_locks._in_use) == 1
    opened.clear()
    process._sessions.clear()
    del session
    gc.collect()
    assert not cache_locks._in_use
