"""The digest of a model: what was checked is what runs, in this process, compiled and split."""

from __future__ import annotations

import os
import random
import shutil
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

import tf2spark
from cases.models import case, path_of
from cases.models.saving import save_function
from tf2spark.errors import ContractError, ModelError
from tf2spark.package import file_source, known_hashes
from tf2spark.tensorflow_c import process

X = tf.TensorSpec([None], tf.float32, "x")
TABLE = pa.table({"x": pa.array([1.0, 2.0], pa.float32())})


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose weights are constants of its graph."""
    path = tmp_path_factory.mktemp("frozen") / "model"
    weights = tf.constant([[float(number % 7)] for number in range(500)])

    save_function(path, lambda x: {"y": x * tf.reduce_sum(weights)}, X)
    return path


@pytest.fixture
def host_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty host cache, in a process without open sessions, whatever other tests opened."""
    monkeypatch.setenv("TF2SPARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(process, "_sessions", OrderedDict())
    return tmp_path / "cache"


@pytest.fixture
def model(frozen: Path, tmp_path: Path, host_cache: Path) -> Path:
    """A copy of that model, which nothing has opened."""
    return Path(shutil.copytree(frozen, tmp_path / "model"))


def flip_a_bit(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def test_a_digest_names_the_bytes(model: Path, tmp_path: Path) -> None:
    """A copy has the same digest, and any other file in the folder changes it."""
    digest = tf2spark.SavedModel(model).digest
    assert digest.startswith("sha256:")
    assert len(digest) == 71
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    assert tf2spark.SavedModel(copy).digest == digest
    assert tf2spark.SavedModel(f"file://{copy}").digest == digest
    (copy / "assets").mkdir(exist_ok=True)
    (copy / "assets" / "words.txt").write_text("a")
    assert tf2spark.SavedModel(copy).digest != digest


def test_a_package_has_the_digest_of_its_manifest(model: Path, tmp_path: Path) -> None:
    """It is what `model_column` writes, and it stays the same wherever the package is copied."""
    package = tf2spark.SavedModel(model).compile(tmp_path / "p")
    assert package.contract.package is not None
    assert package.digest == f"sha256:{package.contract.package.digest}"
    shutil.copytree(tmp_path / "p", tmp_path / "q")
    copy = tf2spark.SavedModel(tmp_path / "q", digest=package.digest)
    scored = copy.score(TABLE, model_column="by")
    assert {f"sha256:{by}" for by in scored["by"].to_pylist()} == {package.digest}


def test_a_demanded_digest_lets_that_model_in(model: Path) -> None:
    """With or without the prefix it is the same digest."""
    digest = tf2spark.SavedModel(model).digest
    expected = tf2spark.SavedModel(model).score(TABLE)
    for text in (digest, digest.removeprefix("sha256:"), digest.upper()):
        assert tf2spark.SavedModel(model, digest=text).score(TABLE) == expected


def test_another_digest_is_refused_with_both(model: Path, tmp_path: Path) -> None:
    """Nothing is opened; the message says which model is there."""
    digest, other = tf2spark.SavedModel(model).digest, f"sha256:{'0' * 64}"
    with pytest.raises(ModelError, match=f"its digest is {digest}, expected {other}"):
        tf2spark.SavedModel(model, digest=other)
    package = tf2spark.SavedModel(model).compile(tmp_path / "p").digest
    with pytest.raises(ModelError, match=f"its digest is {package}, expected {digest}"):
        tf2spark.SavedModel(tmp_path / "p", digest=digest)
    with pytest.raises(
        ContractError, match=r"'latest' is not a digest: .*; digest=\.\.\. takes what"
    ):
        tf2spark.SavedModel(model, digest="latest")


def test_no_flipped_bit_passes(model: Path, frozen: Path) -> None:
    """TensorFlow loads most models with a flipped bit, and many of them score wrongly."""
    digest, generator = tf2spark.SavedModel(model).digest, random.Random(3)
    files = [path for path in sorted(model.rglob("*")) if path.is_file()]
    for number in range(60):
        path = model / "saved_model.pb" if number % 2 else generator.choice(files)
        if not path.stat().st_size:
            continue
        flip_a_bit(path, generator)
        with pytest.raises(ModelError, match=f"expected {digest}"):
            tf2spark.SavedModel(model, digest=digest)
        shutil.copyfile(frozen / path.relative_to(model), path)
    assert tf2spark.SavedModel(model, digest=digest).digest == digest


def test_a_package_with_a_flipped_bit_does_not_score(model: Path, tmp_path: Path) -> None:
    """Its manifest is what the digest covers, and its files are compared when they are opened."""
    digest, generator = tf2spark.SavedModel(model).compile(tmp_path / "p").digest, random.Random(5)
    files = [path for path in sorted((tmp_path / "p").rglob("*")) if path.is_file()]
    for _ in range(20):
        path = generator.choice(files)
        content = path.read_bytes()
        flip_a_bit(path, generator)
        try:
            scored = tf2spark.SavedModel(tmp_path / "p", digest=digest).score(TABLE)
        except ModelError:
            scored = None
        # A bit in a part of the manifest that only people read isn't covered.
        assert scored is None or path.name == "manifest.json"
        path.write_bytes(content)


# Swapped after it was read.


@pytest.fixture
def other(model: Path, tmp_path: Path) -> Path:
    """Another model with the same inputs and outputs."""
    save_function(tmp_path / "other", lambda x: {"y": x * 0.0 - 1.0}, X)
    return tmp_path / "other"


def swap(model: Path, other: Path) -> None:
    shutil.copyfile(other / "saved_model.pb", model / "saved_model.pb")


def score(model: tf2spark.SavedModel, _: Path) -> Any:
    return model.score(TABLE)


def compile_(model: tf2spark.SavedModel, folder: Path) -> Any:
    return model.compile(folder / "package")


def recommend(model: tf2spark.SavedModel, _: Path) -> Any:
    users = pa.table({"user_id": [1]})
    items = pa.table({"item_id": [1, 2], "x": pa.array([1.0, 2.0], pa.float32())})
    return model.recommend(users, items)


def digest_of(model: tf2spark.SavedModel, _: Path) -> Any:
    return model.digest


@pytest.mark.parametrize("use", [score, compile_, recommend, digest_of])
def test_a_model_that_was_swapped_is_not_used(
    model: Path, other: Path, tmp_path: Path, use: Callable[[tf2spark.SavedModel, Path], Any]
) -> None:
    """Its ops were not checked, so neither a score nor a package comes of it."""
    loaded = tf2spark.SavedModel(model)
    swap(model, other)
    with pytest.raises(ModelError, match=r"model\" changed after it was read: saved_model\.pb"):
        use(loaded, tmp_path)
    assert not (tmp_path / "package").exists()


def test_what_was_opened_scores_on_when_it_is_swapped(model: Path, other: Path) -> None:
    """The session of the checked model stays, and the new one is another model."""
    loaded = tf2spark.SavedModel(model)
    expected = loaded.score(TABLE)
    swap(model, other)
    assert loaded.score(TABLE) == expected
    assert tf2spark.SavedModel(model).score(TABLE)["y"].to_pylist() == [-1.0, -1.0]


def test_a_package_that_was_swapped_is_not_used(model: Path, other: Path, tmp_path: Path) -> None:
    """A package that is overwritten after it was read doesn't give its new scores."""
    package = tf2spark.SavedModel(model).compile(tmp_path / "p")
    tf2spark.SavedModel(other).compile(tmp_path / "p", overwrite=True)
    for use in (score, recommend):
        with pytest.raises(ModelError, match=r"saved_model\.pb of the package can't be"):
            use(package, tmp_path)


def test_an_asset_that_was_swapped_is_not_used(
    tmp_path: Path, host_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables are filled from the files that the digest covers."""
    (tmp_path / "words.txt").write_text("oslo\nrome\n")
    index = tf.lookup.TextFileIndex
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(tmp_path / "words.txt"),
            *(tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER),
        ),
        -1,
    )
    city = tf.TensorSpec([None], tf.string, "city")
    save_function(
        tmp_path / "model", lambda city: {"y": table.lookup(city)}, city, keep={"t": table}
    )
    rows = pa.table({"city": ["rome", "oslo"]})
    loaded = tf2spark.SavedModel(tmp_path / "model")
    assert loaded.score(rows)["y"].to_pylist() == [1, 0]
    # The next session is opened from the cache, as in another process.
    monkeypatch.setattr(process, "_sessions", OrderedDict())
    (tmp_path / "model" / "assets" / "words.txt").write_text("rome\noslo\n")
    assert loaded.score(rows)["y"].to_pylist() == [1, 0]
    again = tf2spark.SavedModel(tmp_path / "model")
    (tmp_path / "model" / "assets" / "words.txt").write_text("oslo\nparis\n")
    with pytest.raises(ModelError, match=r"changed after it was read: assets/words\.txt"):
        again.score(rows)


# Large weights are not copied.


def test_large_weights_score_without_a_copy(
    tmp_path: Path, host_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow reads them from the model's own folder, and compiling does too."""
    monkeypatch.setattr(file_source, "LARGE_BYTES", 1)
    monkeypatch.setattr(known_hashes, "LARGE_BYTES", 1)
    dense = case("mlp_128")
    model = Path(shutil.copytree(path_of(dense), tmp_path / "model"))
    loaded, table = tf2spark.SavedModel(model), dense.table(5)
    scored = loaded.score(table)
    links = [path for path in host_cache.rglob("*") if path.is_symlink()]
    weights = {str(path) for path in (model / "variables").iterdir()}
    assert weights <= {os.readlink(link) for link in links}
    package = loaded.compile(tmp_path / "p")
    assert package.score(table).num_rows == scored.num_rows
    assert not [path for path in (tmp_path / "p").rglob("*") if path.is_symlink()]


def test_pandas_scores_a_model_that_is_read_only(model: Path) -> None:
    """Nothing is written to the model's folder."""
    before = sorted(path for path in model.rglob("*"))
    for path in [model, *before]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        frame = pd.DataFrame({"x": [1.0]}).astype("float32")
        assert len(tf2spark.SavedModel(model).score(frame)) == 1
        assert sorted(path for path in model.rglob("*")) == before
    finally:
        for path in [model, *before]:
            path.chmod(0o755 if path.is_dir() else 0o644)
