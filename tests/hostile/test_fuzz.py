"""Damaged files of small real models: read, scored or refused, never a raw exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tf2spark
from hostile.fuzz import File, fuzz, make_models
from hostile.graphs import doubling_model
from hostile.model_files import Model
from hostile.mutations import mutate, mutate_json, mutate_message
from tf2spark.errors import Tf2SparkError

pytestmark = pytest.mark.slow
_SMALL = Model((doubling_model(),)).graph_file
_READ, _SCORED = 500, 60


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[File]:
    """Write models; return their files."""
    return list(make_models(tmp_path_factory.mktemp("models")))


def test_damaged_files_are_read_or_refused(files: list[File]) -> None:
    """Opening a model and printing its contract never hangs, crashes or raises anything else."""
    result = fuzz(files, 0, _READ, seconds=120)
    assert result.failures == []
    assert set(result.endings) == {"read", "refused"}
    assert result.count == _READ


def test_damaged_models_are_scored_or_refused(files: list[File]) -> None:
    """The same holds for scoring, in which TensorFlow opens what was read."""
    result = fuzz(files, 0, _SCORED, seconds=120, score=True)
    assert result.failures == []
    assert set(result.endings) == {"scored", "refused"}
    assert result.count == _SCORED


def test_a_raw_exception_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fuzzer that finds nothing wherever it looks would be worth nothing."""
    (tmp_path / "broken" / "tf2spark").mkdir(parents=True)
    code = "class SavedModel:\n    def __init__(self, path):\n        raise KeyError(path)\n"
    (tmp_path / "broken" / "tf2spark" / "__init__.py").write_text(code)
    errors = "class Tf2SparkError(Exception):\n    pass\n"
    (tmp_path / "broken" / "tf2spark" / "errors.py").write_text(errors)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    model = Model((doubling_model(),), {"assets/words.txt": b"a"}).write(tmp_path / "model")
    result = fuzz([(model, "assets/words.txt")], 0, 3, seconds=60)
    assert result.endings == {"raw": 3}
    assert [(name, seed) for name, seed, _ in result.failures] == [
        ("assets/words.txt", seed) for seed in range(3)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_damage_is_repeatable(seed: int) -> None:
    """The seed of a failure gives the same input again."""
    content = bytes(range(256)) * 4
    assert mutate(content, seed) == mutate(content, seed)
    manifest = b'{"files": [{"path": "a", "size_bytes": 7}], "tags": ["serve"]}'
    assert mutate_json(manifest, seed) == mutate_json(manifest, seed)
    assert mutate_message(_SMALL, seed) == mutate_message(_SMALL, seed)


_PARTS = st.one_of(
    st.binary(max_size=20),
    st.tuples(st.integers(0, len(_SMALL)), st.integers(0, len(_SMALL))).map(
        lambda cut: _SMALL[min(cut) : max(cut)]
    ),
)


@given(content=st.lists(_PARTS, max_size=6).map(b"".join))
@settings(
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_parts_of_models_are_read_or_refused(content: bytes, tmp_path: Path) -> None:
    """A file made of any bytes and parts of a model is one or is refused."""
    (tmp_path / "saved_model.pb").write_bytes(content)
    try:
        model = tf2spark.SavedModel(tmp_path)
    except Tf2SparkError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert str(model.contract)
