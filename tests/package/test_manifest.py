"""`manifest`: what a package says of itself, written and read again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from tf2spark.errors import ModelError
from tf2spark.package.manifest import FileEntry, Manifest, Verified, Weight, from_json, to_json

GRAPH = FileEntry("saved_model.pb", "ab" * 32, 7)
WORDS = FileEntry("assets/words.txt", "cd" * 32, 5)
MANIFEST = Manifest(
    files=(WORDS, GRAPH),
    tags=("serve",),
    weights=(Weight("kernel:0", "weights/0.bin", 1, (2, 3)),),
    signature="serving_default",
    constants=(("keep_prob", "1.0"),),
    source="models/ctr",
    verified=Verified("sample", 5, (("score", 1e-7),), 1e-5),
)


def test_what_is_written_is_read_again() -> None:
    """A manifest comes back from its JSON as the same values, with the same digest."""
    again = from_json(to_json(MANIFEST), "manifest.json")
    assert again == MANIFEST
    assert again.digest == MANIFEST.digest


def test_a_file_is_stored_under_its_content() -> None:
    """The stored name begins with the content's SHA-256 and ends with the file's own name."""
    assert WORDS.stored == "cdcdcdcdcdcdcdcd-words.txt"


def test_the_digest_is_that_of_what_scores_depend_on() -> None:
    """Where a package came from changes no digest; its files, tags and weights do."""
    assert evolve(MANIFEST, source="elsewhere", verified=None).digest == MANIFEST.digest
    assert evolve(MANIFEST, files=(GRAPH,)).digest != MANIFEST.digest
    assert evolve(MANIFEST, tags=("serve", "gpu")).digest != MANIFEST.digest
    assert evolve(MANIFEST, weights=()).digest != MANIFEST.digest


def changed(**values: Any) -> str:
    """Return the JSON with some of its values changed."""
    return json.dumps({**json.loads(to_json(MANIFEST)), **values})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", to_json(MANIFEST)[:-20], changed(files=[{"path": "a"}])],
    ids=["empty", "open", "list", "nothing", "cut", "a file without its digest"],
)
def test_a_damaged_manifest_says_so(text: str) -> None:
    """What can't be read is damaged, and the message names the file."""
    with pytest.raises(ModelError, match=r'^"p/manifest\.json" is damaged or was cut off: copy'):
        from_json(text, "p/manifest.json")


def test_a_changed_list_of_files_is_noticed() -> None:
    """The digest is held against what the manifest lists."""
    with pytest.raises(ModelError, match="its digest doesn't fit what it lists"):
        from_json(changed(tags=["gpu"]), "manifest.json")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "assets/../../x"])
def test_a_path_out_of_the_package_is_refused(path: str) -> None:
    """No file of a package can be unpacked beside it."""
    manifest = evolve(MANIFEST, files=(evolve(GRAPH, path=path),))
    with pytest.raises(ModelError, match="damaged"):
        from_json(to_json(manifest), "manifest.json")


def test_a_newer_format_asks_for_a_newer_tf2spark() -> None:
    """A package of a later format is no damage."""
    with pytest.raises(ModelError, match=r"has package format 2.*install a newer tf2spark"):
        from_json(changed(format=2), "manifest.json")
