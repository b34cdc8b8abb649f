"""Packages whose manifest lies: about paths, contents, weights, or its own form."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile.attacks import ATTACKS, Targets
from hostile.graphs import (
    FLOAT,
    INT32,
    STRING,
    UINT8,
    Body,
    add_output,
    base_model,
    doubling_model,
    serialize,
)
from hostile.harness import SECRET, Write
from hostile.hiding_places import PLACES
from hostile.model_files import Stored, manifest, stored, weight, write_package
from hostile.tricks import written_trick

_GOOD = serialize(doubling_model())
_SIZE = len(SECRET)


def _graph(content: bytes = _GOOD, path: str = "saved_model.pb", **changes: Any) -> Stored:
    return stored(path, content, **changes)


def _writes(targets: Targets) -> bytes:
    """Return a saved_model.pb whose output writes a file."""
    return PLACES["control_edge"].hide(ATTACKS["WriteFile"], targets).graph_file


def weighted_graph(size: int = _SIZE) -> bytes:
    """Return a saved_model.pb that gives the bytes of a weight as they are."""
    meta = base_model()
    graph = Body(meta.graph_def)
    graph.add("w", "Placeholder", dtype=UINT8, shape=[size])
    axis, twice = graph.const("axis", 0, INT32), graph.const("twice", [2, 1], INT32)
    row = graph.add("row", "ExpandDims", "w", axis, T=UINT8, Tdim=INT32)
    rows = graph.add("rows", "Tile", row, twice, T=UINT8, Tmultiples=INT32)
    add_output(meta, "mul:0")
    return serialize(add_output(meta, f"{rows}:0", "leak", UINT8, (-1, size)))


# --- paths ---------------------------------------------------------------------------------------

_PATHS = {
    "same": "saved_model.pb",
    "dot": "./saved_model.pb",
    "two_slashes": ".//saved_model.pb",
    "there_and_back": "assets/../saved_model.pb",
    "trailing_slash": "saved_model.pb/",
    "trailing_dot": "saved_model.pb/.",
    "chunked": "saved_model.cpb",
    "text": "saved_model.pbtxt",
    "absolute": "/tmp/saved_model.pb",
    "parent": "../saved_model.pb",
    "null_byte": "saved_model.pb\0",
    "below_a_file": "saved_model.pb/x",
    "empty": "",
    "only_a_dot": ".",
    "long": "a" * 300,
    "deep": "a/" * 3000 + "b",
    "surrogate": "\ud800",
    "escapes": "\x1b[2J\n.txt",
    "backslash": "..\\saved_model.pb",
}


def _listed(path: str) -> Write:
    """Return a trick: a package that lists a hostile graph too, under another path."""

    def write(folder: Path, targets: Targets) -> Path:
        return write_package(folder, [_graph(), _graph(_writes(targets), path)])

    return write


for _name, _path in _PATHS.items():
    written_trick(f"package_also_lists_{_name}")(_listed(_path))


@written_trick()
def package_lists_the_hostile_graph_first(folder: Path, targets: Targets) -> Path:
    return write_package(folder, [_graph(_writes(targets)), _graph()])


@written_trick()
def package_of_a_hostile_graph(folder: Path, targets: Targets) -> Path:
    return write_package(folder, [_graph(_writes(targets))])


@written_trick()
def package_beside_a_hostile_graph(folder: Path, targets: Targets) -> Path:
    """The folder is a package and a SavedModel at once."""
    write_package(folder, [_graph()])
    (folder / "saved_model.pb").write_bytes(_writes(targets))
    return folder


@written_trick()
def package_with_a_file_that_it_does_not_list(folder: Path, targets: Targets) -> Path:
    write_package(folder, [_graph()])
    (folder / "files" / "saved_model.pb").write_bytes(_writes(targets))
    return folder


@written_trick()
def package_whose_digests_begin_alike(folder: Path, targets: Targets) -> Path:
    """Two entries have one stored name, as 16 digits of a digest are its beginning."""
    good = _graph()
    other = stored("assets/saved_model.pb", _writes(targets))
    alike = good.entry["sha256"][:16] + other.entry["sha256"][16:]
    entry = dict(other.entry, sha256=alike)
    return write_package(folder, [Stored(entry, other.content), good])


# --- entries -------------------------------------------------------------------------------------

_ENTRIES: dict[str, dict[str, Any]] = {
    "another_digest": {"sha256": "0" * 64},
    "a_short_digest": {"sha256": "abc"},
    "an_uppercase_digest": {"sha256": _graph().entry["sha256"].upper()},
    "a_digest_that_is_a_path": {"sha256": "../" * 20},
    "a_digest_with_a_line_break": {"sha256": _graph().entry["sha256"] + "\n"},
    "a_digest_that_is_a_number": {"sha256": 7},
    "a_negative_size": {"size_bytes": -1},
    "a_huge_size": {"size_bytes": 1 << 80},
    "a_size_that_is_text": {"size_bytes": "7"},
    "a_size_that_is_a_float": {"size_bytes": float(len(_GOOD))},
    "no_size": {"size_bytes": None},
    "a_path_that_is_a_list": {"path": ["saved_model.pb"]},
    "a_path_that_is_a_number": {"path": 7},
    "an_unknown_key": {"mode": "0777"},
}


def _with_entry(changes: dict[str, Any]) -> Write:
    def write(folder: Path, targets: Targets) -> Path:
        good = _graph()
        broken = Stored(dict(good.entry, **changes), None)
        write_package(folder, [good])
        (folder / "manifest.json").write_bytes(manifest([broken]))
        return folder

    return write


for _name, _changes in _ENTRIES.items():
    written_trick(f"package_entry_with_{_name}")(_with_entry(_changes))

# --- weights -------------------------------------------------------------------------------------

_WEIGHTS: dict[str, Callable[[Targets], Any]] = {
    "absolute_path": lambda targets: weight(targets.secret, UINT8, [_SIZE]),
    "path_with_parents": lambda targets: weight("../../targets/secrets/secret.txt", UINT8, [_SIZE]),
    "path_in_weights_with_parents": lambda targets: weight(
        "weights/../../../targets/secrets/secret.txt", UINT8, [_SIZE]
    ),
    "path_of_the_graph": lambda targets: weight("saved_model.pb", UINT8, [_SIZE]),
    "path_with_a_dot": lambda targets: weight("./weights/0.bin", UINT8, [_SIZE]),
    "negative_shape": lambda targets: weight("weights/0.bin", UINT8, [-2, -_SIZE // 2]),
    "overflowing_shape": lambda targets: weight("weights/0.bin", UINT8, [1 << 62, 4]),
    "huge_shape": lambda targets: weight("weights/0.bin", UINT8, [1 << 40]),
    "shape_of_floats": lambda targets: weight("weights/0.bin", UINT8, [1.5]),  # type: ignore[list-item]
    "shape_of_text": lambda targets: weight("weights/0.bin", UINT8, ["7"]),  # type: ignore[list-item]
    "shape_of_a_hundred_thousand": lambda targets: weight("weights/0.bin", UINT8, [1] * 100_000),
    "strings": lambda targets: weight("weights/0.bin", STRING, [_SIZE]),
    "another_dtype": lambda targets: weight("weights/0.bin", FLOAT, [_SIZE // 4]),
    "unknown_dtype": lambda targets: weight("weights/0.bin", 99, [_SIZE]),
    "resource_dtype": lambda targets: weight("weights/0.bin", 20, [_SIZE]),
    "no_dtype": lambda targets: weight("weights/0.bin", None, [_SIZE]),  # type: ignore[arg-type]
    "unknown_tensor": lambda targets: weight("weights/0.bin", UINT8, [_SIZE], "nowhere:0"),
    "tensor_of_nonsense": lambda targets: weight("weights/0.bin", UINT8, [_SIZE], "\x1b:\n"),
    "tensor_index_beyond": lambda targets: weight("weights/0.bin", UINT8, [_SIZE], "w:9"),
    "input_as_a_tensor": lambda targets: weight("weights/0.bin", UINT8, [_SIZE], "x:0"),
    "an_unknown_key": lambda targets: weight("weights/0.bin", UINT8, [_SIZE]) | {"mode": "w"},
    "a_list": lambda targets: ["w:0", "weights/0.bin"],
}


def _with_weight(make: Callable[[Targets], Any]) -> Write:
    def write(folder: Path, targets: Targets) -> Path:
        files = [_graph(weighted_graph()), stored("weights/0.bin", SECRET[::-1].encode())]
        return write_package(folder, files, [make(targets)])

    return write


for _name, _make in _WEIGHTS.items():
    written_trick(f"weight_with_{_name}")(_with_weight(_make))


@written_trick()
def weight_twice(folder: Path, targets: Targets) -> Path:
    """Two files are fed to one tensor."""
    files = [
        _graph(weighted_graph()),
        stored("weights/0.bin", b"0" * _SIZE),
        stored("weights/1.bin", b"1" * _SIZE),
    ]
    weights = [weight(f"weights/{i}.bin", UINT8, [_SIZE]) for i in (0, 1)]
    return write_package(folder, files, weights)


@written_trick()
def weight_of_another_size(folder: Path, targets: Targets) -> Path:
    """The file has fewer bytes than the shape says."""
    files = [_graph(weighted_graph()), stored("weights/0.bin", b"abc")]
    return write_package(folder, files, [weight("weights/0.bin", UINT8, [_SIZE])])


# --- the manifest's form -------------------------------------------------------------------------


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(text: bytes) -> bytes:
        assert old in text
        return text.replace(old, new, 1)

    return change


_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "200_000_brackets": lambda text: b"[" * 200_000,
    "200_000_objects": lambda text: b'{"a":' * 200_000,
    "nothing": lambda text: b"",
    "a_number": lambda text: b"7",
    "null": lambda text: b"null",
    "a_list": lambda text: b"[" + text + b"]",
    "half": lambda text: text[: len(text) // 2],
    "a_byte_order_mark": lambda text: b"\xef\xbb\xbf" + text,
    "bytes_that_are_not_utf8": lambda text: text.replace(b"made by hand", b"\xff\xfe"),
    "zeros_at_its_end": lambda text: text + b"\0" * 100,
    "a_number_of_5_000_digits": _replaced(b'"format": 1', b'"format": ' + b"9" * 5000),
    "format_2": _replaced(b'"format": 1', b'"format": 2'),
    "format_true": _replaced(b'"format": 1', b'"format": true'),
    "format_as_text": _replaced(b'"format": 1', b'"format": "1\\u001b[2J"'),
    "no_digest": _replaced(b'"digest"', b'"dgst"'),
    "nan": _replaced(b'"verified": null', b'"verified": NaN'),
    "files_twice": lambda text: text[:-1] + b', "files": []}',
    "files_as_an_object": _replaced(b'"files": [', b'"files": {}, "x": ['),
    "weights_null": _replaced(b'"weights": []', b'"weights": null'),
    "tags_as_text": _replaced(b'"tags": ["serve"]', b'"tags": "serve"'),
    "constants_of_numbers": _replaced(b'"constants": []', b'"constants": [1, 2]'),
    "constants_of_long_lists": _replaced(b'"constants": []', b'"constants": [[1, 2, 3]]'),
    "verified_as_text": _replaced(b'"verified": null', b'"verified": "yes"'),
    "verified_of_nonsense": _replaced(b'"verified": null', b'"verified": {"differences": [[1]]}'),
    "verified_of_other_types": _replaced(
        b'"verified": null',
        b'"verified": {"differences": [[1, "x"]], "inputs": 1, "rows": "r", "tolerance": []}',
    ),
    "an_unknown_key": _replaced(b'"source": ""', b'"source": "", "run": "rm -rf /"'),
    "a_source_of_escapes": _replaced(b'"source": ""', b'"source": "\\u001b[2J\\n\\u202e"'),
    "a_source_that_is_a_number": _replaced(b'"source": ""', b'"source": 7'),
    "a_version_of_lists": _replaced(b'"tensorflow": "2.21.0"', b'"tensorflow": [[]]'),
    "a_signature_that_is_a_list": _replaced(b'"signature": null', b'"signature": ["s"]'),
    "surrogates": _replaced(b'"source": ""', b'"source": "\\ud800"'),
}


def _formed(change: Callable[[bytes], bytes]) -> Write:
    return lambda folder, targets: write_package(folder, [_graph()], change=change)


for _name, _change in _FORMS.items():
    written_trick(f"manifest_of_{_name}")(_formed(_change))

_CONTENTS: dict[str, dict[str, Any]] = {
    "other_tags": {"tags": ["other"]},
    "no_tags": {"tags": []},
    "tags_that_are_numbers": {"tags": [1, None]},
    "tags_in_lists": {"tags": [["serve"]]},
    "no_files": {"files": []},
    "files_that_are_text": {"files": ["saved_model.pb"]},
    "weights_as_an_object": {"weights": {"w": 1}},
}


def _with_content(changes: dict[str, Any]) -> Write:
    return lambda folder, targets: write_package(folder, [_graph()], **changes)


for _name, _content in _CONTENTS.items():
    written_trick(f"manifest_with_{_name}")(_with_content(_content))


@written_trick()
def manifest_of_a_million_entries(folder: Path, targets: Targets) -> Path:
    good = _graph()
    write_package(folder, [good])
    entry = json.dumps(dict(good.entry, path="a")).encode()
    text = (folder / "manifest.json").read_bytes()
    more = b", ".join([entry] * 1_000_000)
    (folder / "manifest.json").write_bytes(
        text.replace(b'"files": [', b'"files": [' + more + b", ")
    )
    return folder


# --- what is stored ------------------------------------------------------------------------------


def _stored_as(replace: Callable[[Path, Targets], object]) -> Write:
    """Return a trick that replaces the stored graph by something else."""

    def write(folder: Path, targets: Targets) -> Path:
        write_package(folder, [_graph()])
        (path,) = (folder / "files").iterdir()
        content = path.read_bytes()
        path.unlink()
        replace(path, targets)
        # A file of the same content outside: what it is must be refused, not only what it says.
        (targets.secrets / "model.pb").write_bytes(content)
        return folder

    return write


written_trick("package_file_is_a_pipe")(_stored_as(lambda path, _: os.mkfifo(path)))
written_trick("package_file_is_a_folder")(_stored_as(lambda path, _: path.mkdir()))
written_trick("package_file_links_to_zeros")(
    _stored_as(lambda path, _: path.symlink_to("/dev/zero"))
)
written_trick("package_file_links_to_itself")(_stored_as(lambda path, _: path.symlink_to(path)))
written_trick("package_file_links_to_nowhere")(
    _stored_as(lambda path, _: path.symlink_to("/nonexistent/x"))
)
written_trick("package_file_links_to_a_secret")(
    _stored_as(lambda path, targets: path.symlink_to(targets.secret))
)


def _manifest_as(replace: Callable[[Path, Targets], object]) -> Write:
    def write(folder: Path, targets: Targets) -> Path:
        write_package(folder, [_graph()])
        (folder / "manifest.json").unlink()
        replace(folder / "manifest.json", targets)
        return folder

    return write


written_trick("manifest_is_a_pipe")(_manifest_as(lambda path, _: os.mkfifo(path)))
written_trick("manifest_is_a_folder")(_manifest_as(lambda path, _: path.mkdir()))
written_trick("manifest_links_to_zeros")(_manifest_as(lambda path, _: path.symlink_to("/dev/zero")))
written_trick("manifest_links_to_a_secret")(
    _manifest_as(lambda path, targets: path.symlink_to(targets.secret))
)


@written_trick()
def manifest_of_gigabytes(folder: Path, targets: Targets) -> Path:
    """A sparse file of 20 GB, which takes no space."""
    write_package(folder, [_graph()])
    os.truncate(folder / "manifest.json", 20 << 30)
    return folder
