"""`manifest`: written and read again, and refused where it is damaged or malicious."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from tf2spark.errors import ModelError
from tf2spark.package.manifest import FileEntry, Manifest, Verified, Weight, to_json
from tf2spark.package.manifest_reader import from_json

GRAPH = FileEntry("saved_model.pb", "ab" * 32, 7)
WORDS = FileEntry("assets/words.txt", "cd" * 32, 5)
KERNEL = FileEntry("weights/0.bin", "ef" * 32, 24)
MANIFEST = Manifest(
    files=(WORDS, GRAPH, KERNEL),
    tags=("serve",),
    weights=(Weight("kernel:0", "weights/0.bin", 1, (2, 3)),),
    signature="serving_default",
    constants=(("keep_prob", "1.0"),),
    source="models/ctr",
    verified=Verified("sample", 5, (("score", 1e-7),), 1e-5),
)


def test_json_gives_the_same_manifest() -> None:
    """A manifest read from its JSON has the same values and the same digest."""
    read = from_json(to_json(MANIFEST), "manifest.json")
    assert read == MANIFEST
    assert read.digest == MANIFEST.digest


def test_a_stored_name_begins_with_the_sha256() -> None:
    """The stored name begins with the content's SHA-256 and ends with the file's own name."""
    assert WORDS.stored == "cdcdcdcdcdcdcdcd-words.txt"


def test_the_digest_covers_everything_that_scores_depend_on() -> None:
    """Where a package came from doesn't change its digest; its files, tags and weights do."""
    assert evolve(MANIFEST, source="elsewhere", verified=None).digest == MANIFEST.digest
    (weight,) = MANIFEST.weights
    assert evolve(MANIFEST, weights=(evolve(weight, shape=(3, 2)),)).digest != MANIFEST.digest
    assert evolve(MANIFEST, weights=(evolve(weight, tensor="other:0"),)).digest != MANIFEST.digest
    other_bytes = evolve(GRAPH, sha256="12" * 32)
    assert evolve(MANIFEST, files=(WORDS, other_bytes, KERNEL)).digest != MANIFEST.digest
    assert evolve(MANIFEST, files=(GRAPH,)).digest != MANIFEST.digest
    assert evolve(MANIFEST, tags=("serve", "gpu")).digest != MANIFEST.digest
    assert evolve(MANIFEST, weights=()).digest != MANIFEST.digest


def changed(**values: Any) -> str:
    """Return the JSON of the manifest with some values changed."""
    return json.dumps({**json.loads(to_json(MANIFEST)), **values})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", to_json(MANIFEST)[:-20], changed(files=[{"path": "a"}])],
    ids=["empty", "open", "list", "no keys", "truncated", "a file without its digest"],
)
def test_a_damaged_manifest_says_so(text: str) -> None:
    """A manifest that can't be read is reported as damaged, with its path."""
    with pytest.raises(ModelError, match=r'^"p/manifest\.json" is damaged or truncated; copy'):
        from_json(text, "p/manifest.json")


def test_a_changed_list_of_files_is_noticed() -> None:
    """The digest is compared with what the manifest lists."""
    with pytest.raises(ModelError, match="its digest doesn't match its content"):
        from_json(changed(tags=["gpu"]), "manifest.json")
    with pytest.raises(ModelError, match="its digest doesn't match its content"):
        from_json(changed(digest="0" * 64), "manifest.json")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "assets/../../x"])
def test_a_path_out_of_the_package_is_refused(path: str) -> None:
    """No file of a package can be unpacked outside the model's folder."""
    manifest = evolve(MANIFEST, files=(evolve(GRAPH, path=path),), weights=())
    with pytest.raises(ModelError, match="damaged"):
        from_json(to_json(manifest), "manifest.json")


@pytest.mark.parametrize("sha256", ["../../../../etc/x" + "0" * 47, "AB" * 32, "ab" * 31, ""])
def test_a_sha256_must_be_one(sha256: str) -> None:
    """It begins the stored name, so it could otherwise lead to any path."""
    manifest = evolve(MANIFEST, files=(evolve(GRAPH, sha256=sha256),), weights=())
    with pytest.raises(ModelError, match="damaged"):
        from_json(to_json(manifest), "manifest.json")


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "weights/1.bin"])
def test_a_weight_must_be_one_of_the_files(path: str) -> None:
    """A model can't be fed any other file of the worker."""
    (weight,) = MANIFEST.weights
    manifest = evolve(MANIFEST, weights=(evolve(weight, path=path),))
    with pytest.raises(ModelError, match="damaged"):
        from_json(to_json(manifest), "manifest.json")


def test_a_newer_format_needs_a_newer_tf2spark() -> None:
    """A package in a later format is not reported as damaged."""
    with pytest.raises(ModelError, match=r"has package format 2.*install a newer tf2spark"):
        from_json(changed(format=2), "manifest.json")


def test_op_libraries_are_read_and_do_not_change_the_digest() -> None:
    """A manifest says which op libraries it was made with; early ones don't have the key."""
    manifest = evolve(MANIFEST, op_libraries=("tensorflow_text", "ours.so"))
    assert from_json(to_json(manifest), "manifest.json").op_libraries == manifest.op_libraries
    assert manifest.digest == MANIFEST.digest
    early = json.loads(to_json(MANIFEST))
    del early["op_libraries"]
    assert from_json(json.dumps(early), "manifest.json") == MANIFEST
    with pytest.raises(ModelError, match="damaged"):
        from_json(changed(op_libraries=[1]), "manifest.json")
