"""`manifest_reader`: whatever a manifest has, it is read as written or refused with one error."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tf2spark.errors import ModelError
from tf2spark.package import manifest_reader
from tf2spark.package.manifest import FileEntry, Manifest, Verified, Weight, as_dict, to_json
from tf2spark.package.manifest_reader import MAX_MANIFEST_BYTES, from_json, path_problem

MANIFEST = Manifest(
    files=(
        FileEntry("assets/words.txt", "cd" * 32, 5),
        FileEntry("saved_model.pb", "ab" * 32, 7),
        FileEntry("weights/0.bin", "ef" * 32, 24),
    ),
    tags=("serve",),
    weights=(Weight("kernel:0", "weights/0.bin", 1, (2, 3)),),
    signature="serving_default",
    constants=(("keep_prob", "1.0"),),
    source="models/ctr",
    verified=Verified("sample", 5, (("score", 1e-7),), 1e-5),
)
TEXT = to_json(MANIFEST)


def with_digest(values: dict[str, Any]) -> str:
    """Return JSON whose digest fits its content, as anyone can write it."""
    content = {name: values.get(name) for name in ("files", "tags", "weights")}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**values, "digest": digest})


def changed(**values: Any) -> str:
    return with_digest({**json.loads(TEXT), **values})


def read_or_refuse(content: str | bytes) -> Manifest | None:
    """Return what is read, or None for a ModelError; any other error is a fault."""
    message = ""
    try:
        return from_json(content, "p/manifest.json")
    except ModelError as error:
        message = str(error)
    assert '"p/manifest.json"' in message
    return None


# Any bytes.


@given(st.binary(max_size=2000) | st.text(max_size=500))
def test_any_bytes_are_read_or_refused(content: bytes | str) -> None:
    """Nonsense is a ModelError."""
    assert read_or_refuse(content) is None


def test_flipped_bits_are_refused_or_harmless() -> None:
    """What a flipped bit changes is either refused or none of what scores depend on."""
    generator = random.Random(1)
    content = TEXT.encode()
    for _ in range(1500):
        flipped = bytearray(content)
        for _ in range(generator.choice((1, 1, 3))):
            flipped[generator.randrange(len(flipped))] ^= 1 << generator.randrange(8)
        manifest = read_or_refuse(bytes(flipped))
        if manifest is not None:
            assert manifest.digest == MANIFEST.digest


# Any JSON, anywhere.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in some JSON."""
    yield path
    keys = range(len(value)) if isinstance(value, list) else value
    for key in keys if isinstance(value, (dict, list)) else ():
        yield from places(value[key], (*path, key))


PLACES = [path for path in places(json.loads(TEXT)) if path]


@given(st.sampled_from(PLACES), JSON, st.booleans())
def test_any_json_in_any_place_is_read_or_refused(
    path: tuple[Any, ...], value: Any, fits: bool
) -> None:
    """A wrong type, a missing key or a number out of range is a ModelError wherever it is."""
    values = json.loads(TEXT)
    parent = values
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    read_or_refuse(with_digest(values) if fits and path[0] != "digest" else json.dumps(values))
    del parent[path[-1]]
    read_or_refuse(with_digest(values) if path[0] != "digest" else json.dumps(values))


@pytest.mark.parametrize(
    "content",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        '{"format": 1, "files": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"format": ' + "9" * 10_000 + "}",
        '{"format": 1e999}',
        '{"format": NaN}',
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        '"\\ud800"',
    ],
    ids=["open lists", "open objects", "nested lists", "long number", "infinity", "nan", "utf-16",
         "byte order mark", "surrogate"],
)  # fmt: skip
def test_json_at_its_limits_is_refused(content: str | bytes) -> None:
    """Deep nesting, numbers without end and other encodings end in the same error."""
    assert read_or_refuse(content) is None


# Limits.


def test_a_manifest_that_is_too_large_is_refused_unread() -> None:
    """Its size is looked at first."""
    started = time.monotonic()
    with pytest.raises(ModelError, match="bytes; a manifest has at most 33,554,432"):
        from_json(b" " * (MAX_MANIFEST_BYTES + 1), "p/manifest.json")
    assert time.monotonic() - started < 1


def test_a_manifest_with_too_many_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made of its entries."""
    files = [{"path": f"a/{i}", "sha256": "ab" * 32, "size_bytes": 3} for i in range(100_001)]
    monkeypatch.setattr(manifest_reader, "_file", None)
    with pytest.raises(ModelError, match="a list has 100,001 entries, and may have 100,000"):
        from_json(changed(files=files, weights=[]), "p/manifest.json")


def test_a_manifest_within_the_limits_is_read() -> None:
    """100,000 files in long paths are fine."""
    files = tuple(FileEntry(f"{'d/' * 30}{i:06}", "ab" * 32, 3) for i in range(100_000))
    manifest = Manifest(files, ("serve",))
    assert from_json(json.dumps(as_dict(manifest)), "m") == manifest


# Paths.


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/etc/passwd", "..", "../x", "a/../x", "a/..", ".", "./x", "a/./x", "a//x", "a/",
        "a\\x", "..\\x", "C:\\x", "a\0b", "\0", "a" * 256, "ü" * 128, "a/" * 1100 + "x",
        "a/" * 64 + "x", "\ud800",
    ],
    ids=repr,
)  # fmt: skip
def test_a_path_that_is_no_path_in_a_folder_is_refused(path: str) -> None:
    """Paths are relative, normalized, short enough for a file system, and Unicode."""
    (_, graph, weight) = json.loads(TEXT)["files"]
    with pytest.raises(ModelError, match="is damaged or truncated"):
        from_json(changed(files=[{**graph, "path": path}, graph, weight]), "p/manifest.json")
    assert path_problem(path)


@pytest.mark.parametrize("path", ["a b", "a\nb", "ü", "..a", "a..", "a" * 255, "a/" * 63 + "x"])
def test_unusual_paths_are_fine(path: str) -> None:
    """A file may have any name that file systems allow."""
    assert path_problem(path) is None


@pytest.mark.parametrize(
    "other", ["saved_model.pb", "saved_model.pb/x", "weights", "weights/0.bin/a/b", "assets"]
)
def test_two_files_have_two_paths(other: str) -> None:
    """No path is that of another file, or of a folder that has another."""
    files = json.loads(TEXT)["files"]
    with pytest.raises(ModelError, match=r"have the same path|is both a file and a folder"):
        from_json(changed(files=[*files, {**files[0], "path": other}]), "p/manifest.json")


# Weights.


def weight(**values: Any) -> list[dict[str, Any]]:
    return [{**json.loads(TEXT)["weights"][0], **values}]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (weight(path="weights/1.bin"), "is not one of its files"),
        (weight(path="/etc/passwd"), "is not one of its files"),
        (weight(path="weights/../weights/0.bin"), "is not one of its files"),
        (weight(code=7), "is of dtype string, which can't be mapped"),
        (weight(code=20), "is of dtype resource, which can't be mapped"),
        (weight(code=101), "can't be mapped"),
        (weight(code=0), "is of dtype dtype 0, which can't be mapped"),
        (weight(code=-1), "a number is missing or out of range"),
        (weight(code=True), "a number is missing or out of range"),
        (weight(code=2), "is not as large as its file"),
        (weight(shape=[2, 4]), "is not as large as its file"),
        (weight(shape=[-2, -3]), "a number is missing or out of range"),
        (weight(shape=[6.0]), "a number is missing or out of range"),
        (weight(shape=[1 << 40, 1 << 40, 0]), "has a shape that is too large"),
        (weight(shape=[1] * 33), "a list has 33 entries, and may have 32"),
        (weight() * 2, "two of its weights feed the same tensor"),
    ],
)
def test_a_weight_fits_its_file(weights: list[dict[str, Any]], words: str) -> None:
    """A weight is one of the files, of a dtype with a fixed size, and as large as its shape."""
    with pytest.raises(ModelError, match=words):
        from_json(changed(weights=weights), "p/manifest.json")


def test_bytes_of_all_files_have_a_limit() -> None:
    """Sizes that no disk has are refused before anything is allocated."""
    files = [{**file, "size_bytes": 1 << 40} for file in json.loads(TEXT)["files"]]
    with pytest.raises(ModelError, match="its files have more than 1,099,511,627,776 bytes"):
        from_json(changed(files=files, weights=[]), "p/manifest.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values | {"extra": 1}, "its keys are not those of a manifest"),
        (lambda values: values | {"format": 0}, "its format is unknown"),
        (lambda values: values | {"format": True}, "its format is unknown"),
        (lambda values: values | {"constants": [["a"]]}, "a constant has no value"),
        (lambda values: values | {"signature": 1}, "a text is missing"),
        (lambda values: values | {"tags": "serve"}, "a list is missing"),
    ],
)
def test_each_value_has_its_type(
    change: Callable[[dict[str, Any]], dict[str, Any]], words: str
) -> None:
    """The message says what is wrong."""
    with pytest.raises(ModelError, match=words):
        from_json(with_digest(change(json.loads(TEXT))), "p/manifest.json")


def test_what_was_written_is_read() -> None:
    """Bytes and text give the same manifest."""
    assert from_json(TEXT.encode(), "m") == from_json(TEXT, "m") == MANIFEST
    unverified = evolve(MANIFEST, verified=None, not_verified="why", signature=None)
    assert from_json(to_json(unverified), "m") == unverified
